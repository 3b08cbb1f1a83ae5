"""What a run reached: its model, and its metrics with and without the texts that fit no class."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from transformers import EvalPrediction, PreTrainedModel, Trainer

from utils.inputs import checked_logits

LOSSES = {"loss": "training_loss", "eval_loss": "validation_loss"}
NO_METRIC = ("runtime", "samples_per_second", "steps_per_second")


def trained_model(trainer: Trainer) -> PreTrainedModel:
    """The trainer's model as it will serve: in evaluation mode and float32.

    Under `bf16` training leaves its autocast wrapped around the model's forward, where it would
    decide what a benchmark measures and break exports; here it is taken off.
    """
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    model.__dict__.pop("forward", None)  # the method of the class again
    return model.eval()


def intent_metrics(oos_id: int) -> Callable[[EvalPrediction], dict[str, float]]:
    """A `compute_metrics`: accuracy, that on in-scope texts alone, and recall of out-of-scope ones.

    Metrics of texts that the data does not have are left out.
    """

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        labels = prediction.label_ids  # (N,)
        is_correct = checked_logits(prediction.predictions).argmax(axis=-1) == labels
        is_oos = labels == oos_id
        parts = {
            "accuracy": is_correct,
            "in_scope_accuracy": is_correct[~is_oos],
            "oos_recall": is_correct[is_oos],
        }
        return {name: float(part.mean()) for name, part in parts.items() if len(part)}

    return compute_metrics


def run_history(trainer: Trainer) -> pd.DataFrame:
    """The last run's losses and metrics, a row for each epoch that was logged or evaluated.

    Columns are `training_loss`, `validation_loss` and the metrics by their own names, as far as
    the run has them.
    """
    logged = pd.DataFrame(trainer.state.log_history).groupby("epoch").first()
    metrics = {
        name: name.removeprefix("eval_")
        for name in logged.columns
        if name.startswith("eval_") and name not in LOSSES and not name.endswith(NO_METRIC)
    }
    names = {name: new for name, new in LOSSES.items() if name in logged.columns} | metrics
    return logged[list(names)].rename(columns=names)
