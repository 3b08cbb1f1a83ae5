"""Figures of one quantity against another."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from utils.plotting.legends import legend_below
from utils.plotting.style import DARK_GREY, INK, PALETTE, category_colors, new_figure
from utils.plotting.text import plain
from utils.plotting.validation import finite, not_empty

MARKERS = "osD^vPX*"  # a second cue beside the colour
MAX_MARKERS = 30  # a line of more points has none
MAX_MARKED = 12  # measured points that get their own tick on a log axis
MIN_TICK_DISTANCE = 0.05  # of the width of the axis


def plot_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
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
    """Lines, with a marker at each point where a line has few.

    Args:
        curves: name -> (x, y), each (N,).
        xscale, yscale: "linear" or "log".
        intervals: name of a curve -> (low, high), each (N,), drawn as a band around it.
        references: label -> y of a dashed line across the figure.
        crossings: label -> x of a dotted line from bottom to top, where two lines meet, say.

    Raises:
        ValueError: no curve, NaN, or what a log axis cannot show: the figure would lack it.
    """
    not_empty("curves", curves)
    references, crossings = references or {}, crossings or {}
    for what, marks in {"references": references, "crossings": crossings}.items():
        finite(what, [0, *marks.values()])
    xs = {name: finite(f"x of {name!r}", x) for name, (x, _) in curves.items()}
    ys = {name: finite(f"y of {name!r}", y) for name, (_, y) in curves.items()}
    measured = np.unique(np.concatenate([*xs.values()]))
    fig = new_figure(title, height=3.6)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True)
    colors = dict(zip(curves, category_colors(len(curves)), strict=True))
    for name, (low, high) in (intervals or {}).items():
        ends = finite(f"low of {name!r}", low), finite(f"high of {name!r}", high)
        ax.fill_between(xs[name], *ends, color=colors[name], alpha=0.2, linewidth=0)
    for i, (name, color) in enumerate(colors.items()):
        style, marker = "-" if i < len(PALETTE) else "--", MARKERS[i % len(MARKERS)]
        marker = marker if len(xs[name]) <= MAX_MARKERS else None
        ax.plot(xs[name], ys[name], style, color=color, marker=marker, label=name)
    for label, y in references.items():
        ax.axhline(y, linestyle="--", linewidth=1.3, color=DARK_GREY, label=label)
    for label, x in crossings.items():
        ax.axvline(x, linestyle=":", linewidth=1.5, color=INK, label=label)
    if yscale == "log":
        check_positive("y", np.concatenate([*ys.values(), [*references.values()]]))
        ax.set_yscale("log")
    if xscale == "log":
        use_log_axis(ax, np.array([*measured, *crossings.values()]))
        mark_measured(ax, measured)
    elif (measured == measured.round()).all():
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if max(map(len, xs.values())) > MAX_MARKERS and len(ax.lines) > 1:
        legend_below(ax)  # many points leave no corner free
    elif len(ax.lines) > 1:
        plain(ax.legend().get_texts())
    return fig


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
    if not values.min() > 0:
        raise ValueError(f"{axis} holds {values.min():g}, which a log axis cannot show.")


def mark_measured(ax: Axes, x: np.ndarray) -> None:
    """A tick at each of the sorted `x` (N,) on a log axis if they are few and far apart."""
    distances = np.diff(np.log(x)) / np.log(x[-1] / x[0]) if len(x) > 1 else np.ones(1)
    if len(x) <= MAX_MARKED and distances.min() >= MIN_TICK_DISTANCE:
        ax.set_xticks(x, [f"{value:,.6g}" for value in x])
        ax.set_xticks([], minor=True)
