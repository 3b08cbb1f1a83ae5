"""Figures of a labelled data set before any model sees it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.plotting.style import INK, PALETTE, new_figure
from utils.plotting.text import plain
from utils.plotting.validation import finite, same_length


def plot_lengths(
    lengths: Sequence[int], groups: Sequence[str], *, title: str, unit: str = "words"
) -> Figure:
    """One box (quartiles, median) per group of texts, the group of the longest texts on top.

    The whiskers reach to the last text within 1.5 interquartile ranges; outliers are not drawn.

    Args:
        lengths: (N,) length of each text, in `unit`.
        groups: (N,) class or source of each text.

    Raises:
        ValueError: N differs between the two or is 0, or a length is NaN.
    """
    same_length(lengths=lengths, groups=groups)
    numbers, members = finite("lengths", lengths), np.asarray(groups)
    parts = {name: numbers[members == name] for name in np.unique(members)}
    order = sorted(parts, key=lambda name: (np.median(parts[name]), name))
    fig = new_figure(title, height=1.1 + 0.36 * len(order))
    ax = fig.add_subplot(xlabel=f"length of a text ({unit}); outliers not drawn")
    ax.boxplot(
        [parts[name] for name in order],
        tick_labels=[f"{name} (n = {len(parts[name]):,})" for name in order],
        orientation="horizontal",
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        medianprops={"color": INK, "linewidth": 1.5},
        boxprops={"facecolor": PALETTE[5], "edgecolor": INK},
    )
    plain(ax.get_yticklabels())
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig
