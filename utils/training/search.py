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

from utils.inputs import check_count, choices

NONE_FINISHED = "No trials are completed yet"  # how optuna begins; the study is whole


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

    Returns:
        The study, also where no trial finished (all pruned, or their metric NaN).

    Raises:
        ValueError: `num_trials` below 1, an argument that the trainer lacks, or an unknown metric.
    """
    check_count(num_trials=num_trials)

    def checked_space(trial: optuna.Trial) -> Mapping[str, Any]:
        values = hp_space(trial)
        for name in values:
            if name not in arguments:
                known = choices(name, arguments)
                raise ValueError(f"The trainer has no argument {name!r}: choose {known}.")
        return values

    def objective(metrics: Mapping[str, float]) -> float:
        if metric not in metrics:
            known = choices(metric, metrics)
            raise ValueError(f"The evaluation has no metric {metric!r}: choose {known}.")
        return metrics[metric]

    arguments = copy.copy(vars(trainer.args))
    storage, name = optuna.storages.InMemoryStorage(), "settings"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trainer.hyperparameter_search(
            checked_space,
            compute_objective=objective,
            n_trials=num_trials,
            direction="maximize",
            backend="optuna",
            study_name=name,
            storage=storage,
            sampler=optuna.samplers.TPESampler(seed=0),
            pruner=pruner or optuna.pruners.NopPruner(),
        )
    except ValueError as error:
        if NONE_FINISHED not in str(error):
            raise
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
