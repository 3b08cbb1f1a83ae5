"""Every trial trains with the settings that were drawn for it; histories and metrics are true."""

import numpy as np
import optuna
import pytest
import torch
from tiny_task import LABELS, encoded_texts, tiny_bert, tiny_tokenizer, tiny_trainer
from transformers import EvalPrediction

from utils.training import (
    SettingsRecorder,
    add_teacher_logits,
    intent_metrics,
    run_history,
    search_settings,
)

OOS = LABELS.index("oos")
NUM_TRIALS = 3
NAMES = ("num_train_epochs", "alpha", "temperature")


@pytest.fixture(scope="module")
def data():
    teacher, tokenizer = tiny_bert(num_layers=2, seed=1), tiny_tokenizer()
    return {
        "train_dataset": add_teacher_logits(encoded_texts(64), teacher, tokenizer),
        "eval_dataset": add_teacher_logits(encoded_texts(32, seed=1), teacher, tokenizer),
    }


def searching_trainer(folder, data, *names, **settings):
    """With a record of the arguments that each run has."""
    recorder = SettingsRecorder(names)
    trainer = tiny_trainer(
        folder, model_init=lambda: tiny_bert(), callbacks=[recorder], settings=settings,
        compute_metrics=intent_metrics(OOS), **data,
    )  # fmt: skip
    return trainer, recorder


def hp_space(trial):
    return {
        "num_train_epochs": trial.suggest_int("num_train_epochs", 1, 2),
        "alpha": trial.suggest_float("alpha", 0, 1),
        "temperature": trial.suggest_int("temperature", 2, 20),
    }


def test_each_trial_trains_with_what_was_drawn_and_says_nothing(tmp_path, data, capfd):
    trainer, recorder = searching_trainer(tmp_path, data, *NAMES, alpha=1)
    capfd.readouterr()
    study = search_settings(trainer, hp_space, num_trials=NUM_TRIALS)
    assert capfd.readouterr() == ("", "")
    assert recorder.runs == [trial.params for trial in study.trials]
    assert len({run["alpha"] for run in recorder.runs}) == NUM_TRIALS


def test_an_integer_alpha_is_zero_in_every_trial(tmp_path, data):
    trainer, recorder = searching_trainer(tmp_path, data, "alpha")
    trainer.args.alpha = 1
    study = search_settings(trainer, hp_space, num_trials=NUM_TRIALS)
    assert [run["alpha"] for run in recorder.runs] == [0] * NUM_TRIALS
    assert all(0 < trial.params["alpha"] < 1 for trial in study.trials)


def test_the_drawn_alpha_is_in_the_loss(tmp_path, data):
    """A search over alpha alone, without training: losses lie on the line between CE and KD."""
    trainer, recorder = searching_trainer(tmp_path, data, "alpha", learning_rate=0.0)
    study = search_settings(
        trainer,
        lambda trial: {"alpha": trial.suggest_float("alpha", 0, 1)},
        num_trials=NUM_TRIALS,
        metric="eval_loss",
    )
    alphas = [run["alpha"] for run in recorder.runs]
    losses = [trial.value for trial in study.trials]
    line = np.polynomial.Polynomial.fit(alphas, losses, deg=1)
    np.testing.assert_allclose(losses, line(np.array(alphas)), rtol=1e-5)
    assert max(losses) - min(losses) > 0.01


def test_the_best_trial_has_the_highest_metric_and_arguments_come_back(tmp_path, data):
    trainer, _ = searching_trainer(tmp_path, data, alpha=0.7)
    study = search_settings(trainer, hp_space, num_trials=NUM_TRIALS, metric="eval_oos_recall")
    values = [trial.value for trial in study.trials]
    assert study.best_value == max(values)
    assert all(0 <= value <= 1 for value in values)
    assert (trainer.args.alpha, trainer.args.temperature) == (0.7, 2.0)
    assert trainer.args.num_train_epochs == 1


def test_hopeless_trials_are_pruned_at_their_first_evaluation(tmp_path, data):
    rates = [1e-2, 0.0, 0.0]
    trainer, _ = searching_trainer(tmp_path, data, num_train_epochs=8, alpha=1.0)
    study = search_settings(
        trainer,
        lambda trial: {"learning_rate": rates[trial.number]},
        num_trials=3,
        metric="eval_accuracy",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=8),
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert len(study.trials[0].intermediate_values) == 8
    assert max(len(trial.intermediate_values) for trial in study.trials[1:]) < 8
    assert study.best_trial.number == 0


def pruned(trial):
    raise optuna.TrialPruned


def without_a_value(trial):
    return {"alpha": trial.suggest_float("alpha", 0, 1)}


@pytest.mark.parametrize(("hp_space", "state"), [(pruned, "PRUNED"), (without_a_value, "FAIL")])
def test_a_search_in_which_no_trial_finished_gives_its_study_back(
    tmp_path, data, monkeypatch, hp_space, state
):
    trainer, _ = searching_trainer(tmp_path, data, alpha=0.7)
    monkeypatch.setattr(trainer, "compute_metrics", lambda _: {"accuracy": float("nan")})
    study = search_settings(trainer, hp_space, num_trials=2)
    assert [trial.state.name for trial in study.trials] == [state] * 2
    assert trainer.args.alpha == 0.7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_trials": 0}, "^num_trials is 0: choose a whole number of 1 or more"),
        (
            {"hp_space": lambda _: {"temperatur": 2}},
            "'temperatur': choose 'temperature'",
        ),
        ({"metric": "eval_acuracy"}, "no metric 'eval_acuracy': choose .*'eval_accuracy'"),
    ],
)
def test_a_search_for_nothing_is_refused(tmp_path, data, options, sentence):
    trainer, _ = searching_trainer(tmp_path, data)
    with pytest.raises(ValueError, match=sentence):
        search_settings(trainer, **{"hp_space": hp_space, "num_trials": 1} | options)


@pytest.mark.parametrize("kind", [np.array, lambda x: torch.tensor(x).bfloat16()])
def test_metrics_find_the_logits_among_hidden_states(kind):
    labels, logits = np.array([0, OOS]), np.eye(len(LABELS))[[0, 1]]
    expected = intent_metrics(OOS)(EvalPrediction(logits, labels))
    states = (np.zeros((2, 3, 4)),)
    assert intent_metrics(OOS)(EvalPrediction((kind(logits), states), labels)) == expected


def test_metrics_of_a_damaged_model_are_refused():
    prediction = EvalPrediction(np.full((1, len(LABELS)), np.nan), np.array([0]))
    with pytest.raises(ValueError, match=r"^Some of the model's logits are NaN"):
        intent_metrics(OOS)(prediction)


def test_metrics_tell_in_scope_from_out_of_scope():
    labels = np.array([0, 1, OOS, OOS, 2])
    predicted = np.array([0, 2, OOS, 1, 2])
    logits = np.eye(len(LABELS))[predicted]
    assert intent_metrics(OOS)(EvalPrediction(logits, labels)) == pytest.approx(
        {"accuracy": 3 / 5, "in_scope_accuracy": 2 / 3, "oos_recall": 1 / 2}
    )


def test_metrics_without_their_texts_are_left_out():
    logits = np.eye(len(LABELS))[[0, 1]]
    metrics = intent_metrics(OOS)(EvalPrediction(logits, np.array([0, 0])))
    assert metrics == {"accuracy": 0.5, "in_scope_accuracy": 0.5}


def test_history_has_a_row_for_each_epoch(tmp_path, data):
    trainer, _ = searching_trainer(tmp_path, data, num_train_epochs=3)
    trainer.train()
    history = run_history(trainer)
    metrics = trainer.evaluate()
    assert history.index.tolist() == [1, 2, 3]
    assert history.columns.tolist() == [
        "training_loss", "validation_loss", "accuracy", "in_scope_accuracy", "oos_recall"
    ]  # fmt: skip
    assert not history.isna().any().any()
    for column, metric in [("validation_loss", "eval_loss"), ("accuracy", "eval_accuracy")]:
        assert history[column].iloc[-1] == pytest.approx(metrics[metric])
