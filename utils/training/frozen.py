"""Train the upper layers alone, on states of the frozen lower ones that are computed once.

A frozen layer without dropout gives a sentence the same states in every epoch and every run. Kept,
they save its forward pass each time; the upper layers learn as they would behind the whole model.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    DataCollatorForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

STATES = "states"
BATCH_SIZE = 64  # sentences at a time
INPUTS = ("input_ids", "token_type_ids", "attention_mask", "labels")


def freeze_lower(model: PreTrainedModel, num_layers: int) -> PreTrainedModel:
    """The same model, its embeddings and first layers frozen and in evaluation mode for good.

    `model.train()` turns their dropout on, the next forward pass off again: states that nothing
    learns from need no noise. The arguments are those of `FrozenStates`.
    """
    check_depth(model, num_layers)
    if num_layers:
        body = model.base_model
        for module in (body.embeddings, *body.encoder.layer[:num_layers]):
            module.requires_grad_(False)
            module.register_forward_pre_hook(stay_in_evaluation)
    return model


class FrozenStates:
    """The states after a model's embeddings and first layers, and what to train on them.

    A state takes 4 bytes times the encoder's width for each token, 1.5 kB at a width of 384. With
    `num_layers=0` nothing is frozen and nothing kept: the same calls then train the whole model.

    Args:
        model: with an encoder like BERT's or RoBERTa's (`embeddings`, `encoder.layer`). It is left
            in evaluation mode and shares its frozen weights, so leave them as they are.
        num_layers: how many layers are frozen, with the embeddings below them; 0 is neither.
        bf16: whether to compute the states under bfloat16 autocast. They are float32 all the same,
            as the layer norm at the end of each layer gives them.

    Raises:
        ValueError: the model has no such encoder, or has not that many layers.
    """

    def __init__(self, model: PreTrainedModel, num_layers: int, *, bf16: bool = False) -> None:
        check_depth(model, num_layers)
        self.model, self.num_layers = model.eval(), num_layers
        self.bf16 = bf16
        self.states: list[Tensor] = []  # (T, D) each

    def add(self, dataset: Dataset) -> Dataset:
        """The data set with a column `states`: the place of each sentence's states in the cache.

        Args:
            dataset: columns `input_ids` and, where the encoder takes them, `token_type_ids`,
                without padding.
        """
        if not self.num_layers:
            return dataset
        first = len(self.states)
        self.states += self.lower_states(dataset)
        return dataset.add_column(STATES, list(range(first, len(self.states))))

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> StateCollator:
        """What makes batches of a data set that `add` returned."""
        return StateCollator(tokenizer, states=self.states)

    def new_model(self, seed: int) -> PreTrainedModel:
        """A fresh copy of what is trained: the upper layers as they were, under a new head.

        It takes states (B, T, D) as `inputs_embeds` and makes its attention mask itself, as the
        whole model does. The seed is that of the head's weights.
        """
        model = self.model
        if self.num_layers:
            layers = model.base_model.encoder.layer[self.num_layers :]
            model = with_parts(model, GivenStates(), layers)
        return with_new_head(model, seed)

    def whole(self, upper: PreTrainedModel) -> PreTrainedModel:
        """The full model, which takes token ids, with what `upper` has learned.

        It is in evaluation mode and as precise as the model that the cache was made of, even if
        `upper` (from `new_model`) was trained under autocast. It shares its weights with both.
        """
        learned = dict(upper.named_parameters())
        memo = {
            id(weight): learned.get(layer_renamed(name, -self.num_layers), weight)
            for name, weight in self.model.named_parameters()
        }
        return copy.deepcopy(self.model, memo).to(upper.device).eval()

    @torch.no_grad()
    def lower_states(self, dataset: Dataset) -> list[Tensor]:
        """(T, D) for each sentence, float32 on the CPU; sentences of like length share a batch."""
        body = self.model.base_model
        lower = with_parts(body, body.embeddings, body.encoder.layer[: self.num_layers])
        names = [name for name in ("input_ids", "token_type_ids") if name in dataset.column_names]
        columns = {name: [torch.tensor(row) for row in dataset[name]] for name in names}
        lengths = torch.tensor([len(row) for row in columns["input_ids"]])  # (N,)
        states = {}
        for rows in lengths.argsort(descending=True).split(BATCH_SIZE):
            batch = padded(
                {name: [column[row] for row in rows] for name, column in columns.items()}
            )
            with torch.autocast(lower.device.type, torch.bfloat16, enabled=self.bf16):
                outputs = lower(**{name: ids.to(lower.device) for name, ids in batch.items()})
            for row, sentence in zip(rows, outputs.last_hidden_state.float().cpu(), strict=True):
                states[int(row)] = sentence[: lengths[row]].clone()
        return [states[row] for row in range(len(lengths))]


@dataclass
class StateCollator(DataCollatorForTokenClassification):
    """Pads labels with -100 and, in place of token ids, cached states (B, T, D) with zeros.

    Rows without a column `states` keep their padded token ids. Columns that are no input of a
    token classifier are left out.

    Attributes:
        states: (T, D) for each sentence.
    """

    states: Sequence[Tensor] = ()

    def torch_call(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The batch of some rows of a data set."""
        inputs = [{name: row[name] for name in INPUTS if name in row} for row in rows]
        batch = super().torch_call(inputs)
        if STATES in rows[0]:
            batch.pop("input_ids")
            batch.pop("token_type_ids", None)
            batch["inputs_embeds"] = pad_sequence(
                [self.states[row[STATES]] for row in rows],
                batch_first=True,
                padding_side=self.tokenizer.padding_side,
            )
        return batch


def padded(columns: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """(B, T) each, and an attention mask; no token looks at the zeros that fill the rows up."""
    columns = columns | {"attention_mask": [torch.ones_like(ids) for ids in columns["input_ids"]]}
    return {name: pad_sequence(rows, batch_first=True) for name, rows in columns.items()}


class GivenStates(nn.Module):
    """Stands where the embeddings were: the states come from below and stay as they are."""

    def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return inputs_embeds


def with_parts(
    model: PreTrainedModel, embeddings: nn.Module, layers: nn.ModuleList
) -> PreTrainedModel:
    """A copy of the model around these embeddings and layers, which are not copied."""
    body = model.base_model
    changed = copy.deepcopy(
        model, {id(body.embeddings): embeddings, id(body.encoder.layer): layers}
    )
    changed.base_model.config.num_hidden_layers = len(layers)
    return changed


def with_new_head(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A copy of the model with other weights outside its body, as its family draws them."""
    model = copy.deepcopy(model)  # and so no weight is marked as one that was loaded
    body = set(model.base_model.modules())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in model.modules():
            if module not in body:
                model._init_weights(module)
    return model


def layer_renamed(name: str, shift: int) -> str:
    """The name of a layer's weight after other layers came or went below it."""
    return re.sub(
        r"\bencoder\.layer\.(\d+)", lambda match: f"encoder.layer.{int(match[1]) + shift}", name
    )


def stay_in_evaluation(module: nn.Module, _: Any) -> None:
    """A hook before a module's forward pass."""
    module.eval()


def check_depth(model: PreTrainedModel, num_layers: int) -> None:
    """Raise ValueError unless so many of the model's layers can be told from the rest."""
    body = model.base_model
    parts = {name for name, _ in body.named_children()} - {"pooler"}
    if parts != {"embeddings", "encoder"} or [*dict(body.encoder.named_children())] != ["layer"]:
        raise ValueError(
            f"{type(body).__name__} is not embeddings and encoder.layer alone: use an encoder of "
            "BERT's, RoBERTa's or XLM-R's kind."
        )
    depth = len(body.encoder.layer)
    if not 0 <= num_layers <= depth:
        raise ValueError(
            f"num_layers={num_layers} cannot be frozen: name a number from 0 to {depth}."
        )
