"""Figures of token sequences."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike

from utils.plotting.style import (
    DARK_GREY,
    INK,
    LIGHT_GREY,
    PAGE_WIDTH,
    PALETTE,
    lighten,
    new_figure,
)
from utils.plotting.text import drawable, text_width

MAX_POSITIONS = 50  # more columns than this would be narrower than a legible letter is high
CELL_TEXT_SIZE = 8.0  # points
MIN_TEXT_SIZE = 6.5


def plot_padding(tokens: list[list[str]], attention_mask: ArrayLike, title: str) -> Figure:
    """The padded batch with a token in each cell (padding grey) above its attention mask.

    Args:
        tokens: B lists of T tokens each, padding tokens included.
        attention_mask: (B, T), 1 where the model looks, 0 at padding.

    Raises:
        ValueError: shapes that differ, mask entries besides 0 and 1, or a batch too wide to read.
    """
    mask = checked_mask(tokens, attention_mask)
    size, rotated = fit_cells(tokens)
    row_height = longest_token(tokens, size) / 72 + 0.1 if rotated else 0.3
    fig = new_figure(title, height=1.5 + len(mask) * (row_height + 0.3))
    upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=[row_height, 0.3])
    draw_cells(
        upper, mask, tokens, (LIGHT_GREY, lighten(PALETTE[5], 0.3)), size, 90 if rotated else 0
    )
    draw_cells(lower, mask, mask.astype(str).tolist(), (LIGHT_GREY, PALETTE[5]), CELL_TEXT_SIZE, 0)
    upper.set(title="input tokens (grey: padding)", ylabel="text in batch")
    lower.set(title="attention mask", ylabel="text in batch", xlabel="position in sequence")
    return fig


def checked_mask(tokens: list[list[str]], attention_mask: ArrayLike) -> np.ndarray:
    """`attention_mask` as an integer array (B, T) that fits `tokens`, or ValueError."""
    mask = np.asarray(attention_mask)
    lengths = [len(row) for row in tokens]
    if mask.ndim != 2 or mask.size == 0 or lengths != [mask.shape[1]] * len(mask):
        raise ValueError(
            f"attention_mask has shape {mask.shape}, but the token lists have lengths "
            f"{lengths}: pass the padded batch, one token per mask entry."
        )
    if not np.isin(mask, (0, 1)).all():
        raise ValueError("attention_mask may hold only 0 and 1.")
    if mask.shape[1] > MAX_POSITIONS:
        raise ValueError(
            f"{mask.shape[1]} positions do not fit a page: pass a slice of at most {MAX_POSITIONS}."
        )
    return mask.astype(int)


def fit_cells(tokens: list[list[str]]) -> tuple[float, bool]:
    """Font size in points, and whether the tokens must be turned upright to fit their cells."""
    cell = 72 * (PAGE_WIDTH - 0.9) / len(tokens[0]) - 3
    fitting = CELL_TEXT_SIZE * cell / longest_token(tokens, CELL_TEXT_SIZE)
    if fitting >= MIN_TEXT_SIZE:
        return min(CELL_TEXT_SIZE, fitting), False
    return min(CELL_TEXT_SIZE, cell), True


def longest_token(tokens: list[list[str]], size: float) -> float:
    """Width in points of the widest token at `size` points, at least 1."""
    return max(1.0, *(text_width(drawable(token), size) for row in tokens for token in row))


def draw_cells(
    ax: Axes,
    mask: np.ndarray,
    texts: Sequence[Sequence[str]],
    colors: tuple[ColorType, ColorType],
    size: float,
    rotation: float,
) -> None:
    """A matrix coloured by `mask` with white rules and one text per cell."""
    edges = [np.arange(length + 1) - 0.5 for length in mask.shape[::-1]]
    ax.pcolormesh(*edges, mask, cmap=ListedColormap(colors), vmin=0, vmax=1, ec="white", lw=0.8)
    for (row, column), attended in np.ndenumerate(mask):
        ax.text(
            column,
            row,
            drawable(texts[row][column]),
            size=size,
            rotation=rotation,
            color=INK if attended else DARK_GREY,
            ha="center",
            va="center",
            parse_math=False,
        )
    ax.set_yticks(range(len(mask)))
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
