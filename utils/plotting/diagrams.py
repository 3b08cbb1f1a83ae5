"""Flow diagrams: boxes with two lines of text, joined by arrows."""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import cycle, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path

from utils.plotting.geometry import (
    DETAIL_SIZE,
    GAP,
    LABEL_SIZE,
    LOOP_LANE,
    MARGIN,
    NAME_SIZE,
    Geometry,
    Point,
    detail_height,
    fit_to_page,
    name_height,
)
from utils.plotting.layout import Link, layered_layout
from utils.plotting.style import GREY, INK, PAGE_WIDTH, PALETTE, TITLE_SIZE, lighten, wrap_title
from utils.plotting.text import LINE_HEIGHT, drawable
from utils.plotting.validation import not_empty

PLAIN = {"facecolor": "#F4F4F4", "edgecolor": GREY, "linestyle": "-", "linewidth": 1.2}
LEGEND_HEIGHT = 0.35  # inches
LINE_STYLES = ("-", "--", ":", "-.")  # a second cue beside the colour of a kind
LABEL_GAP = 0.05  # inches between an arrow and its label
ROUNDING = 0.06  # inches, corners of a box

Box = str | tuple[str, str]
Arrow = tuple[str, str] | tuple[str, str, str]


def plot_flow(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow] | None = None,
    title: str = "Flow",
    *,
    kinds: Mapping[str, str] | None = None,
) -> Figure:
    """Boxes joined by arrows, laid out in layers along the flow.

    The flow runs to the right if the texts fit the page like that, else downward. Several arrows
    from or to one box make branches; an arrow to a box listed earlier leads back around the others.

    Args:
        boxes: in reading order, each a unique name or (name, second line).
        arrows: (from, to) or (from, to, label) by name; without them, a chain of all boxes.
        title: of the figure.
        kinds: box name -> its kind, for instance "frozen" or "trained"; each kind gets a colour, a
            line style and an entry in the legend.

    Raises:
        ValueError: no box, a name twice, an arrow or kind that names no box or joins a box to
            itself, or more than fits a page.

    Example:
        >>> plot_flow(["body", "head A", "head B"], [("body", "head A"), ("body", "head B")])
    """
    kinds = kinds or {}
    details = named_boxes(boxes)
    labels = labelled_links(pairwise(details) if arrows is None else arrows, details)
    check_names("kinds", kinds, details)
    geometry = fit_to_page(details, layered_layout(list(details), list(labels)), labels)
    fig, ax = canvas(title, geometry, legend=bool(kinds))
    styles = kind_styles(kinds)
    for name in details:
        draw_box(ax, geometry, name, styles.get(kinds.get(name), PLAIN))
    for link, label in labels.items():
        draw_arrow(ax, geometry, link, label)
    if kinds:
        draw_legend(ax, styles)
    return fig


def named_boxes(boxes: Sequence[Box]) -> dict[str, str]:
    """Name -> second line (empty if there is none), or ValueError."""
    not_empty("boxes", boxes)
    pairs = [(box, "") if isinstance(box, str) else box for box in boxes]
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"boxes names {twice[0]!r} twice: give each box a name of its own.")
    return dict(pairs)


def labelled_links(arrows: Iterable[Arrow], names: Container[str]) -> dict[Link, str]:
    """(from, to) -> label of the arrow (empty if it has none), or ValueError."""
    labels = {}
    for source, target, *label in arrows:
        check_names("arrows", (source, target), names)
        if source == target:
            raise ValueError(f"arrows joins {source!r} to itself: an arrow needs two boxes.")
        labels[source, target] = drawable(label[0]) if label else ""
    return labels


def check_names(what: str, used: Iterable[str], names: Container[str]) -> None:
    """Raise ValueError for the first of `used` that is no box."""
    for name in used:
        if name not in names:
            raise ValueError(f"{what} names {name!r}, which is not the name of a box.")


def canvas(title: str, geometry: Geometry, legend: bool) -> tuple[Figure, Axes]:
    """A figure of page width whose axes measure inches from the corner of the diagram."""
    width, height = geometry.page_size
    top = 1.5 * MARGIN + len(wrap_title(title).splitlines()) * TITLE_SIZE * LINE_HEIGHT / 72
    bottom = MARGIN + (LEGEND_HEIGHT if legend else 0)
    left = (PAGE_WIDTH - width) / 2
    total = top + height + bottom
    fig = Figure(figsize=(PAGE_WIDTH, total))
    fig.suptitle(wrap_title(title), y=1 - MARGIN / 2 / total, va="top", parse_math=False)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(-left, width + left), ylim=(height + bottom, -top))
    ax.set_axis_off()
    return fig, ax


def on_page(geometry: Geometry, place: Point) -> Point:
    """(x, y) of a place (u, v) in the axes of `canvas`."""
    return place[::-1] if geometry.downward else place


def kind_styles(kinds: Mapping[str, str]) -> dict[str, dict]:
    """Kind -> style of its boxes, in order of first use."""
    unique = dict.fromkeys(kinds.values())
    return {
        kind: {
            "facecolor": lighten(color, 0.25),
            "edgecolor": color,
            "linestyle": line,
            "linewidth": 1.6,
        }
        for kind, color, line in zip(unique, cycle(PALETTE), cycle(LINE_STYLES))
    }


def draw_box(ax: Axes, geometry: Geometry, name: str, style: Mapping) -> None:
    """The box called `name`; its patch carries the name as gid."""
    (width, height), (x, y) = geometry.box_size, on_page(geometry, geometry.centre(name))
    corner = (x - width / 2, y - height / 2)
    shape = f"round,pad=0,rounding_size={ROUNDING}"
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, gid=name, **style))
    title, detail = geometry.texts[name]
    above, below = name_height(title), detail_height(detail)
    text = {"ha": "center", "va": "center", "linespacing": 1.16, "parse_math": False}
    ax.text(x, y - below / 2, title, size=NAME_SIZE, weight="bold", **text)
    ax.text(x, y + above / 2, detail, size=DETAIL_SIZE, **text)


def draw_arrow(ax: Axes, geometry: Geometry, link: Link, label: str) -> None:
    """The arrow of `link`, its label beside its middle; the patch carries "from -> to" as gid."""
    if link in geometry.layout.loops:
        knots = stops = loop_route(geometry, link)
        codes = None  # straight lines
    else:
        knots = onward_route(geometry, link)
        stops = smooth(knots)
        codes = [Path.MOVETO] + [Path.CURVE4] * (len(stops) - 1)
    path = Path([on_page(geometry, stop) for stop in stops], codes)
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "color": INK, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(path=path, gid=" -> ".join(link), joinstyle="round", **style))
    if label:
        draw_label(ax, on_page(geometry, middle(knots)), label_side(geometry, link), label)


def draw_label(ax: Axes, place: Point, side: tuple[int, int], label: str) -> None:
    """`label` at the given side of a place on the page."""
    (x, y), (dx, dy) = place, side
    ax.text(
        x + LABEL_GAP * dx,
        y + LABEL_GAP * dy,
        label,
        size=LABEL_SIZE,
        ha={-1: "right", 0: "center", 1: "left"}[dx],
        va={-1: "bottom", 0: "center", 1: "top"}[dy],
        parse_math=False,
    )


def label_side(geometry: Geometry, link: Link) -> tuple[int, int]:
    """Side of the arrow's middle for its label: (-1 left or 1 right, -1 above or 1 below).

    A bent arrow leaves two corners free; the label takes the one that no box borders.
    """
    layout = geometry.layout
    bend = np.sign(layout.lane[link[1]] - layout.lane[link[0]])
    if link in layout.loops:
        return (1, 0) if geometry.downward else (0, 1)
    if link in layout.passing or bend == 0:
        return (1, 0) if geometry.downward else (0, -1)
    return (-int(bend), 1) if geometry.downward else (1, -int(bend))


def onward_route(geometry: Geometry, link: Link) -> list[Point]:
    """Ends of an arrow along the flow, and of the lane that it keeps if it skips layers."""
    layout, half = geometry.layout, geometry.half[0]
    (start, v_start), (end, v_end) = map(geometry.centre, link)
    knots = [(start + half, v_start), (end - half, v_end)]
    if link in layout.passing:
        first = geometry.layers[layout.layer[link[0]] + 1] - half
        last = geometry.layers[layout.layer[link[1]] - 1] + half
        lane = geometry.lanes[layout.passing[link]]
        knots[1:1] = [(first, lane), (last, lane)]
    return knots


def smooth(knots: Sequence[Point]) -> list[Point]:
    """Control points of Bezier curves through `knots` that leave and arrive along the flow."""
    stops = [knots[0]]
    for (u, v), (next_u, next_v) in pairwise(knots):
        halfway = (u + next_u) / 2
        stops += [(halfway, v), (halfway, next_v), (next_u, next_v)]
    return stops


def loop_route(geometry: Geometry, link: Link) -> list[Point]:
    """Corners of an arrow that leads back around all boxes, in a channel of its own."""
    number = geometry.layout.loops.index(link)
    channel = geometry.breadth + geometry.loop_lane * number + LOOP_LANE / 2
    leaving = path_to_channel(geometry, link[0], channel, side=1)
    entering = path_to_channel(geometry, link[1], channel, side=-1)
    return leaving + entering[::-1]


def path_to_channel(geometry: Geometry, box: str, channel: float, side: int) -> list[Point]:
    """Corners from the edge of `box` to the channel: straight, or through the gap at its `side`."""
    (u, v), (half_along, half_across) = geometry.centre(box), geometry.half
    if geometry.layout.is_outermost(box):
        return [(u, v + half_across), (u, channel)]
    edge, gap = u + side * half_along, u + side * (half_along + GAP / 2)
    return [(edge, v), (gap, v), (gap, channel)]


def middle(knots: Sequence[Point]) -> Point:
    """The middle of the longest stretch along the flow; of a bent arrow, its only stretch."""

    def length_along(stretch: tuple[Point, Point]) -> tuple[bool, float]:
        (u, v), (next_u, next_v) = stretch
        return v == next_v, abs(next_u - u)

    (u, v), (next_u, next_v) = max(pairwise(knots), key=length_along)
    return (u + next_u) / 2, (v + next_v) / 2


def draw_legend(ax: Axes, styles: Mapping[str, Mapping]) -> None:
    """One entry per kind of box, below the diagram."""
    entries = [Patch(label=kind, **style) for kind, style in styles.items()]
    ax.legend(handles=entries, loc="lower center", ncols=len(entries))
