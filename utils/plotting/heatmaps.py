"""Tables of numbers as coloured cells, each with its number written in it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike

from utils.plotting.style import INK, PAGE_WIDTH, new_figure
from utils.plotting.text import drawable, text_width
from utils.plotting.validation import rising, table

if TYPE_CHECKING:
    import pandas as pd

NAME_SIZE = 9.0  # points, of the names of rows and columns
NUMBER_SIZE, MIN_NUMBER_SIZE = 9.0, 6.0
MIN_HEIGHT, MAX_HEIGHT = 0.24, 0.42  # inches, of a cell
LABELS_WIDTH = 1.45  # inches: the label of y, the colour bar and its label
COLORMAP = "Blues"


def plot_heatmap(
    matrix: "pd.DataFrame",
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    label: str,
    limits: tuple[float, float] | None = None,
    number_format: str = ".2f",
) -> Figure:
    """A blue cell per entry with its number, the first row on top; darker is larger.

    Args:
        matrix: (R, C) numbers with the names of rows and columns.
        title: of the figure.
        xlabel: what the columns are.
        ylabel: what the rows are.
        label: quantity and unit of the numbers.
        limits: (low, high) of the colours, by default of the numbers; what lies beyond is coloured
            as the nearer limit.
        number_format: as in `format(number, number_format)`: ".2f" or ".0%", for instance.

    Raises:
        ValueError: no row or column, NaN, limits that do not rise, or more columns than fit a page.
    """
    numbers = table("matrix", matrix)
    rows, columns = ([drawable(str(name)) for name in axis] for axis in (matrix.index, matrix))
    texts = [[format(number, number_format) for number in row] for row in numbers]
    widest_row, widest_column = (widest(names, NAME_SIZE) / 72 for names in (rows, columns))
    width = (PAGE_WIDTH - LABELS_WIDTH - widest_row) / len(columns)
    height = min(MAX_HEIGHT, max(MIN_HEIGHT, width))
    upright = widest_column > width - 0.05
    names_height = widest_column if upright else 0.15
    fig = new_figure(title, height=0.95 + names_height + height * len(rows))
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    image = draw_cells(ax, numbers, texts, color_limits(numbers, limits), fit(texts, width))
    ax.set_aspect("auto")
    ax.set_xticks(range(len(columns)), columns, rotation=90 * upright, parse_math=False)
    ax.set_yticks(range(len(rows)), rows, parse_math=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ticks = PercentFormatter(1) if number_format.endswith("%") else None
    fig.colorbar(image, ax=ax, label=label, format=ticks)
    return fig


def widest(texts: Sequence[str], size: float) -> float:
    """Width in points of the widest of `texts` at `size` points."""
    return max(text_width(text, size) for text in texts)


def color_limits(numbers: np.ndarray, limits: tuple[float, float] | None) -> tuple[float, float]:
    """`limits` if given, or the range of the numbers, widened where they are all the same."""
    if limits is not None:
        return rising("limits", limits)
    low, high = float(numbers.min()), float(numbers.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def fit(texts: Sequence[Sequence[str]], width: float) -> float:
    """Size in points at which each number fits a cell of `width` inches, or ValueError."""
    longest = max((text for row in texts for text in row), key=len)
    size = NUMBER_SIZE * (72 * width - 4) / text_width(longest, NUMBER_SIZE)
    if size < MIN_NUMBER_SIZE:
        raise ValueError(
            f"{len(texts[0])} columns of numbers such as {longest} do not fit a page: draw fewer "
            "columns, or numbers of fewer digits."
        )
    return min(NUMBER_SIZE, size)


def draw_cells(
    ax: Axes,
    matrix: np.ndarray,
    texts: Sequence[Sequence[str]],
    limits: tuple[float, float],
    size: float,
) -> AxesImage:
    """Blue cells between `limits` with a text of `size` points in each, light on dark."""
    image = ax.imshow(matrix, cmap=COLORMAP, vmin=limits[0], vmax=limits[1])
    for (row, column), color in zip(
        np.ndindex(matrix.shape), image.to_rgba(matrix).reshape(-1, 4), strict=True
    ):
        style = {"size": size, "color": ink_on(color), "ha": "center", "va": "center"}
        ax.text(column, row, texts[row][column], **style)
    return image


def ink_on(background: ArrayLike) -> ColorType:
    """The colour of text, white or dark, that contrasts more with `background` (RGBA)."""
    return max(("white", INK), key=lambda ink: contrast(ink, background))


def contrast(one: ColorType, two: ColorType) -> float:
    """Contrast ratio of two colours, 1 to 21, as the Web Content Accessibility Guidelines 2.1."""
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def luminance(color: ColorType) -> float:
    """Relative luminance of an sRGB colour, 0 (black) to 1 (white), as WCAG 2.1 defines it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
