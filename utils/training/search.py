"""Search for the settings of a run, and a record of those that were really used."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import optuna
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)


def search_settings(
    trainer: Trainer,
    hp_space: Callable[[optuna.Trial], Mapping[str, Any]],
    *,
    num_trials: int,
    metric: str = "eval_accuracy",
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Maximise a metric of `trainer.evaluate` by `Trainer.hyperparameter_search`; keep the study.

    The metric is reported after each evaluation, and a trial that the pruner stops there counts as
    pruned. Afterwards the trainer's arguments are what they were.

    Args:
        trainer: made with `model_init`, so that every trial starts afresh.
        hp_space: names arguments of the trainer and draws a value for each from the trial.
        num_trials: finished and pruned ones together.
    """
    arguments = copy.copy(vars(trainer.args))
    storage, name = optuna.storages.InMemoryStorage(), "settings"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trainer.hyperparameter_search(
            hp_space,
            compute_objective=lambda metrics: metrics[metric],
            n_trials=num_trials,
            direction="maximize",
            backend="optuna",
            study_name=name,
            storage=storage,
            sampler=optuna.samplers.TPESampler(seed=0),
            pruner=pruner or optuna.pruners.NopPruner(),
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
        vars(trainer.args).update(arguments)
    return optuna.load_study(study_name=name, storage=storage)


class SettingsRecorder(TrainerCallback):
    """Notes the values that arguments have when a run begins, which may not be those sampled.

    `runs` has the values by name for each run.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.runs: list[dict[str, Any]] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called by the trainer."""
        self.runs.append({name: getattr(args, name) for name in self.names})
