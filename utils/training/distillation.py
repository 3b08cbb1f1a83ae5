"""Knowledge distillation: a student learns from a teacher's logits as well as from the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset, List, Value
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

from utils.inputs import check_count, checked_logits, checked_texts
from utils.models.inputs import max_tokens
from utils.models.modes import evaluating

TEACHER_LOGITS = "teacher_logits"


def softened(logits: Tensor, temperature: float) -> Tensor:
    """softmax(logits / T) over the last axis: the larger T, the closer to uniform."""
    check_temperature(temperature)
    return (logits / temperature).softmax(dim=-1)


def entropy(probs: Tensor) -> Tensor:
    """Entropy in nats over the last axis, (..., N) -> (...)."""
    return torch.special.entr(probs).sum(dim=-1)


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T^2 times the mean over rows of KL(teacher || student), both softened (Hinton et al. 2015).

    T^2 makes up for gradients that shrink as 1 / T^2.

    Args:
        student_logits: (B, N).
        teacher_logits: (B, N); no gradient goes through them.
        temperature: T, above 0 and finite.

    Raises:
        ValueError: the shapes differ, or the temperature is out of its range.
    """
    check_temperature(temperature)
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"The student's logits have the shape {tuple(student_logits.shape)}, the teacher's "
            f"{tuple(teacher_logits.shape)}: both need the same classes."
        )
    student_log_probs = F.log_softmax(student_logits / temperature, dim=-1)
    teacher_log_probs = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    lowest = torch.finfo(teacher_log_probs.dtype).min  # times a probability of 0 it is 0, -inf NaN
    divergence = F.kl_div(
        student_log_probs, teacher_log_probs.clamp(lowest), reduction="batchmean", log_target=True
    )
    return temperature**2 * divergence


@torch.inference_mode()
def teacher_logits(
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    batch_size: int = 64,
    bf16: bool = False,
) -> Tensor:
    """Logits (N, num_classes), float32 on the CPU, in the order of `texts`.

    Texts of like length share a batch, so that little is spent on padding.

    Args:
        teacher: a sequence classifier, which stays in its mode.
        tokenizer: the teacher's own; it may differ from the student's.
        bf16: whether to compute under bfloat16 autocast.

    Raises:
        ValueError: no texts, no strings, a batch size below 1, or logits that are NaN.
    """
    check_count(batch_size=batch_size)
    texts = checked_texts(texts)
    encoded = tokenizer(texts, truncation=True, max_length=max_tokens(teacher, tokenizer))
    lengths = torch.tensor([len(ids) for ids in encoded["input_ids"]])  # (N,)
    logits = torch.empty(len(texts), teacher.config.num_labels)
    for rows in lengths.argsort(descending=True).split(int(batch_size)):
        batch = {name: [column[row] for row in rows] for name, column in encoded.items()}
        batch = tokenizer.pad(batch, return_tensors="pt").to(teacher.device)
        autocast = torch.autocast(teacher.device.type, torch.bfloat16, enabled=bf16)
        with autocast, evaluating(teacher):
            logits[rows] = teacher(**batch).logits.float().cpu()
    checked_logits(logits)
    return logits


def add_teacher_logits(
    dataset: Dataset,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    bf16: bool = False,
) -> Dataset:
    """The data set with a column `teacher_logits`, (num_classes,) in each row, of its texts.

    The teacher does not change while the student learns, so that one pass over the data is enough
    for all epochs and all runs; `DistillationTrainer` takes the column where it finds one.
    """
    logits = teacher_logits(teacher, tokenizer, list(dataset["text"]), bf16=bf16)
    return dataset.add_column(TEACHER_LOGITS, logits.tolist(), feature=List(Value("float32")))


@dataclass
class DistillationTrainingArguments(TrainingArguments):
    """`TrainingArguments`, the two of distillation, and no progress bars unless asked for.

    `alpha` and `temperature` become floats here: `hyperparameter_search` casts each sampled value
    to the type of the value that it replaces, so that an integer 1 would turn every alpha below 1
    into 0.

    Attributes:
        alpha: the weight of the labels, 0 to 1; the teacher has the rest.
        temperature: softens both distributions, above 0.
    """

    alpha: float = 0.5
    temperature: float = 2.0
    disable_tqdm: bool | None = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha, self.temperature = float(self.alpha), float(self.temperature)
        check_temperature(self.temperature)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha={self.alpha:g} is not a weight: use a number from 0 to 1.")


class DistillationTrainer(Trainer):
    """Trains a student on alpha CE + (1 - alpha) KD.

    The teacher's logits come from the data's column `teacher_logits` if it has one (see
    `add_teacher_logits`), else from `teacher_model`; with alpha = 1 neither is needed. The loss
    that it evaluates is the mixed one, so that losses compare only between runs with the same
    alpha and temperature.

    Args:
        teacher_model: reads the same token ids as the student, has the same labels, and stays as
            it is.

    Raises:
        ValueError: the teacher has another vocabulary or other labels than the student; in
            training, that there is no teacher and alpha is below 1.
    """

    args: DistillationTrainingArguments

    def __init__(
        self, *args: Any, teacher_model: PreTrainedModel | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False  # our losses are means over a batch
        self.teacher_model = teacher_model
        if teacher_model is not None:
            check_same_task(self.model, teacher_model)
            teacher_model.to(self.args.device).eval()
        if self.args.disable_tqdm:
            self.remove_callback(PrinterCallback)  # it would print every log line

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Any]:
        """The mixed loss of a batch, and the student's outputs if asked for."""
        inputs = dict(inputs)
        known_logits = inputs.pop(TEACHER_LOGITS, None)  # (B, N)
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        alpha = self.args.alpha
        if alpha < 1:
            targets = self.ask_teacher(inputs).logits if known_logits is None else known_logits
            loss = alpha * loss + (1 - alpha) * kd_loss(
                outputs.logits, targets, self.args.temperature
            )
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def ask_teacher(self, inputs: dict[str, Tensor], **options: Any) -> Any:
        """The teacher's outputs for a batch, computed as precisely as the student's."""
        if self.teacher_model is None:
            raise ValueError(
                "There is no teacher: pass teacher_model, give training and evaluation data a "
                "column of logits by add_teacher_logits, or set alpha=1.0."
            )
        no_inputs = ("labels", TEACHER_LOGITS)
        inputs = {name: value for name, value in inputs.items() if name not in no_inputs}
        with self.accelerator.autocast():
            return self.teacher_model(**inputs, **options)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if TEACHER_LOGITS not in self._signature_columns:
            self._signature_columns.append(TEACHER_LOGITS)  # or Trainer would drop the column


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is above 0 and finite."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature:g} cannot soften: use a number above 0.")


def check_same_task(student: PreTrainedModel, teacher: PreTrainedModel) -> None:
    """Raise ValueError unless both read the same ids and number the same labels alike."""
    sizes = student.config.vocab_size, teacher.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"The student knows {sizes[0]:,} tokens and the teacher {sizes[1]:,}: compute the "
            "teacher's logits from the texts by add_teacher_logits."
        )
    if student.config.id2label != teacher.config.id2label:
        raise ValueError(
            "Student and teacher number their labels differently: make the student by student_init."
        )
