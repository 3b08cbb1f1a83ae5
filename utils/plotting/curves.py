"""Figures of one quantity against another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from utils.plotting.style import PALETTE, category_colors, new_figure
from utils.plotting.validation import finite, not_empty, same_length

if TYPE_CHECKING:
    import pandas as pd

MARKERS = "osD^vPX*"  # a second cue beside the colour
MAX_MARKERS = 30  # on a line; with more points, markers stand at some of them
MAX_MARKED = 12  # measured points that get their own tick on a log axis
MIN_TICK_DISTANCE = 0.05  # of the width of the axis


def plot_curves(
    curves: "pd.DataFrame | Mapping[str, tuple[ArrayLike, ArrayLike]]",
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> Figure:
    """Lines with a marker at each measured point, or at some of them where there are many.

    Args:
        curves: name -> (x, y), each (N,); or a frame with x as its index and a curve per column.
        title: of the figure.
        xlabel: quantity and unit of x.
        ylabel: quantity and unit of y.
        xscale: "linear" or "log".
        intervals: name of a curve -> (low, high), each (N,), drawn as a band around it.

    Raises:
        ValueError: no curve, lengths that differ, NaN, x <= 0 on a log scale, or an interval
            for a curve that does not exist.
    """
    series = {name: checked_curve(name, x, y) for name, (x, y) in named_curves(curves).items()}
    not_empty("curves", series)
    fig = new_figure(title, height=3.6)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True)
    draw_bands(ax, series, intervals or {})
    draw_lines(ax, series)
    measured = np.unique(np.concatenate([x for x, _ in series.values()]))
    if xscale == "log":
        use_log_axis(ax, measured)
    elif (measured == measured.round()).all():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(series) > 1:
        ax.legend()
    return fig


def named_curves(
    curves: "pd.DataFrame | Mapping[str, tuple[ArrayLike, ArrayLike]]",
) -> dict[str, tuple[ArrayLike, ArrayLike]]:
    """Name -> (x, y) from either form of the argument."""
    if isinstance(curves, Mapping):
        return dict(curves)
    return {str(name): (curves.index, column) for name, column in curves.items()}


def checked_curve(name: str, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """x and y of one curve as float arrays (N,), or ValueError."""
    xs, ys = finite(f"x of {name!r}", x), finite(f"y of {name!r}", y)
    same_length(x=xs, y=ys)
    return xs, ys


def draw_lines(ax: Axes, series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """One line per curve; after eight the colours repeat, dashed."""
    for i, (name, color) in enumerate(zip(series, category_colors(len(series)), strict=True)):
        style = "-" if i < len(PALETTE) else "--"
        marker, every = MARKERS[i % len(MARKERS)], -(-len(series[name][0]) // MAX_MARKERS)
        ax.plot(*series[name], style, color=color, marker=marker, markevery=every, label=name)


def draw_bands(
    ax: Axes,
    series: Mapping[str, tuple[np.ndarray, np.ndarray]],
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]],
) -> None:
    """A pale band from low to high in the colour of its curve."""
    colors = dict(zip(series, category_colors(len(series)), strict=True))
    for name, (low, high) in intervals.items():
        if name not in series:
            raise ValueError(f"intervals names {name!r}, but the curves are {list(series)}.")
        x = series[name][0]
        lows, highs = finite(f"low of {name!r}", low), finite(f"high of {name!r}", high)
        same_length(x=x, low=lows, high=highs)
        ax.fill_between(x, lows, highs, color=colors[name], alpha=0.2, linewidth=0)


def use_log_axis(ax: Axes, x: np.ndarray) -> None:
    """A logarithmic x axis, with a tick at each measured `x` if they are few and far apart."""
    if x.min() <= 0:
        raise ValueError(f'x holds {x.min():g}, which a log axis cannot show: use xscale="linear".')
    ax.set_xscale("log")
    distances = np.diff(np.log(x)) / np.log(x[-1] / x[0]) if len(x) > 1 else np.ones(1)
    if len(x) <= MAX_MARKED and distances.min() >= MIN_TICK_DISTANCE:
        ax.set_xticks(x, [f"{value:,.6g}" for value in x])
        ax.set_xticks([], minor=True)
