"""Configuration and weights taken over from a live library model, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def require(config: Any, options: Mapping[str, object]) -> None:
    """Raise ValueError if an option of a library's configuration is not the only one we have."""
    for name, ours in options.items():
        theirs = getattr(config, name, ours)
        if theirs != ours:
            raise ValueError(
                f"This model has no {name}={theirs!r}: take a checkpoint with {name}={ours!r}."
            )


def copy_weights(
    model: nn.Module, weights: Mapping[str, Tensor], sources: Mapping[str, Sequence[str]]
) -> None:
    """Fill the parameters of `model` from the library's `weights`, in place.

    `sources` has the names of weights by name of parameter; several are concatenated along dim 0.
    Tied parameters count once, under their first name. Raises ValueError if a parameter or weight
    is not used exactly once, or has another shape.
    """
    parameters = dict(model.named_parameters())
    _check_used_once("parameters", parameters, sources)
    _check_used_once("weights", weights, [name for names in sources.values() for name in names])
    with torch.no_grad():
        for name, names in sources.items():
            weight = torch.cat([weights[source] for source in names])
            if weight.shape != parameters[name].shape:
                shapes = f"{tuple(parameters[name].shape)}, not {tuple(weight.shape)}"
                raise ValueError(f"{name} has shape {shapes}: check the configuration.")
            parameters[name].copy_(weight)


def _check_used_once(kind: str, there: Iterable[str], used: Iterable[str]) -> None:
    counts = Counter(list(used))
    names = set(there)
    wrong = sorted(name for name in names | counts.keys() if counts[name] != (name in names))
    if wrong:
        shown = ", ".join(wrong[:5])
        raise ValueError(
            f"{len(wrong)} {kind} are missing, left over or used twice, such as {shown}: correct "
            "the table of names."
        )


def sources_by_module(
    model: nn.Module, modules: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The table that `copy_weights` takes, from the library's modules by name of ours."""
    sources = {}
    for name, _ in model.named_parameters():
        module, _, kind = name.rpartition(".")
        sources[name] = [f"{source}.{kind}" for source in modules[module]]
    return sources


def prefixed(
    modules: Mapping[str, Sequence[str]], ours: str, theirs: str
) -> dict[str, Sequence[str]]:
    """The same table with a path before each name, e.g. that of a layer in its model."""
    return {ours + name: [theirs + path for path in paths] for name, paths in modules.items()}
