"""Boxes with one text each, and arrows, on a page that is measured in inches."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from utils.plotting.style import (
    DARK_GREY,
    GREY,
    INK,
    LIGHT_GREY,
    PAGE_WIDTH,
    TITLE_SIZE,
    lighten,
    wrap_title,
)
from utils.plotting.text import LINE_HEIGHT

MARGIN = 0.2  # inches, around all that is drawn
TEXT_SIZE = 9.0  # points
ROUNDING = 0.05  # inches, corners of a box


class Place(NamedTuple):
    """A rectangle: its left and upper edge and its size, in inches; y counts downward."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def moved(self, x: float, y: float) -> "Place":
        return Place(self.x + x, self.y + y, self.width, self.height)


def new_page(title: str, height: float) -> tuple[Figure, Axes]:
    """A figure of page width with `height` inches below the title, and axes that measure inches.

    (0, 0) is the left end of the space below the title, y counts downward.
    """
    lines = wrap_title(title).splitlines()
    top = 1.5 * MARGIN + len(lines) * TITLE_SIZE * LINE_HEIGHT / 72
    total = top + height + MARGIN
    fig = Figure(figsize=(PAGE_WIDTH, total))
    fig.suptitle("\n".join(lines), y=1 - MARGIN / 2 / total, va="top", parse_math=False)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, PAGE_WIDTH), ylim=(height + MARGIN, -top))
    ax.set_axis_off()
    return fig, ax


def draw_box(
    ax: Axes, place: Place, text: str, color: str | None, *, size: float = TEXT_SIZE, name: str = ""
) -> None:
    """A rounded box with its text in a tint of `color`, or dashed grey without a colour.

    The patch carries `name` as gid.
    """
    x, y, width, height = place
    look = {"facecolor": LIGHT_GREY, "edgecolor": GREY, "linestyle": "--", "linewidth": 1}
    if color is not None:
        look = {"facecolor": lighten(color, 0.25), "edgecolor": color, "linewidth": 1.2}
    shape = f"round,pad=0,rounding_size={ROUNDING}"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, gid=name, **look))
    ink = DARK_GREY if color is None else INK
    style = {
        "size": size,
        "color": ink,
        "ha": "center",
        "va": "center_baseline",
        "linespacing": 1.16,
    }
    ax.text(*place.middle, text, parse_math=False, **style)


def draw_arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str = INK
) -> None:
    """A straight arrow from start to end, both (x, y) in inches."""
    ends = {"posA": start, "posB": end, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch(**ends, arrowstyle="-|>", mutation_scale=8, color=color, lw=1))
