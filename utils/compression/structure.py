"""Structured pruning: whole attention heads and feed-forward neurons go, so that matrices shrink.

Zeros among other weights save no time on usual hardware; smaller dense matrices do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from utils.models.modes import evaluating

Model = TypeVar("Model", bound=PreTrainedModel)


@dataclass(frozen=True)
class Family:
    """Where a family of encoders has its linear layers.

    Attributes:
        layers: path of the stack of L layers in the base model; the next four are paths in a layer.
        projections: of queries, keys and values, (H · d, D) each.
        attended: the one behind the heads, (D, H · d).
        up: into the neurons of the feed-forward part, (I, D).
        down: out of them, (D, I).
        width: what the configuration calls I.
    """

    layers: str
    projections: tuple[str, str, str]
    attended: str
    up: str
    down: str
    width: str


BERT = Family(
    layers="encoder.layer",
    projections=("attention.self.query", "attention.self.key", "attention.self.value"),
    attended="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
    width="intermediate_size",
)
DISTILBERT = Family(
    layers="transformer.layer",
    projections=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attended="attention.out_lin",
    up="ffn.lin1",
    down="ffn.lin2",
    width="hidden_dim",
)
FAMILIES = {"bert": BERT, "roberta": BERT, "xlm-roberta": BERT, "distilbert": DISTILBERT}


def head_importance(model: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """How much the loss would change, to first order, if a head's output grew or shrank.

    The mean over examples of |∑ activation · gradient|, summed over a head's features and all
    positions (Michel et al. 2019, equation 2).

    Args:
        model: a classifier that returns a loss; dropout is off meanwhile.
        batches: keyword arguments of the model, labels (B,) among them.

    Returns:
        (L, H), of L layers with H heads each.

    Raises:
        ValueError: there are no batches, or the model's family is not known.
    """
    sensitivities = _sensitivities(model, family_of(model).attended, batches)  # (N, L, H · d)
    return sensitivities.unflatten(-1, (-1, head_dim(model))).sum(dim=-1).abs().mean(dim=0)


def neuron_importance(model: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """The same for the neurons between the feed-forward matrices; see `head_importance`.

    Returns:
        (L, I), of L layers with I neurons each.
    """
    return _sensitivities(model, family_of(model).down, batches).abs().mean(dim=0)


def prune_heads(model: Model, importance: Tensor, fraction: float) -> Model:
    """A copy without the least important heads of each layer.

    Queries, keys and values of the others, and what is done with them, stay the same. The family's
    own code runs such a model, but its configuration cannot tell: read a saved one by
    `load_pruned`.

    Args:
        model: of BERT's, RoBERTa's or DistilBERT's family, with any head; it stays as it is.
        importance: (L, H); see `head_importance`.
        fraction: of the H heads of each layer that go, rounded; in [0, 1).

    Raises:
        ValueError: no head would stay, importance has another shape, or the family is not known.
    """
    pruned = copy.deepcopy(model)
    paths, layers, dim = family_of(pruned), transformer_layers(pruned), head_dim(pruned)
    num_heads = layers[0].get_submodule(paths.attended).in_features // dim
    kept = kept_units(importance, (len(layers), num_heads), fraction)
    for layer, heads in zip(layers, kept, strict=True):
        features = (heads[:, None] * dim + torch.arange(dim)).flatten()  # (kept · d,)
        for path in paths.projections:
            _select(layer, path, features, of_inputs=False)
        _select(layer, paths.attended, features, of_inputs=True)
    return pruned


def prune_neurons(model: Model, importance: Tensor, fraction: float) -> Model:
    """A copy without the least important feed-forward neurons of each layer.

    Its configuration says so, and `from_pretrained` reads it once it is saved.

    Args:
        model: of BERT's, RoBERTa's or DistilBERT's family, with any head; it stays as it is.
        importance: (L, I); see `neuron_importance`.
        fraction: of the I neurons of each layer that go, rounded; in [0, 1).

    Raises:
        ValueError: no neuron would stay, importance has another shape, or the family is not known.
    """
    pruned = copy.deepcopy(model)
    paths, layers = family_of(pruned), transformer_layers(pruned)
    num_neurons = layers[0].get_submodule(paths.down).in_features
    kept = kept_units(importance, (len(layers), num_neurons), fraction)
    for layer, neurons in zip(layers, kept, strict=True):
        _select(layer, paths.up, neurons, of_inputs=False)
        _select(layer, paths.down, neurons, of_inputs=True)
    setattr(pruned.config, paths.width, kept.shape[1])
    return pruned


def load_pruned(architecture: type[Model], folder: str | PathLike[str]) -> Model:
    """A pruned model from where its `save_pretrained` wrote it, whatever its numbers of heads.

    Args:
        architecture: the class of the model, such as `BertForSequenceClassification`.
        folder: with config.json and model.safetensors.
    """
    model = architecture(architecture.config_class.from_pretrained(folder))
    weights = load_file(Path(folder) / "model.safetensors")
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            module.weight = nn.Parameter(torch.empty_like(weights[f"{name}.weight"]))
            if module.bias is not None:
                module.bias = nn.Parameter(torch.empty_like(weights[f"{name}.bias"]))
            module.out_features, module.in_features = module.weight.shape
    model.load_state_dict(weights)
    return model.eval()


def kept_units(importance: Tensor, shape: tuple[int, int], fraction: float) -> Tensor:
    """Indices of the most important units of each layer, rising: (L, U) -> (L, kept)."""
    if importance.shape != shape:
        raise ValueError(
            f"importance has the shape {tuple(importance.shape)}, the model {shape} layers and "
            "units: compute it for this model."
        )
    num_kept = shape[1] - round(fraction * shape[1])
    if not 0 < num_kept <= shape[1]:
        raise ValueError(
            f"Without {fraction:.0%} of {shape[1]} there is nothing to work with: choose a "
            "fraction of 0 or more that leaves at least one in each layer."
        )
    return importance.topk(num_kept, dim=1).indices.sort(dim=1).values.cpu()


def family_of(model: PreTrainedModel) -> Family:
    """Paths in this model; ValueError if its family is not known."""
    model_type = model.config.model_type
    if model_type not in FAMILIES:
        raise ValueError(
            f"Models of the type {model_type!r} cannot be pruned here: take one of "
            f"{', '.join(FAMILIES)}."
        )
    return FAMILIES[model_type]


def transformer_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The stack of L layers of the encoder."""
    return model.base_model.get_submodule(family_of(model).layers)


def head_dim(model: PreTrainedModel) -> int:
    """d, features of a head, which stays when heads go."""
    return model.config.hidden_size // model.config.num_attention_heads


def _select(layer: nn.Module, path: str, units: Tensor, *, of_inputs: bool) -> None:
    """Put a smaller linear layer at `path`, with these inputs or these outputs only."""
    linear = layer.get_submodule(path)
    units = units.to(linear.weight.device)
    weight = linear.weight.detach().index_select(int(of_inputs), units)
    bias = linear.bias.detach() if of_inputs else linear.bias.detach()[units]
    smaller = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    smaller.weight, smaller.bias = nn.Parameter(weight), nn.Parameter(bias.clone())
    layer.set_submodule(path, smaller)


def _sensitivities(
    model: PreTrainedModel, path: str, batches: Iterable[Mapping[str, Tensor]]
) -> Tensor:
    """∑ over positions of activation · gradient, at the input of a linear layer: (N, L, F)."""
    rows = []
    with _inputs_of(model, path) as inputs, evaluating(model):
        for batch in batches:
            inputs.clear()
            # The loss is a mean over the batch: B times it is the sum of the examples' losses.
            loss = model(**batch).loss * len(batch["labels"])
            gradients = torch.autograd.grad(loss, inputs)  # L times (B, T, F)
            products = [x.detach() * g for x, g in zip(inputs, gradients, strict=True)]
            rows.append(torch.stack([product.sum(dim=1) for product in products], dim=1))
    if not rows:
        raise ValueError("There are no batches: importance is measured on some examples.")
    return torch.cat(rows)


@contextmanager
def _inputs_of(model: PreTrainedModel, path: str) -> Iterator[list[Tensor]]:
    """A list that fills with what enters the linear layer at `path` of each transformer layer."""
    inputs: list[Tensor] = []
    hooks = [
        layer.get_submodule(path).register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
        for layer in transformer_layers(model)
    ]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()
