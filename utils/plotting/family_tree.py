"""The family tree of models, drawn as boxes along the years."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path

from utils.plotting.family_layout import BOX_HEIGHT, Point, Tree, grow
from utils.plotting.style import (
    PAGE_WIDTH,
    PALETTE,
    TITLE_SIZE,
    lighten,
    wrap_title,
)
from utils.plotting.text import LINE_HEIGHT, text_width
from utils.plotting.validation import not_empty

if TYPE_CHECKING:
    import pandas as pd

NAME_SIZE = 7.0  # points
PADDING = 0.05  # inches between a name and the sides of its box
LEFT, RIGHT, BOTTOM, HEADER = 0.58, 0.08, 0.35, 0.25  # inches around the tree
LINE_STYLES = ("-", "--", ":", "-.")  # of a box: a second cue beside colour and column


def plot_family_tree(frame: "pd.DataFrame", title: str) -> Figure:
    """Models as boxes along the years, each joined to the models that it builds on.

    Years run downward; a year is as tall as its models need, and within it a branch is read from
    top to bottom.

    Args:
        frame: one row per model with `name`, `year`, `month`, `branch` and `parents` (a sequence of
            names), for instance from `utils.models.families.load_families`. Branches become columns
            in the order encoder, encoder-decoder, decoder; others follow as they appear.
        title: of the figure.

    Raises:
        ValueError: no model, a parent that is not an older model of `frame`, or names too long for
            the page.
    """
    not_empty("frame", frame)
    check_parents(frame)
    widths = {name: text_width(name, NAME_SIZE) / 72 + 2 * PADDING for name in frame["name"]}
    tree = grow(frame, widths, room=PAGE_WIDTH - LEFT - RIGHT)
    fig, ax = canvas(title, tree)
    styles = branch_styles(tree.columns)
    for model in frame.itertuples():
        draw_box(ax, tree, model.name, styles[model.branch])
        for parent in model.parents:
            draw_line(ax, tree, parent, model.name, styles[model.branch])
    return fig


def check_parents(frame: "pd.DataFrame") -> None:
    """Raise ValueError for a parent that is not in `frame` or came later than its child."""
    dates = {model.name: (model.year, model.month) for model in frame.itertuples()}
    for model in frame.itertuples():
        for parent in model.parents:
            if parent not in dates or dates[parent] >= dates[model.name]:
                raise ValueError(
                    f"{model.name!r} names the parent {parent!r}, which is no older model of frame."
                )


def canvas(title: str, tree: Tree) -> tuple[Figure, Axes]:
    """A figure of page width whose axes measure inches from the corner of the tree."""
    lines = len(wrap_title(title).splitlines())
    total = 0.15 + lines * TITLE_SIZE * LINE_HEIGHT / 72 + HEADER + tree.height + BOTTOM
    width = PAGE_WIDTH - LEFT - RIGHT
    fig = Figure(figsize=(PAGE_WIDTH, total))
    fig.suptitle(wrap_title(title), y=1 - 0.08 / total, va="top", parse_math=False)
    place = (LEFT / PAGE_WIDTH, BOTTOM / total, width / PAGE_WIDTH, tree.height / total)
    ax = fig.add_axes(place, xlim=(0, width), ylim=(tree.height, 0))
    draw_columns(ax, tree)
    draw_years(ax, tree)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig, ax


def draw_columns(ax: Axes, tree: Tree) -> None:
    """A tinted column for each branch with its name on top."""
    for (left, right), color in zip(tree.columns.values(), cycle(PALETTE)):
        tint = lighten(color, 0.07)
        ax.add_patch(
            Rectangle((left, 0), right - left, tree.height, facecolor=tint, ec="white", zorder=0.1)
        )
    centres = [(left + right) / 2 for left, right in tree.columns.values()]
    ax.xaxis.set_ticks_position("top")
    ax.set_xticks(centres, list(tree.columns), size=9, weight="bold")
    ax.set_xlabel("branch of the family (a line leads from a model down to one that builds on it)")


def draw_years(ax: Axes, tree: Tree) -> None:
    """A white rule between two years, each named at the left."""
    for top, _ in tree.years.values():
        ax.axhline(top, color="white", linewidth=2, zorder=0.5)
    centres = [(top + bottom) / 2 for top, bottom in tree.years.values()]
    ax.set_yticks(centres, [str(year) for year in tree.years])
    ax.set_ylabel("year of publication")


def branch_styles(branches: Mapping[str, object]) -> dict[str, dict]:
    """Branch -> colour and line style of its boxes."""
    return {
        branch: {"edgecolor": color, "linestyle": line}
        for branch, color, line in zip(branches, cycle(PALETTE), cycle(LINE_STYLES))
    }


def draw_line(ax: Axes, tree: Tree, parent: str, child: str, style: Mapping) -> None:
    """The line from a model to one that builds on it; the patch has "parent -> child" as gid."""
    (x, y), (end, bottom) = tree.places[parent], tree.places[child]
    run = tree.runs[parent, child]
    stops = [(x, y + BOX_HEIGHT / 2), (run.x, run.top)]
    if run.bottom > run.top:
        stops += [(run.x, run.bottom), (end, bottom - BOX_HEIGHT / 2)]
    path = Path(*swinging(stops))
    color = lighten(style["edgecolor"], 0.7)
    gid = f"{parent} -> {child}"
    ax.add_patch(PathPatch(path, fill=False, edgecolor=color, linewidth=1.1, zorder=1, gid=gid))


def swinging(stops: Sequence[Point]) -> tuple[list[Point], list[int]]:
    """Vertices and codes of a path through `stops` that leaves and enters each of them downward."""
    vertices, codes = [stops[0]], [Path.MOVETO]
    for (x, y), (next_x, next_y) in pairwise(stops):
        middle = (y + next_y) / 2
        vertices += [(x, middle), (next_x, middle), (next_x, next_y)]
        codes += [Path.CURVE4] * 3
    return vertices, codes


def draw_box(ax: Axes, tree: Tree, name: str, style: Mapping) -> None:
    """The box of one model; its patch carries the name as gid."""
    (x, y), width = tree.places[name], tree.widths[name]
    corner = (x - width / 2, y - BOX_HEIGHT / 2)
    look = {"facecolor": lighten(style["edgecolor"], 0.2), "linewidth": 1.2, "zorder": 2, **style}
    shape = "round,pad=0,rounding_size=0.05"
    ax.add_patch(FancyBboxPatch(corner, width, BOX_HEIGHT, boxstyle=shape, gid=name, **look))
    ax.text(x, y, name, size=NAME_SIZE, ha="center", va="center_baseline", parse_math=False)
