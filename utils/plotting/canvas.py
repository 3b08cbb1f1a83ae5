"""Boxes, arrows and texts on a page that is measured in inches: what diagrams and trees share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from utils.plotting.style import PAGE_WIDTH, TITLE_SIZE, wrap_title
from utils.plotting.text import LINE_HEIGHT, plain, text_width

MARGIN = 0.2
ROUNDING = 0.05  # corners of a box

Point = tuple[float, float]


def page(title: str, size: Point, *, above: float = 0.0, below: float = 0.0) -> tuple[Figure, Axes]:
    """A page for a drawing of `size`, and axes that measure from its upper left corner.

    y counts downward. `above` and `below` the drawing some inches stay free for notes.
    """
    lines = wrap_title(title)
    top = 1.5 * MARGIN + height(lines, TITLE_SIZE) + above
    bottom, side = size[1] + MARGIN + below, (PAGE_WIDTH - size[0]) / 2
    total = top + bottom
    fig = Figure(figsize=(PAGE_WIDTH, total))
    fig.suptitle(lines, y=1 - MARGIN / 2 / total, va="top", parse_math=False)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(-side, size[0] + side), ylim=(bottom, -top))
    ax.set_axis_off()
    return fig, ax


def height(words: str, size: float) -> float:
    """Inches that the lines of `words` need; 0 without any."""
    return len(words.split("\n")) * size * LINE_HEIGHT / 72 if words else 0.0


def width(words: str, size: float, weight: str = "normal") -> float:
    """Inches of the longest line of `words`."""
    return max(text_width(line, size, weight) for line in words.split("\n")) / 72


def box(ax: Axes, centre: Point, size: Point, name: str, **look: object) -> None:
    """A rounded box; the patch carries `name` as gid."""
    corner, shape = np.subtract(centre, np.divide(size, 2)), f"round,pad=0,rounding_size={ROUNDING}"
    ax.add_patch(FancyBboxPatch(corner, *size, boxstyle=shape, gid=name, **look))


def text(ax: Axes, place: Point, words: str, size: float, **look: object) -> None:
    """`words` around `place`, as they are."""
    usual = {"ha": "center", "va": "center", "linespacing": 1.16, "parse_math": False}
    ax.text(*place, words, **usual | {"size": size} | look)


def legend(ax: Axes, handles: Sequence[Artist], columns: int) -> None:
    """A legend at the foot of the page."""
    place = {"loc": "lower center", "ncols": min(columns, len(handles))}
    plain(ax.legend(handles=handles, **place).get_texts())
