"""Bars of a distribution over the next token: what may be drawn, and what a filter removes."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.style import DARK_GREY, GREY, INK, PAGE_WIDTH, PALETTE, lighten, new_figure
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, visible_spaces, wrap_to_width
from utils.plotting.validation import finite, same_length

MAX_COLUMNS = 3
WORD_HEIGHT = 0.2  # inches of a bar
KEPT, REMOVED = PALETTE[0], lighten(GREY, 0.6)
SIZE = 8.0  # points


def plot_next_words(
    panels: Mapping[str, tuple[Sequence[str], ArrayLike, ArrayLike]], *, title: str
) -> Figure:
    """Bars of next-word distributions, the words that a filter keeps in colour, the others grey.

    The panels share one axis of probabilities. Number and mass of the kept words stand in the
    title of each panel.

    Args:
        panels: title of the panel -> (words, probabilities, is_kept), drawn from the top in the
            order given; probabilities and is_kept have N entries each. The first N words or fewer:
            entries without a word get no bar, but count in number and mass.

    Raises:
        ValueError: NaN, or lengths that differ: bars and words would be shifted.
    """
    for name, (words, probabilities, is_kept) in panels.items():
        finite(f"probabilities of {name!r}", probabilities)
        same_length(probabilities=probabilities, is_kept=is_kept)
        if len(words) > len(probabilities):
            raise ValueError(f"{name!r} has {len(words)} words for {len(probabilities)} values.")
    rows = ceil(len(panels) / MAX_COLUMNS)
    columns = ceil(len(panels) / rows)
    names = [[drawable(visible_spaces(word)) for word in words] for words, _, _ in panels.values()]
    widest = max(text_width(name, SIZE) for some in names for name in some)
    width = 72 * (PAGE_WIDTH / columns - 0.25) - widest
    headings = [heading(name, *panel[1:], width) for name, panel in panels.items()]
    most_lines = max(text.count("\n") + 1 for text in headings)
    row_height = 0.45 + SIZE * LINE_HEIGHT / 72 * most_lines + WORD_HEIGHT * max(map(len, names))
    fig = new_figure(title, height=0.6 + rows * row_height)
    axes = list(fig.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for ax, text, words, panel in zip(axes, headings, names, panels.values(), strict=False):
        draw_words(ax, words, *(np.asarray(values)[: len(words)] for values in panel[1:]))
        ax.set_title(text, size=SIZE, parse_math=False)
    for ax in axes[len(panels) :]:
        ax.remove()
    fig.supxlabel("probability of the next word (grey: removed)", size=9)
    return fig


def heading(name: str, probabilities: ArrayLike, is_kept: ArrayLike, width: float) -> str:
    """Name of a panel of `width` points, and how many of its words are kept, with which mass."""
    kept = np.asarray(is_kept, dtype=bool)
    number = f"kept: {kept.sum():,} of {len(kept):,}"
    mass = f"{np.asarray(probabilities)[kept].sum():.1%} of the mass"
    together = f"{number}, {mass}"
    lines = [together] if text_width(together, SIZE) <= width else [number, mass]
    lines = [*drawable(name).splitlines(), *lines]
    return "\n".join(wrap_to_width(line, width, SIZE) for line in lines)


def draw_words(ax: Axes, words: Sequence[str], values: np.ndarray, is_kept: np.ndarray) -> None:
    """One bar per word with its number, the first on top."""
    bars = ax.barh(
        range(len(words)),
        values,
        height=0.75,
        color=[KEPT if kept else REMOVED for kept in is_kept],
    )
    numbers = ax.bar_label(bars, [f"{value:.2g}" for value in values], padding=3, size=SIZE)
    ax.set_yticks(range(len(words)), words, size=SIZE, parse_math=False)
    for number, name, kept in zip(numbers, ax.get_yticklabels(), is_kept, strict=True):
        number.set_color(INK if kept else DARK_GREY)
        name.set_color(INK if kept else DARK_GREY)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.2, y=0.02)
    ax.invert_yaxis()
