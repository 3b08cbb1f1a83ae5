"""Distributions of many numbers, weights of a model for instance."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.legends import legend_below
from utils.plotting.style import INK, category_colors, new_figure
from utils.plotting.validation import finite, not_empty

Interval = tuple[float, float]


def plot_histogram(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    title: str,
    xlabel: str,
    bins: int = 60,
    value_range: Interval | None = None,
    inset: tuple[Interval, Interval] | None = None,
) -> Figure:
    """A histogram, or several over each other with the same bins, and a magnified detail.

    Args:
        values: numbers of any shape; or name -> numbers. Matplotlib would drop NaN without a word.
        value_range: (low, high) of the bins, by default of the values; the label of x says how
            many values lie outside.
        inset: ((x low, x high), (y low, y high)) of the detail, enlarged in the upper right corner.

    Raises:
        ValueError: no value, or NaN.
    """
    series = values if isinstance(values, Mapping) else {"values": values}
    not_empty("values", series)
    series = {name: finite(f"values of {name!r}", np.ravel(each)) for name, each in series.items()}
    drawn = np.concatenate(list(series.values()))
    edges = np.histogram_bin_edges(drawn, bins, value_range)
    num_outside = int(((drawn < edges[0]) | (drawn > edges[-1])).sum())
    note = f" ({num_outside:,} of {drawn.size:,} lie outside)" if num_outside else ""
    fig = new_figure(title, height=3.6)
    ax = fig.add_subplot(xlabel=xlabel + note, ylabel="number of values", xlim=edges[[0, -1]])
    counts = {name: np.histogram(numbers, edges)[0] for name, numbers in series.items()}
    draw_stairs(ax, counts, edges)
    if isinstance(values, Mapping):
        legend_below(ax)
    if inset is not None:
        draw_inset(ax, counts, edges, inset)
    return fig


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
    """The bars within a rectangle once more, enlarged."""
    detail = ax.inset_axes((0.69, 0.56, 0.3, 0.42))
    draw_stairs(detail, counts, edges)
    detail.set(xlim=inset[0], ylim=inset[1])
    detail.locator_params(nbins=4)
    detail.tick_params(labelsize=7)
    detail.spines[:].set(visible=True)
    ax.indicate_inset_zoom(detail, edgecolor=INK)
