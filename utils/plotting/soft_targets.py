"""What a student sees of its teacher: class probabilities at several temperatures."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.style import PALETTE, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, not_empty, same_length

MAX_COLUMNS = 3
BAR_HEIGHT = 0.22  # inches
LABEL_SIZE = 8.0  # points


def plot_soft_targets(
    targets: Mapping[str | float, ArrayLike],
    class_names: Sequence[str],
    *,
    title: str,
    top: int = 8,
) -> Figure:
    """Bars of the likeliest classes under each target, with its entropy over all classes.

    The classes are those of the highest probability under the last target, in the same order in
    every panel.

    Args:
        targets: temperature, or a name such as "one-hot" -> probabilities (N,).
        class_names: (N,) in the order of the probabilities.
        title: of the figure.
        top: number of classes to draw.

    Raises:
        ValueError: no target, probabilities that are no distribution, lengths that differ, or
            fewer than one class to draw.
    """
    not_empty("targets", targets)
    checked = {panel_name(key): checked_target(key, p) for key, p in targets.items()}
    for probabilities in checked.values():
        same_length(probabilities=probabilities, class_names=class_names)
    if top < 1:
        raise ValueError(f"top is {top}: draw 1 class or more.")
    shown = np.argsort(-[*checked.values()][-1], kind="stable")[:top]
    rows = ceil(len(checked) / MAX_COLUMNS)
    columns = ceil(len(checked) / rows)
    fig = new_figure(title, height=0.7 + rows * (0.6 + BAR_HEIGHT * len(shown)))
    axes = list(fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for ax, (name, probabilities) in zip(axes, checked.items(), strict=False):
        ax.set_title(f"{name}\nentropy {entropy_bits(probabilities):.2f} bits", parse_math=False)
        draw_target(ax, probabilities[shown])
    for ax in axes[len(checked) :]:
        ax.remove()
    for ax in axes[len(checked) - columns : len(checked)]:
        ax.tick_params(labelbottom=True)  # also above a place without a panel
    names = [drawable(class_names[i]) for i in shown]
    axes[0].set_yticks(range(len(shown)), names, parse_math=False)
    axes[0].set_xlim(0, 1.3 * max(probabilities.max() for probabilities in checked.values()))
    axes[0].invert_yaxis()
    hidden = len(class_names) - len(shown)
    fig.supxlabel("probability" + (f" ({hidden} more classes not drawn)" if hidden else ""), size=9)
    return fig


def panel_name(key: str | float) -> str:
    """A name as it is, a temperature as "T = 2"."""
    return drawable(key) if isinstance(key, str) else f"T = {key:g}"


def checked_target(key: str | float, probabilities: ArrayLike) -> np.ndarray:
    """`probabilities` as floats (N,) that are a distribution, or ValueError."""
    values = finite(f"targets[{key!r}]", probabilities)
    if values.min() < 0 or not np.isclose(values.sum(), 1, atol=1e-3):
        raise ValueError(
            f"targets[{key!r}] must be 0 or more and sum to 1: pass probabilities, not logits."
        )
    return values


def entropy_bits(probabilities: np.ndarray) -> float:
    """Entropy of a distribution (N,) in bits."""
    positive = probabilities[probabilities > 0]
    return float(abs((positive * np.log2(positive)).sum()))


def draw_target(ax: Axes, probabilities: np.ndarray) -> None:
    """A bar with its number per class."""
    bars = ax.barh(range(len(probabilities)), probabilities, height=0.75, color=PALETTE[0])
    ax.bar_label(bars, [f"{p:.2g}" for p in probabilities], padding=3, size=LABEL_SIZE)
    ax.tick_params(axis="y", length=0, labelsize=LABEL_SIZE)
