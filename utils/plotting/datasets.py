"""Figures of a labelled data set before any model sees it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.plotting.style import INK, PALETTE, new_figure
from utils.plotting.validation import finite, same_length

if TYPE_CHECKING:
    import pandas as pd


def plot_class_balance(
    counts: "Mapping[str, int] | pd.Series", title: str = "Class frequencies"
) -> Figure:
    """Horizontal bars of the examples per class, most frequent on top.

    Args:
        counts: class name -> number of examples, for instance `Series.value_counts()`.

    Raises:
        ValueError: no class, or a count that is negative or NaN.
    """
    names, numbers = ascending(counts)
    fig = new_figure(title, height=1.0 + 0.32 * len(names))
    ax = fig.add_subplot(xlabel="number of examples", ylabel="class")
    bars = ax.barh(names, numbers, color=PALETTE[0])
    total = max(sum(numbers), 1)
    ax.bar_label(bars, [f"{n:,.0f} ({n / total:.1%})" for n in numbers], padding=3)
    ax.margins(x=0.2)
    return fig


def ascending(counts: "Mapping[str, int] | pd.Series") -> tuple[list[str], list[float]]:
    """Names and counts, rarest first."""
    numbers = finite("counts", [count for _, count in counts.items()])
    if numbers.min() < 0:
        raise ValueError("counts holds a negative number: pass examples per class.")
    order = np.argsort(numbers, kind="stable")
    names = [str(name) for name, _ in counts.items()]
    return [names[i] for i in order], [float(numbers[i]) for i in order]


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
    by_group = split_by_group(finite("lengths", lengths), groups)
    fig = new_figure(title, height=1.1 + 0.36 * len(by_group))
    ax = fig.add_subplot(xlabel=f"length of a text ({unit}); outliers not drawn")
    boxes = ax.boxplot(
        list(by_group.values()),
        tick_labels=[f"{name} (n = {len(values):,})" for name, values in by_group.items()],
        orientation="horizontal",
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        medianprops={"color": INK, "linewidth": 1.5},
    )
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for box in boxes["boxes"]:
        box.set(facecolor=PALETTE[5], edgecolor=INK)
    return fig


def split_by_group(lengths: np.ndarray, groups: Sequence[str]) -> dict[str, np.ndarray]:
    """Group name -> its lengths, by ascending median (ties by name)."""
    members = np.asarray(groups)
    parts = {str(name): lengths[members == name] for name in np.unique(members)}
    return dict(sorted(parts.items(), key=lambda part: (np.median(part[1]), part[0])))
