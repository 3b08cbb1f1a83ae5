"""A student that follows its teacher's hidden states, layer by layer, as well as its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from utils.models.modes import evaluating
from utils.training.distillation import (
    TEACHER_LOGITS,
    DistillationTrainer,
    DistillationTrainingArguments,
    kd_loss,
)


def state_distance(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean squared difference of hidden states (B, T, D) over the tokens that are no padding."""
    is_token = attention_mask.bool()  # (B, T)
    return F.mse_loss(student[is_token], teacher[is_token])  # of (num_tokens, D)


def cosine_loss(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """1 - cos of hidden states (B, T, D), the mean over the tokens that are no padding."""
    is_token = attention_mask.bool()  # (B, T)
    return 1 - F.cosine_similarity(student[is_token], teacher[is_token], dim=-1).mean()


def uniform_layers(student_depth: int, teacher_depth: int) -> dict[int, int]:
    """Student states and the teacher states they follow: evenly spaced, 0 being the embeddings.

    TinyBERT's mapping (Jiao et al. 2020, section 3.1): 3 layers follow layers 2, 4 and 6 of 6.
    """
    if teacher_depth % student_depth:
        raise ValueError(f"{student_depth} layers cannot follow {teacher_depth} evenly.")
    step = teacher_depth // student_depth
    return {layer: layer * step for layer in range(student_depth + 1)}


@dataclass
class StateDistillationTrainingArguments(DistillationTrainingArguments):
    """`DistillationTrainingArguments` and the factor of the distance of the hidden states."""

    state_weight: float = 1.0


class StateDistillationTrainer(DistillationTrainer):
    """`DistillationTrainer` with the distance of hidden states as a third term of the loss.

    The states of all tokens are too many to keep, so that the teacher, which is as wide as the
    student, reads every batch.
    """

    args: StateDistillationTrainingArguments

    def __init__(self, *args: Any, teacher_model: PreTrainedModel, **kwargs: Any) -> None:
        super().__init__(*args, teacher_model=teacher_model, **kwargs)
        depths = [model.config.num_hidden_layers for model in (self.model, teacher_model)]
        self.layers = uniform_layers(*depths)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Any]:
        """alpha CE + (1 - alpha) KD + state_weight times the mean distance of the states."""
        taught = self.ask_teacher(inputs, output_hidden_states=True)
        asked = {TEACHER_LOGITS: taught.logits, "output_hidden_states": True}
        loss, outputs = super().compute_loss(model, dict(inputs) | asked, True, num_items_in_batch)
        ours, theirs, mask = outputs.hidden_states, taught.hidden_states, inputs["attention_mask"]
        distances = [
            state_distance(ours[layer].float(), theirs[followed].float(), mask)
            for layer, followed in self.layers.items()
        ]
        loss = loss + self.args.state_weight * torch.stack(distances).mean()
        outputs = SequenceClassifierOutput(loss=loss, logits=outputs.logits)
        return (loss, outputs) if return_outputs else loss


class PretrainingLosses(NamedTuple):
    """The terms of DistilBERT's loss (Sanh et al. 2019, section 2), each a scalar."""

    masked_lm: Tensor  # cross-entropy of the student at masked tokens
    kd: Tensor  # T^2 KL(teacher || student) over the tokens that are no padding
    cosine: Tensor  # 1 - cos of the last hidden states, over the same tokens


def pretraining_losses(
    student: PreTrainedModel, teacher: PreTrainedModel, batch: dict[str, Tensor]
) -> PretrainingLosses:
    """The three terms on one batch of masked text, at T = 2; gradients go to the student only.

    Args:
        student, teacher: masked language models of the same width and vocabulary.
        batch: as `DataCollatorForLanguageModeling` makes it.
    """
    outputs = student(**batch, output_hidden_states=True)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad(), evaluating(teacher):
        taught = teacher(**inputs, output_hidden_states=True)
    mask = batch["attention_mask"]
    is_token = mask.bool()
    return PretrainingLosses(
        masked_lm=outputs.loss,
        kd=kd_loss(outputs.logits[is_token], taught.logits[is_token], temperature=2.0),
        cosine=cosine_loss(outputs.hidden_states[-1], taught.hidden_states[-1], mask),
    )
