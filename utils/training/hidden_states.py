"""A student that follows its teacher's hidden states, layer by layer, as well as its logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from utils.training.distillation import (
    TEACHER_LOGITS,
    DistillationTrainer,
    DistillationTrainingArguments,
    kd_loss,
)


def state_distance(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean squared difference of hidden states over the tokens that are no padding.

    Args:
        student, teacher: (B, T, D).
        attention_mask: (B, T), 1 at tokens.
    """
    is_token = attention_mask.bool()  # (B, T)
    return F.mse_loss(student[is_token], teacher[is_token])  # of (num_tokens, D)


def cosine_loss(student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
    """1 - cos(student, teacher), the mean over the tokens that are no padding.

    Args:
        student, teacher: (B, T, D).
        attention_mask: (B, T), 1 at tokens.
    """
    is_token = attention_mask.bool()  # (B, T)
    return 1 - F.cosine_similarity(student[is_token], teacher[is_token], dim=-1).mean()


def uniform_layers(student_depth: int, teacher_depth: int) -> dict[int, int]:
    """Student states and the teacher states they follow: evenly spaced, 0 being the embeddings.

    TinyBERT's mapping (Jiao et al. 2020, section 3.1): 3 layers follow layers 2, 4 and 6 of 6.

    Raises:
        ValueError: the teacher's depth is no multiple of the student's.
    """
    if teacher_depth % student_depth:
        raise ValueError(
            f"{student_depth} layers cannot follow {teacher_depth} evenly: name the layers instead."
        )
    step = teacher_depth // student_depth
    return {layer: layer * step for layer in range(student_depth + 1)}


class StateMatching(nn.Module):
    """The distance between chosen hidden states of a student and of its teacher.

    Where the widths differ, a linear map that is learned with the student takes its states to the
    teacher's width (TinyBERT, equation 8).

    Args:
        student_width, teacher_width: D of each.
        layers: student states, and the teacher states that they follow; 0 is the embeddings.
    """

    def __init__(self, student_width: int, teacher_width: int, layers: dict[int, int]) -> None:
        super().__init__()
        self.layers = layers
        needs_map = student_width != teacher_width
        self.maps = nn.ModuleDict(
            {
                str(layer): nn.Linear(student_width, teacher_width) if needs_map else nn.Identity()
                for layer in layers
            }
        )

    def forward(
        self,
        student_states: tuple[Tensor, ...],
        teacher_states: tuple[Tensor, ...],
        attention_mask: Tensor,
    ) -> Tensor:
        """The mean over layers of `state_distance`; states are (B, T, D) for each layer."""
        distances = [
            state_distance(
                self.maps[str(layer)](student_states[layer].float()),
                teacher_states[followed].float(),
                attention_mask,
            )
            for layer, followed in self.layers.items()
        ]
        return torch.stack(distances).mean()


@dataclass
class StateDistillationTrainingArguments(DistillationTrainingArguments):
    """`DistillationTrainingArguments` and the weight of the hidden states.

    Attributes:
        state_weight: what the distance of the hidden states is multiplied by, 0 or more.

    Raises:
        ValueError: one of them is out of its range.
    """

    state_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.state_weight = float(self.state_weight)
        if not self.state_weight >= 0:
            raise ValueError(f"state_weight={self.state_weight:g} is below 0: use 0 or more.")


class StateDistillationTrainer(DistillationTrainer):
    """`DistillationTrainer` with the distance of hidden states as a third term of the loss.

    The states of all tokens are too many to keep, so that the teacher reads every batch.

    Args:
        layers: student states and the teacher states they follow; `uniform_layers` by default.
        kwargs: those of `DistillationTrainer`; `teacher_model` is needed.
    """

    args: StateDistillationTrainingArguments

    def __init__(
        self,
        *args: Any,
        teacher_model: PreTrainedModel,
        layers: dict[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, teacher_model=teacher_model, **kwargs)
        self.layers = layers or uniform_layers(
            self.model.config.num_hidden_layers, teacher_model.config.num_hidden_layers
        )
        self.matching = self.new_matching()

    def new_matching(self) -> StateMatching:
        """A new `StateMatching` for student and teacher."""
        widths = (model.config.hidden_size for model in (self.model, self.teacher_model))
        return StateMatching(*widths, self.layers).to(self.args.device)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Trainer's, which learns the maps between widths, made anew for each run, as well."""
        optimizer = super().create_optimizer(model)
        self.matching = self.new_matching()
        if parameters := list(self.matching.parameters()):
            optimizer.add_param_group({"params": parameters})
            optimizer.register_step_post_hook(lambda *_: self.matching.zero_grad())
        return optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Any]:
        """alpha CE + (1 - alpha) KD + state_weight times the distance of the states."""
        taught = self.ask_teacher(inputs, output_hidden_states=True)
        asked = {TEACHER_LOGITS: taught.logits, "output_hidden_states": True}
        loss, outputs = super().compute_loss(model, dict(inputs) | asked, True, num_items_in_batch)
        distance = self.matching(
            outputs.hidden_states, taught.hidden_states, inputs["attention_mask"]
        )
        loss = loss + self.args.state_weight * distance
        outputs = SequenceClassifierOutput(loss=loss, logits=outputs.logits)
        return (loss, outputs) if return_outputs else loss


class PretrainingLosses(NamedTuple):
    """The terms of DistilBERT's loss (Sanh et al. 2019, section 2), each a scalar.

    Attributes:
        masked_lm: cross-entropy of the student at masked tokens.
        kd: T^2 KL(teacher || student) over the tokens that are no padding.
        cosine: 1 - cos of the last hidden states, over the same tokens.
    """

    masked_lm: Tensor
    kd: Tensor
    cosine: Tensor


def pretraining_losses(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: dict[str, Tensor],
    *,
    temperature: float = 2.0,
) -> PretrainingLosses:
    """The three terms on one batch of masked text; gradients go to the student only.

    Args:
        student, teacher: masked language models of the same width and vocabulary.
        batch: `input_ids`, `attention_mask` and `labels`, (B, T) each, labels being -100 where
            nothing was masked, as `DataCollatorForLanguageModeling` makes them.
        temperature: of the kd term.

    Raises:
        ValueError: the two vocabularies differ in size.
    """
    outputs = student(**batch, output_hidden_states=True)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad():
        taught = teacher(**inputs, output_hidden_states=True)
    mask = batch["attention_mask"]
    is_token = mask.bool()
    return PretrainingLosses(
        masked_lm=outputs.loss,
        kd=kd_loss(outputs.logits[is_token], taught.logits[is_token], temperature),
        cosine=cosine_loss(outputs.hidden_states[-1], taught.hidden_states[-1], mask),
    )
