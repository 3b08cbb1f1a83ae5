"""Figures of matrices between positions: who attends to whom, and how positions are encoded."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from utils.plotting.style import LIGHT_GREY, PAGE_WIDTH, PALETTE, new_figure
from utils.plotting.text import wrap_to_width
from utils.plotting.validation import finite, not_empty

MAX_PANELS = 4  # in a row
MAX_PANEL = 3.0  # inches
MAX_RULED = 32  # positions up to which white rules part the cells
TITLE_POINTS = 9  # size of the name of a panel


def plot_attention_patterns(patterns: Mapping[str, ArrayLike], title: str) -> Figure:
    """One grid per pattern, a row per query and a column per key, coloured where it may look.

    The number under the name is the share of coloured cells.

    Args:
        patterns: name -> mask (T, S) of zeros and ones or booleans, true where query t attends to
            key s.
        title: of the figure.

    Raises:
        ValueError: no pattern, or a mask that has other than two axes or other values.
    """
    not_empty("patterns", patterns)
    masks = {name: checked_pattern(name, mask) for name, mask in patterns.items()}
    columns = min(MAX_PANELS, len(masks))
    rows = -(-len(masks) // columns)
    panel = min(MAX_PANEL, PAGE_WIDTH / columns - 0.6)
    fig = new_figure(title, height=0.35 + rows * (panel + 0.9))
    axes = list(fig.subplots(rows, columns, squeeze=False).flat)
    for ax, (name, mask) in zip(axes, masks.items(), strict=False):
        draw_pattern(ax, mask)
        heading = wrap_to_width(name, 72 * (PAGE_WIDTH / columns - 0.35), TITLE_POINTS)
        ax.set_title(f"{heading}\n{mask.mean():.0%} of the cells", size=TITLE_POINTS)
    for ax in axes[len(masks) :]:
        ax.remove()
    return fig


def checked_pattern(name: str, mask: ArrayLike) -> np.ndarray:
    """`mask` as a boolean array (T, S), or ValueError."""
    values = finite(f"the pattern {name!r}", mask, ndim=2)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"The pattern {name!r} may hold only 0 and 1, or False and True.")
    return values.astype(bool)


def draw_pattern(ax: Axes, mask: np.ndarray) -> None:
    """Coloured cells where `mask` is true, grey ones elsewhere; the first query is on top."""
    edges = [np.arange(length + 1) - 0.5 for length in mask.shape[::-1]]
    rules = {"ec": "white", "lw": 0.5} if max(mask.shape) <= MAX_RULED else {"lw": 0}
    colors = ListedColormap([LIGHT_GREY, PALETTE[0]])
    ax.pcolormesh(*edges, mask, cmap=colors, vmin=0, vmax=1, **rules)
    ax.set(xlabel="key position", ylabel="query position", aspect="equal")
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def plot_positions(matrix: ArrayLike, title: str) -> Figure:
    """Heatmap of a position encoding, a row per position from the top and a column per dimension.

    Args:
        matrix: (T, D) encodings; the colours are symmetric around zero.
        title: of the figure.

    Raises:
        ValueError: other than two axes, no entry, or NaN.
    """
    values = finite("matrix", matrix, ndim=2)
    limit = max(abs(values).max(), np.finfo(float).tiny)
    fig = new_figure(title, height=4.0)
    ax = fig.add_subplot(xlabel="dimension", ylabel="position")
    image = ax.imshow(
        values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    fig.colorbar(image, ax=ax, label="value")
    return fig
