"""Contours and trials show the function that was searched and what the search found."""

import numpy as np
import optuna
import pandas as pd
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from utils.plotting import plot_contours, plot_trials

pytestmark = pytest.mark.filterwarnings("error")


def bowl(x, y):
    return 1 + x**2 + y**2


def contours(fig: Figure) -> QuadContourSet:
    (found,) = fig.axes[0].findobj(QuadContourSet)
    return found


def legend(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_contours_are_the_level_sets_of_the_function():
    fig = plot_contours(
        bowl, optimum=(0, 0), found={}, title="t", xlim=(-2, 2), ylim=(-2, 2), levels=(1.5, 4)
    )
    drawn = contours(fig)
    np.testing.assert_allclose(drawn.levels, np.geomspace(1.5, 4, 30))
    for low, high, path in zip(drawn.levels, drawn.levels[1:], drawn.get_paths()[1:], strict=False):
        radii = np.hypot(*path.vertices.T)
        assert radii.min() == pytest.approx(np.sqrt(low - 1), abs=0.01)
        assert radii.max() == pytest.approx(np.sqrt(high - 1), abs=0.01)


def test_found_places_and_the_minimum_stand_where_they_are_with_their_values():
    found = {"TPE": (0.5, 0.25), "random": (-1.0, 1.0)}
    fig = plot_contours(bowl, optimum=(0, 0), found=found, title="t")
    dots = [c for c in fig.axes[0].collections if not isinstance(c, QuadContourSet)]
    assert [tuple(dot.get_offsets()[0]) for dot in dots] == [*found.values(), (0, 0)]
    assert legend(fig) == ["TPE (f = 1.3)", "random (f = 3)", "minimum (f = 1)"]


def test_the_view_grows_to_hold_a_place_outside():
    fig = plot_contours(bowl, optimum=(0, 0), found={"a": (5.0, -3.0)}, title="t")
    (left, right), (bottom, top) = fig.axes[0].get_xlim(), fig.axes[0].get_ylim()
    assert (left, top) == (-1.3, 1.7)
    assert 5 < right < 6
    assert -4 < bottom < -3


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda x, y: 1.0, {}, "2 axes"),
        (lambda x, y: (x + y)[:1], {}, "element by element"),
        (lambda x, y: x + np.nan, {}, "on the grid holds NaN"),
        (bowl, {"found": {"a": (np.nan, 0)}}, "optimum and found holds NaN"),
        (bowl, {"xlim": (1, 1)}, "xlim is"),
        (bowl, {"levels": (0, 10)}, "starts above 0"),
    ],
)
def test_contours_refuses(function, options, message):
    with pytest.raises(ValueError, match=message):
        plot_contours(function, optimum=(0, 0), title="t", **({"found": {}} | options))


TRIALS = pd.DataFrame(
    {
        "number": [0, 1, 2, 3, 4],
        "value": [0.5, 0.9, 0.7, 0.8, np.nan],
        "state": ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE", "FAIL"],
        "params_alpha": [0.1, 0.2, 0.3, 0.4, 0.5],
        "params_optimizer": ["sgd", "adamw", "sgd", "sgd", "adamw"],
        "params_epochs": [5, 5, 5, 5, 5],
    }
)


def lines(fig: Figure, panel: int) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in fig.axes[panel].lines}


@pytest.mark.parametrize(
    ("maximize", "best", "so_far"), [(True, 3, [0.5, 0.7, 0.8]), (False, 0, [0.5, 0.5, 0.5])]
)
def test_trials_show_complete_pruned_and_best_ones(maximize, best, so_far):
    fig = plot_trials(TRIALS, title="t", ylabel="accuracy", maximize=maximize)
    top = lines(fig, 0)
    np.testing.assert_array_equal(top["trial"], [(0, 0.5), (2, 0.7), (3, 0.8)])
    np.testing.assert_array_equal(top["pruned trial"], [(1, 0.9)])
    np.testing.assert_array_equal(top["best trial"], [(best, TRIALS["value"][best])])
    np.testing.assert_array_equal(top["best so far"], list(zip([0, 2, 3], so_far, strict=True)))


def test_each_parameter_that_varies_has_a_panel():
    fig = plot_trials(TRIALS, title="t", ylabel="accuracy", maximize=True)
    assert [ax.get_xlabel() for ax in fig.axes] == ["trial", "alpha", "optimizer"]
    np.testing.assert_array_equal(lines(fig, 1)["trial"], [(0.1, 0.5), (0.3, 0.7), (0.4, 0.8)])


def test_a_study_of_optuna_can_be_drawn(draw):
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
        width = trial.suggest_int("width", 1, 9) if trial.suggest_categorical("wide", [0, 1]) else 0
        trial.report(rate + width, 0)
        if trial.number % 5 == 4:
            raise optuna.TrialPruned
        return rate + width

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=30)
    fig = plot_trials(study.trials_dataframe(), title="t", ylabel="f", maximize=False)
    draw(fig)
    assert lines(fig, 0)["best trial"][0, 1] == study.best_value
    assert len(lines(fig, 0)["pruned trial"]) == 6
    scales = {ax.get_xlabel(): ax.get_xscale() for ax in fig.axes}
    assert scales == {
        "trial": "linear",
        "learning_rate": "log",
        "wide": "linear",
        "width": "linear",
    }


@pytest.mark.parametrize(
    ("trials", "options", "message"),
    [
        (TRIALS.drop(columns="state"), {}, "lacks the column 'state'"),
        (TRIALS[TRIALS["state"] == "PRUNED"], {}, "No trial is complete"),
        (TRIALS[:0], {}, "No trial is complete"),
        (TRIALS.assign(value=-1.0), {"yscale": "log"}, "log axis"),
    ],
)
def test_trials_refuses(trials, options, message):
    with pytest.raises(ValueError, match=message):
        plot_trials(trials, title="t", ylabel="f", maximize=True, **options)
