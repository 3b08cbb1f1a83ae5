"""Distributions of many numbers, weights of a model for instance."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.legends import legend_below
from utils.plotting.style import INK, category_colors, new_figure
from utils.plotting.validation import finite, not_empty, rising

INSET_WIDTH, INSET_HEIGHT = 0.3, 0.42  # of the axes
INSET_ROOM = 0.1  # of the axes, left of and below the inset, for its ticks
HEADROOM = 1.1  # of the highest bar

Interval = tuple[float, float]


def plot_histogram(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    title: str,
    xlabel: str,
    ylabel: str = "number of values",
    bins: int = 60,
    value_range: Interval | None = None,
    inset: tuple[Interval, Interval] | None = None,
) -> Figure:
    """A histogram, or several over each other with the same bins, and a magnified detail.

    Args:
        values: numbers of any shape; or name -> numbers.
        title: of the figure.
        xlabel: quantity and unit.
        ylabel: what is counted.
        bins: number of bins of equal width.
        value_range: (low, high) of the bins, by default of the values; the label of x says how
            many values lie outside.
        inset: ((x low, x high), (y low, y high)) of the detail that an inset shows enlarged, joined
            by lines to its place.

    Raises:
        ValueError: no value, NaN, a range that does not rise, or fewer than one bin.
    """
    series = flat_series(values)
    if bins < 1:
        raise ValueError(f"bins is {bins}: give 1 or more.")
    drawn = np.concatenate(list(series.values()))
    edges = bin_edges(drawn, bins, value_range)
    num_outside = int(((drawn < edges[0]) | (drawn > edges[-1])).sum())
    note = f" ({num_outside:,} of {drawn.size:,} lie outside)" if num_outside else ""
    fig = new_figure(title, height=3.6)
    ax = fig.add_subplot(xlabel=xlabel + note, ylabel=ylabel)
    counts = {name: np.histogram(numbers, edges)[0] for name, numbers in series.items()}
    draw_stairs(ax, counts, edges)
    ax.set(xlim=edges[[0, -1]], ylim=(0, HEADROOM * max(1, highest(counts))))
    if isinstance(values, Mapping):
        legend_below(ax)
    if inset is not None:
        draw_inset(ax, counts, edges, inset)
    return fig


def flat_series(values: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Name -> numbers (N,) from either form of the argument, or ValueError."""
    if not isinstance(values, Mapping):
        return {"values": finite("values", np.ravel(values))}
    not_empty("values", values)
    return {name: finite(f"values of {name!r}", np.ravel(each)) for name, each in values.items()}


def bin_edges(drawn: np.ndarray, bins: int, value_range: Interval | None) -> np.ndarray:
    """Edges (bins + 1,) of equal bins over the range, by default that of the values."""
    if value_range is not None:
        return np.linspace(*rising("value_range", value_range), bins + 1)
    return np.histogram_bin_edges(drawn, bins)


def highest(counts: Mapping[str, np.ndarray], among: slice = slice(None)) -> int:
    """The highest bar of all series, or of some bins only."""
    return max(int(heights[among].max()) for heights in counts.values())


def draw_stairs(ax: Axes, counts: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
    """A filled outline per series, pale where several lie over each other."""
    alpha = 1 if len(counts) == 1 else 0.35
    for (name, heights), color in zip(counts.items(), category_colors(len(counts)), strict=True):
        ax.stairs(heights, edges, fill=True, color=color, alpha=alpha, label=name)
        if len(counts) > 1:
            ax.stairs(heights, edges, color=color, linewidth=1.2)


def draw_inset(
    ax: Axes, counts: Mapping[str, np.ndarray], edges: np.ndarray, inset: tuple[Interval, Interval]
) -> None:
    """The bars within a rectangle once more, enlarged, above the side of the axes it lies on."""
    xlim, ylim = rising("x of inset", inset[0]), rising("y of inset", inset[1])
    is_right = sum(xlim) > edges[0] + edges[-1]
    left = 0.99 - INSET_WIDTH if is_right else INSET_ROOM
    span = np.array([left - INSET_ROOM, left + INSET_WIDTH]) * (len(edges) - 1)
    below = slice(int(span[0]), int(span[1]) + 1)
    free = 0.98 - INSET_HEIGHT - INSET_ROOM
    ax.set_ylim(top=max(ax.get_ylim()[1], highest(counts, below) / free))
    detail = ax.inset_axes((left, 0.98 - INSET_HEIGHT, INSET_WIDTH, INSET_HEIGHT))
    draw_stairs(detail, counts, edges)
    detail.set(xlim=xlim, ylim=ylim)
    detail.locator_params(nbins=4)
    detail.tick_params(labelsize=7)
    detail.spines[:].set(visible=True)
    ax.indicate_inset_zoom(detail, edgecolor=INK)
