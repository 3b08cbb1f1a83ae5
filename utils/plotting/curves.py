"""Figures of one quantity against another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from utils.plotting.legends import legend_below
from utils.plotting.style import DARK_GREY, INK, PALETTE, category_colors, new_figure
from utils.plotting.validation import finite, not_empty, same_length

if TYPE_CHECKING:
    import pandas as pd

MARKERS = "osD^vPX*"  # a second cue beside the colour
MAX_MARKERS = 30  # on a line; with more points, markers stand at some of them
MARKER_DISTANCE = 0.06  # of the diagonal, between markers of such a line on a log axis
MAX_MARKED = 12  # measured points that get their own tick on a log axis
MIN_TICK_DISTANCE = 0.05  # of the width of the axis


def plot_curves(
    curves: "pd.DataFrame | Mapping[str, tuple[ArrayLike, ArrayLike]]",
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    references: Mapping[str, float] | None = None,
    crossings: Mapping[str, float] | None = None,
) -> Figure:
    """Lines with a marker at each measured point, or at some of them where there are many.

    Args:
        curves: name -> (x, y), each (N,); or a frame with x as its index and a curve per column.
        title: of the figure.
        xlabel: quantity and unit of x.
        ylabel: quantity and unit of y.
        xscale: "linear" or "log".
        yscale: "linear" or "log".
        intervals: name of a curve -> (low, high), each (N,), drawn as a band around it.
        references: label -> y of a dashed line across the figure. A label that begins with the name
            of a curve ("human, mean 0.36", say) gives the line that curve's colour.
        crossings: label -> x of a dotted line from bottom to top, where two lines meet, say.

    Raises:
        ValueError: no curve, lengths that differ, NaN, x or y <= 0 on a log scale, or an interval
            for a curve that does not exist.
    """
    series = {name: checked_curve(name, x, y) for name, (x, y) in named_curves(curves).items()}
    not_empty("curves", series)
    fig = new_figure(title, height=3.6)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True)
    draw_bands(ax, series, intervals or {})
    draw_lines(ax, series, xscale)
    draw_references(ax, series, references or {})
    draw_crossings(ax, crossings or {})
    if yscale == "log":
        drawn = [*(y for _, y in series.values()), [*(references or {}).values()]]
        check_positive("y", np.concatenate(drawn))
        ax.set_yscale("log")
    measured = np.unique(np.concatenate([x for x, _ in series.values()]))
    if xscale == "log":
        use_log_axis(ax, np.array([*measured, *(crossings or {}).values()]))
        mark_measured(ax, measured)
    elif (measured == measured.round()).all():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(series) > 1 or references or crossings:
        draw_legend(ax, most_points=max(len(x) for x, _ in series.values()))
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


def draw_lines(ax: Axes, series: Mapping[str, tuple[np.ndarray, np.ndarray]], xscale: str) -> None:
    """One line per curve; after eight the colours repeat, dashed."""
    for i, (name, color) in enumerate(zip(series, category_colors(len(series)), strict=True)):
        style, marker = "-" if i < len(PALETTE) else "--", MARKERS[i % len(MARKERS)]
        every: float = -(-len(series[name][0]) // MAX_MARKERS)
        if every > 1 and xscale == "log":  # there, every n-th point would crowd at the right
            every = MARKER_DISTANCE
        ax.plot(*series[name], style, color=color, marker=marker, markevery=every, label=name)


def draw_references(
    ax: Axes,
    series: Mapping[str, tuple[np.ndarray, np.ndarray]],
    references: Mapping[str, float],
) -> None:
    """A dashed line per reference, in the colour of the curve that its label begins with."""
    colors = dict(zip(series, category_colors(len(series)), strict=True))
    for label, y in references.items():
        finite(f"references[{label!r}]", [y])
        named = [name for name in series if label.startswith(name)]
        color = colors[max(named, key=len)] if named else DARK_GREY
        ax.axhline(y, linestyle="--", linewidth=1.3, color=color, label=label)


def draw_crossings(ax: Axes, crossings: Mapping[str, float]) -> None:
    """A dotted vertical line per crossing."""
    for label, x in crossings.items():
        finite(f"crossings[{label!r}]", [x])
        ax.axvline(x, linestyle=":", linewidth=1.5, color=INK, label=label)


def draw_legend(ax: Axes, most_points: int) -> None:
    """Names of the lines, below the axes where many points leave no corner free."""
    if most_points <= MAX_MARKERS:
        ax.legend()
    else:
        legend_below(ax)


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
    """A logarithmic x axis; where the values (N,) span less than two decades, with plain ticks."""
    check_positive("x", x)
    ax.set_xscale("log")
    if x.max() < 100 * x.min():
        within_decade = x.max() < 10 * x.min()
        ax.xaxis.set_major_locator(AutoLocator() if within_decade else LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        ax.xaxis.set_minor_locator(NullLocator())


def check_positive(axis: str, values: np.ndarray) -> None:
    """Raise ValueError if `axis` ("x" or "y") has a value that a log axis cannot show."""
    if values.min() <= 0:
        raise ValueError(
            f"{axis} holds {values.min():g}, which a log axis cannot show: use "
            f'{axis}scale="linear".'
        )


def mark_measured(ax: Axes, x: np.ndarray) -> None:
    """A tick at each of the sorted `x` (N,) on a log axis if they are few and far apart."""
    distances = np.diff(np.log(x)) / np.log(x[-1] / x[0]) if len(x) > 1 else np.ones(1)
    if len(x) <= MAX_MARKED and distances.min() >= MIN_TICK_DISTANCE:
        ax.set_xticks(x, [f"{value:,.6g}" for value in x])
        ax.set_xticks([], minor=True)
