"""Where a student starts from: a checkpoint of its own, or some of its teacher's layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from os import PathLike

from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from utils.quiet import quiet_loading


def student_init(
    checkpoint: str | PathLike[str], teacher: PreTrainedModel
) -> Callable[[], PreTrainedModel]:
    """A function for `Trainer(model_init=...)`, so that every run starts afresh.

    Each call loads the checkpoint under a new head with the teacher's labels; the seed of the run
    decides the head's weights. That they are new is not reported.
    """
    labels = {"id2label": teacher.config.id2label, "label2id": teacher.config.label2id}
    config = AutoConfig.from_pretrained(checkpoint, **labels)

    def init() -> PreTrainedModel:
        with quiet_loading():
            return AutoModelForSequenceClassification.from_pretrained(
                checkpoint, config=copy.deepcopy(config)
            )

    return init


def drop_layers(model: PreTrainedModel, layers: Sequence[int]) -> PreTrainedModel:
    """A copy of an encoder with some of its layers only, as DistilBERT starts from BERT.

    All other weights, the head among them, are those of the model (Sanh et al. 2019, section 3,
    took every second layer).

    Args:
        model: of BERT's, DistilBERT's or a like family, with or without a head; it stays as it is.
        layers: the layers to keep, counted from 0, in rising order.
    """
    kept = list(layers)
    student = copy.deepcopy(model)
    parent, name = layer_stack(student)
    stack = getattr(parent, name)
    setattr(parent, name, nn.ModuleList(stack[layer] for layer in kept))
    student.config.num_hidden_layers = len(kept)
    return student


def layer_stack(model: PreTrainedModel) -> tuple[nn.Module, str]:
    """The module that holds the model's stack of layers, and the stack's name in it."""
    stacks = [
        (parent, name)
        for parent in model.base_model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == model.config.num_hidden_layers
    ]
    if len(stacks) != 1:
        raise ValueError(
            f"{type(model).__name__} has {len(stacks)} stacks of layers: use an encoder with one."
        )
    return stacks[0]
