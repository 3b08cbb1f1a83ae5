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
    seed: int = 0,
) -> optuna.Study:
    """Maximise a metric over settings by `Trainer.hyperparameter_search`, and keep the study.

    The metric is reported after each evaluation, and a trial that the pruner stops there counts as
    pruned. Afterwards the trainer's arguments are what they were; it has a model again after its
    next `train`.

    Args:
        trainer: made with `model_init`, so that every trial starts afresh.
        hp_space: names arguments of the trainer and draws a value for each from the trial.
        num_trials: finished and pruned ones together.
        metric: one of those that `trainer.evaluate` returns.
        pruner: none by default.
        seed: of the sampler (a tree-structured Parzen estimator).

    Returns:
        The study: `best_params`, `best_value`, `trials`, `trials_dataframe()`.

    Raises:
        ValueError: an evaluation does not give the metric.
        RuntimeError: the trainer was made without `model_init`.
    """
    arguments = copy.copy(vars(trainer.args))
    storage, name = optuna.storages.InMemoryStorage(), "settings"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trainer.hyperparameter_search(
            hp_space,
            compute_objective=lambda metrics: pick(metrics, metric),
            n_trials=num_trials,
            direction="maximize",
            backend="optuna",
            study_name=name,
            storage=storage,
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner or optuna.pruners.NopPruner(),
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
        vars(trainer.args).update(arguments)
    return optuna.load_study(study_name=name, storage=storage)


def pick(metrics: Mapping[str, float], metric: str) -> float:
    """One metric of an evaluation."""
    if metric not in metrics:
        raise ValueError(f'There is no "{metric}": an evaluation gives {", ".join(metrics)}.')
    return metrics[metric]


class SettingsRecorder(TrainerCallback):
    """Notes the values that arguments have when a run begins, which may not be those sampled.

    Args:
        names: of the arguments.

    Attributes:
        runs: for each run, the value by name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.runs: list[dict[str, Any]] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called by the trainer."""
        self.runs.append({name: getattr(args, name) for name in self.names})
