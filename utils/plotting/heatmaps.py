"""Matrices as coloured cells, with the numbers in them where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from utils.plotting.style import PAGE_WIDTH, ink_on, new_figure
from utils.plotting.text import drawable, text_width
from utils.plotting.validation import table

if TYPE_CHECKING:
    import pandas as pd

SIZE, MIN_SIZE = 9.0, 6.0  # points: of names and numbers; of the smallest numbers
MIN_CELL, MAX_CELL, MAX_CELLS = 0.24, 0.42, 5.5  # inches: height of a cell, of all of them
NAME_ROOM = 0.17  # inches that a name takes across its direction
LABELS_WIDTH = 1.45  # inches: the label of y, the colour bar and its label


def plot_heatmap(
    matrix: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    label: str,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A cell per number of (R, C), the first row on top; darker is larger, beyond 0 in blue or red.

    Args:
        label: quantity and unit of the numbers, beside the colour bar.
        limits: (low, high) of the colours, by default of the numbers; two colours if low = -high.

    Raises:
        ValueError: no row or column, or NaN.
    """
    numbers = table("matrix", matrix)
    low, high = limits or (numbers.min(), numbers.max())
    rows, columns = ([drawable(str(name)) for name in axis] for axis in (matrix.index, matrix))
    widest_row, widest_column = (max(text_width(n, SIZE) for n in a) / 72 for a in (rows, columns))
    width = (PAGE_WIDTH - LABELS_WIDTH - widest_row) / len(columns)
    height = min(MAX_CELL, max(MIN_CELL, width), MAX_CELLS / len(rows))
    is_upright = widest_column > width - 0.05
    fig = new_figure(title, 0.95 + (widest_column if is_upright else 0.15) + height * len(rows))
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    texts = np.vectorize("{:.2f}".format)(numbers)
    longest = text_width(max(texts.flat, key=len), SIZE)
    size = min(SIZE, SIZE * (72 * width - 4) / longest)
    fits = size >= MIN_SIZE and size < 72 * height
    image = draw_cells(ax, numbers, texts if fits else None, (low, high), size)
    ax.set_aspect("auto")
    across, down = ceil(NAME_ROOM / width), ceil(NAME_ROOM / height)
    turn = {"rotation": 90 * is_upright, "parse_math": False}
    ax.set_xticks(range(0, len(columns), across), columns[::across], **turn)
    ax.set_yticks(range(0, len(rows), down), rows[::down], parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    fig.colorbar(image, ax=ax, label=label)
    return fig


def draw_cells(
    ax: Axes,
    matrix: np.ndarray,
    texts: Sequence[Sequence[str]] | None,
    limits: tuple[float, float],
    size: float,
) -> AxesImage:
    """Cells coloured between `limits`, each with its text of `size` points, light on dark."""
    low, high = limits
    cmap = "RdBu_r" if low == -high else "Blues"
    image = ax.imshow(matrix, cmap=cmap, vmin=low, vmax=high)
    colors = image.to_rgba(matrix)  # (R, C, 4)
    for row, column in np.ndindex(matrix.shape) if texts is not None else ():
        style = {"size": size, "color": ink_on(colors[row, column]), "ha": "center"}
        ax.text(column, row, texts[row][column], va="center", **style)
    return image
