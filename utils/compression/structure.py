"""Structured pruning: whole feed-forward neurons go, so that matrices shrink.

Zeros among other weights save no time on usual hardware; smaller dense matrices do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from utils.models.modes import evaluating

Model = TypeVar("Model", bound=PreTrainedModel)


class Family(NamedTuple):
    """Where a family of encoders has its I feed-forward neurons."""

    layers: str  # path of the stack of L layers in the base model
    up: str  # path in a layer: into the neurons, (I, D)
    down: str  # out of them, (D, I)
    width: str  # what the configuration calls I


FAMILIES = {
    "bert": Family("encoder.layer", "intermediate.dense", "output.dense", "intermediate_size"),
    "distilbert": Family("transformer.layer", "ffn.lin1", "ffn.lin2", "hidden_dim"),
}


def neuron_importance(model: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """How much the loss would change, to first order, if a neuron's output grew or shrank, (L, I).

    The mean over examples of |∑ activation · gradient|, summed over all positions, as Michel et al.
    2019 (equation 2) have it for heads.

    Args:
        model: a classifier of BERT's or DistilBERT's family; dropout is off meanwhile.
        batches: keyword arguments of the model, labels (B,) among them.
    """
    rows = []
    with _neurons(model) as neurons, evaluating(model):
        for batch in batches:
            neurons.clear()
            # The loss is a mean over the batch: B times it is the sum of the examples' losses.
            loss = model(**batch).loss * len(batch["labels"])
            gradients = torch.autograd.grad(loss, neurons)  # L times (B, T, I)
            products = [x.detach() * g for x, g in zip(neurons, gradients, strict=True)]
            rows.append(torch.stack([product.sum(dim=1) for product in products], dim=1))
    if not rows:
        raise ValueError("There is no batch to measure neurons on: give at least one.")
    return torch.cat(rows).abs().mean(dim=0)  # (N, L, I) -> (L, I)


def prune_neurons(model: Model, importance: Tensor, fraction: float) -> Model:
    """A copy without the least important feed-forward neurons of each layer.

    Its configuration says so, and `from_pretrained` reads it once it is saved.

    Args:
        model: of BERT's or DistilBERT's family, with any head; it stays as it is.
        importance: (L, I); see `neuron_importance`.
        fraction: of the I neurons of each layer that go, rounded; in [0, 1).

    Raises:
        ValueError: no neuron would stay, or the model's family is not known.
    """
    family, num_neurons = _family_of(model), importance.shape[1]
    num_kept = num_neurons - round(fraction * num_neurons)
    if not 0 < num_kept <= num_neurons:
        raise ValueError(
            f"Without {fraction:.0%} of {num_neurons} neurons there is nothing to work with: "
            "choose a fraction of 0 or more that leaves at least one in each layer."
        )
    kept = importance.topk(num_kept, dim=1).indices.sort(dim=1).values  # (L, kept)
    pruned = copy.deepcopy(model)
    layers = pruned.base_model.get_submodule(family.layers)
    for layer, neurons in zip(layers, kept, strict=True):
        _select(layer, family.up, neurons, of_inputs=False)
        _select(layer, family.down, neurons, of_inputs=True)
    setattr(pruned.config, family.width, num_kept)
    return pruned


def _family_of(model: PreTrainedModel) -> Family:
    model_type = model.config.model_type
    if model_type not in FAMILIES:
        raise ValueError(f"{model_type!r} models cannot be pruned: take {' or '.join(FAMILIES)}.")
    return FAMILIES[model_type]


def _select(layer: nn.Module, path: str, units: Tensor, *, of_inputs: bool) -> None:
    """Put a smaller linear layer at `path`, with these inputs or these outputs only."""
    linear = layer.get_submodule(path)
    units = units.to(linear.weight.device)
    weight = linear.weight.detach().index_select(int(of_inputs), units)
    bias = linear.bias.detach() if of_inputs else linear.bias.detach()[units]
    smaller = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    smaller.weight, smaller.bias = nn.Parameter(weight), nn.Parameter(bias.clone())
    layer.set_submodule(path, smaller)


@contextmanager
def _neurons(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """A list that fills with the neurons' outputs (B, T, I), layer by layer."""
    family, outputs = _family_of(model), []
    hooks = [
        layer.get_submodule(family.down).register_forward_pre_hook(
            lambda _, args: outputs.append(args[0])
        )
        for layer in model.base_model.get_submodule(family.layers)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
