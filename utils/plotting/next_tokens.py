"""Figures of a distribution over the next token: what may be drawn, and what a filter removes."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.curves import use_log_axis
from utils.plotting.style import DARK_GREY, GREY, INK, PAGE_WIDTH, PALETTE, lighten, new_figure
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, visible_spaces, wrap_to_width
from utils.plotting.validation import finite, not_empty, same_length

MAX_COLUMNS = 3
WORD_HEIGHT = 0.2  # inches of a bar
KEPT, REMOVED = PALETTE[0], lighten(GREY, 0.6)
LABEL_SIZE = HEADING_SIZE = 8.0  # points
HISTOGRAM_BINS = 60

Panel = tuple[Sequence[str], ArrayLike, ArrayLike]


def plot_next_words(panels: Mapping[str, Panel], *, title: str) -> Figure:
    """Bars of next-word distributions, the words that a filter keeps in colour, the others grey.

    The panels share one axis of probabilities. Number and mass of the kept words stand in the
    title of each panel.

    Args:
        panels: title of the panel -> (words, probabilities, is_kept), drawn from the top in the
            order given; probabilities and is_kept have N entries each. The first N words or fewer:
            entries without a word get no bar, but count in number and mass.
        title: of the figure.

    Raises:
        ValueError: no panel, more words than probabilities, lengths that differ, or a probability
            outside 0 to 1.
    """
    not_empty("panels", panels)
    checked = {name: checked_panel(name, *panel) for name, panel in panels.items()}
    rows = ceil(len(checked) / MAX_COLUMNS)
    columns = ceil(len(checked) / rows)
    width = 72 * (PAGE_WIDTH / columns - 0.25) - widest_name(checked)
    headings = [heading(name, *panel[1:], width) for name, panel in checked.items()]
    most_lines = max(text.count("\n") + 1 for text in headings)
    most_words = max(len(words) for words, _, _ in checked.values())
    row_height = 0.45 + HEADING_SIZE * LINE_HEIGHT / 72 * most_lines + WORD_HEIGHT * most_words
    fig = new_figure(title, height=0.6 + rows * row_height)
    axes = list(fig.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for ax, text, panel in zip(axes, headings, checked.values(), strict=False):
        draw_words(ax, *panel)
        ax.set_title(text, size=HEADING_SIZE, parse_math=False)
    for ax in axes[len(checked) :]:
        ax.remove()
    fig.supxlabel("probability of the next word (grey: removed)", size=9)
    return fig


def checked_panel(
    name: str, words: Sequence[str], probabilities: ArrayLike, is_kept: ArrayLike
) -> tuple[Sequence[str], np.ndarray, np.ndarray]:
    """Words (M,), probabilities (N,) and is_kept (N,) of one panel, M <= N, or ValueError."""
    not_empty(f"words of {name!r}", words)
    values = checked_probabilities(f"probabilities of {name!r}", probabilities)
    kept = np.asarray(is_kept, dtype=bool)
    same_length(probabilities=values, is_kept=kept)
    if len(words) > len(values):
        raise ValueError(
            f"{name!r} has {len(words)} words for {len(values)} probabilities: pass one "
            "probability per word."
        )
    return words, values, kept


def checked_probabilities(what: str, probabilities: ArrayLike) -> np.ndarray:
    """`probabilities` as floats (N,) between 0 and 1, or ValueError."""
    values = finite(what, probabilities)
    if values.min() < 0 or values.max() > 1 + 1e-6 or values.sum() > 1 + 1e-3:
        raise ValueError(
            f"{what} must lie between 0 and 1 and sum to at most 1: pass what the softmax returns."
        )
    return values


def widest_name(panels: Mapping[str, Panel]) -> float:
    """Width in points of the widest word of all panels."""
    return max(
        text_width(shown_word(w), LABEL_SIZE) for words, _, _ in panels.values() for w in words
    )


def shown_word(word: str) -> str:
    """`word` as it is written beside its bar."""
    return drawable(visible_spaces(word))


def heading(name: str, probabilities: np.ndarray, is_kept: np.ndarray, width: float) -> str:
    """Name of a panel of `width` points, and how many of its words are kept, with which mass."""
    number = f"kept: {is_kept.sum():,} of {len(is_kept):,}"
    mass = f"{probabilities[is_kept].sum():.1%} of the mass"
    together = f"{number}, {mass}"
    fits = text_width(together, HEADING_SIZE) <= width
    lines = [*drawable(name).splitlines(), *([together] if fits else [number, mass])]
    return "\n".join(wrap_to_width(line, width, HEADING_SIZE) for line in lines)


def draw_words(
    ax: Axes, words: Sequence[str], probabilities: np.ndarray, is_kept: np.ndarray
) -> None:
    """One bar per word with its number, the first on top."""
    shown = slice(len(words))
    colors = [KEPT if kept else REMOVED for kept in is_kept[shown]]
    bars = ax.barh(range(len(words)), probabilities[shown], height=0.75, color=colors)
    numbers = [f"{value:.2g}" for value in probabilities[shown]]
    texts = ax.bar_label(bars, numbers, padding=3, size=LABEL_SIZE)
    names = [shown_word(word) for word in words]
    ax.set_yticks(range(len(words)), names, size=LABEL_SIZE, parse_math=False)
    for text, name, kept in zip(texts, ax.get_yticklabels(), is_kept, strict=False):
        text.set_color(INK if kept else DARK_GREY)
        name.set_color(INK if kept else DARK_GREY)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.2, y=0.02)
    ax.invert_yaxis()


def plot_token_distribution(probabilities: ArrayLike, *, k: int, p: float, title: str) -> Figure:
    """The probabilities of all tokens: a histogram above, what the most likely reach below.

    Lower panel: the cumulative probability of the tokens, sorted from the most likely on. Top-k
    cuts it at a rank (vertical line), top-p at a height (horizontal line).

    Args:
        probabilities: (V,) of the next token, one per entry of the vocabulary, summing to 1.
        k: of top-k sampling.
        p: of top-p (nucleus) sampling.
        title: of the figure.

    Raises:
        ValueError: probabilities that are no distribution, k outside 1 to V, or p outside (0, 1].
    """
    values = np.sort(checked_distribution(probabilities))[::-1]
    if not 1 <= k <= len(values):
        raise ValueError(f"k is {k}: give a number of tokens from 1 to {len(values)}.")
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}: give a share above 0 and at most 1.")
    fig = new_figure(title, height=5.4)
    upper, lower = fig.subplots(2, 1)
    draw_histogram(upper, values)
    draw_cumulative(lower, values.cumsum(), k, p)
    return fig


def checked_distribution(probabilities: ArrayLike) -> np.ndarray:
    """`probabilities` as floats (V,) that sum to 1, or ValueError."""
    values = checked_probabilities("probabilities", probabilities)
    if not np.isclose(values.sum(), 1, atol=1e-3):
        raise ValueError(
            f"probabilities sum to {values.sum():.3f} instead of 1: pass the softmax over the "
            "whole vocabulary."
        )
    return values


def draw_histogram(ax: Axes, values: np.ndarray) -> None:
    """Tokens per probability, both on log axes: a handful of likely tokens stays visible."""
    shown = values[values > 0]
    num_zeros = len(values) - len(shown)
    note = f"; {num_zeros:,} tokens with 0 left out" if num_zeros else ""
    edges = np.geomspace(shown.min() / 1.5, 1.5 * shown.max(), HISTOGRAM_BINS)
    ax.hist(shown, bins=edges, color=PALETTE[0])
    ax.set(xscale="log", yscale="log", xlabel=f"probability of a token (log scale{note})")
    ax.set_ylabel("number of tokens (log scale)")
    ax.set_ylim(bottom=0.5)
    ax.grid(visible=True)


def draw_cumulative(ax: Axes, cumulative: np.ndarray, k: int, p: float) -> None:
    """Cumulative probability (V,) by rank, with the lines of top-k and top-p."""
    ranks = np.arange(1, len(cumulative) + 1)
    nucleus = min(int((cumulative < p - 1e-12).sum()) + 1, len(ranks))
    ax.plot(ranks, cumulative, color=PALETTE[0])
    use_log_axis(ax, ranks)
    ax.set(ylim=(0, 1.12), ylabel="cumulative probability")
    ax.set_xlabel("rank of the token, most likely first (log scale)")
    ax.grid(visible=True)
    ax.axvline(k, color=PALETTE[3], linestyle="--")
    ax.axhline(p, color=PALETTE[2], linestyle="-.")
    ax.plot([k, nucleus], [cumulative[k - 1], cumulative[nucleus - 1]], "o", color=INK)
    mark_top_k(ax, k, cumulative[k - 1], len(ranks))
    mark_top_p(ax, p, nucleus, is_below=cumulative[0] >= p > 0.2)


def mark_top_k(ax: Axes, k: int, mass: float, vocabulary: int) -> None:
    """What top-k keeps, above the upper end of its line."""
    place = np.log(k) / np.log(vocabulary) if vocabulary > 1 else 0.5
    side = "left" if place < 0.2 else "right" if place > 0.8 else "center"
    ax.annotate(
        f"top-k: k = {k:,} keeps {mass:.1%} of the mass",
        (k, 1),
        xytext=(0, 3),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        ha=side,
        size=LABEL_SIZE,
        color=DARK_GREY,
    )


def mark_top_p(ax: Axes, p: float, nucleus: int, is_below: bool) -> None:
    """What top-p keeps, at the left above its line, or below if the curve starts above it."""
    ax.annotate(
        f"top-p: p = {p:g} keeps {nucleus:,} {'token' if nucleus == 1 else 'tokens'}",
        (0, p),
        xytext=(6, -3 if is_below else 3),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="top" if is_below else "bottom",
        size=LABEL_SIZE,
        color=DARK_GREY,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
