"""What a hyperparameter search tried, and what came of it."""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.plotting.curves import check_positive
from utils.plotting.legends import legend_below
from utils.plotting.style import GREY, INK, PALETTE, new_figure
from utils.plotting.text import drawable

if TYPE_CHECKING:
    import pandas as pd

MAX_COLUMNS = 3  # panels in a row
LOG_SKEW = 5  # a parameter whose maximum is so many medians gets a logarithmic axis
MAX_TICKS = 6
PARAMETER = "params_"  # how the columns of parameters begin


def plot_trials(
    trials: "pd.DataFrame", *, title: str, ylabel: str, maximize: bool, yscale: str = "linear"
) -> Figure:
    """The objective by trial with the best so far, and the objective against each parameter.

    A cross is a trial that was pruned, at the last value it reported; trials without a value are
    left out, and so is a parameter that all trials share. A star is the best complete trial.

    Args:
        trials: what `optuna.Study.trials_dataframe()` returns, with the columns number, value,
            state and one per parameter ("params_...").
        title: of the figure.
        ylabel: the objective and its unit.
        maximize: whether a higher objective is better.
        yscale: "linear" or "log".

    Raises:
        ValueError: a column is missing, no trial is complete, or a value <= 0 on a log scale.
    """
    valued = checked_trials(trials)
    if yscale == "log":
        check_positive("y", valued["value"].to_numpy())
    names = [name for name in valued if name.startswith(PARAMETER) and valued[name].nunique() > 1]
    rows = ceil(len(names) / MAX_COLUMNS)
    columns = ceil(len(names) / max(1, rows)) or 1
    fig = new_figure(title, height=2.9 + 2.2 * rows)
    grid = fig.add_gridspec(1 + rows, columns)
    top = fig.add_subplot(grid[0, :], xlabel="trial", ylabel=ylabel, yscale=yscale)
    draw_trials(top, valued, "number", maximize)
    draw_best_so_far(top, valued, maximize)
    for i, name in enumerate(names):
        ax = fig.add_subplot(grid[1 + i // columns, i % columns], sharey=top)
        ax.set(xlabel=drawable(name.removeprefix(PARAMETER)), ylabel="" if i % columns else ylabel)
        draw_trials(ax, valued.dropna(subset=name), name, maximize)
    legend_below(top)
    return fig


def checked_trials(trials: "pd.DataFrame") -> "pd.DataFrame":
    """The trials that have a value, in order of their number, or ValueError."""
    missing = [name for name in ("number", "value", "state") if name not in trials]
    if missing:
        raise ValueError(
            f"trials lacks the column {missing[0]!r}: pass what study.trials_dataframe() returns."
        )
    if not (trials["state"] == "COMPLETE").any():
        raise ValueError("No trial is complete: there is no objective to draw.")
    return trials.dropna(subset="value").sort_values("number")


def draw_trials(ax: Axes, trials: "pd.DataFrame", column: str, maximize: bool) -> None:
    """A dot per complete trial, a cross per pruned one, a star for the best, over one column."""
    ax.grid(visible=True)
    xs = trials[column]
    if xs.dtype.kind not in "if":
        xs = xs.astype(str)
        ax.margins(x=0.2)
    is_complete = (trials["state"] == "COMPLETE").to_numpy()
    values = trials["value"]
    ax.plot(xs, values, linestyle="none")  # fixes the order of categories
    ax.plot(xs[is_complete], values[is_complete], "o", color=PALETTE[0], alpha=0.6, label="trial")
    if not is_complete.all():
        ax.plot(xs[~is_complete], values[~is_complete], "x", color=GREY, label="pruned trial")
    if is_complete.any():
        best = best_trial(trials, maximize)
        ax.plot(xs[best], values[best], "*", color=PALETTE[1], mec=INK, ms=13, label="best trial")
    if xs.dtype.kind in "if":
        fit_axis(ax, xs.to_numpy())


def best_trial(trials: "pd.DataFrame", maximize: bool) -> int:
    """Index of the best complete trial."""
    values = trials.loc[trials["state"] == "COMPLETE", "value"]
    return values.idxmax() if maximize else values.idxmin()


def draw_best_so_far(ax: Axes, trials: "pd.DataFrame", maximize: bool) -> None:
    """A stepped line through the best complete objective up to each trial."""
    complete = trials[trials["state"] == "COMPLETE"]
    values = complete["value"].cummax() if maximize else complete["value"].cummin()
    ax.step(complete["number"], values, where="post", color=PALETTE[3], label="best so far")


def fit_axis(ax: Axes, xs: np.ndarray) -> None:
    """Whole ticks for whole numbers, a log axis for numbers that crowd near zero."""
    if (xs == xs.round()).all():
        ax.xaxis.set_major_locator(MaxNLocator(MAX_TICKS, integer=True))
    elif xs.min() > 0 and xs.max() > LOG_SKEW * np.median(xs):
        ax.set_xscale("log")
