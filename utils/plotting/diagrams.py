"""Flow diagrams: boxes with two lines of text, joined by arrows.

Lengths are in inches, font sizes in points. A place in the diagram is (u, v): u along the flow and
v across it, from the corner where the flow begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from math import ceil, floor

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.path import Path

from utils.plotting import canvas
from utils.plotting.layout import Layout, Link, layered_layout
from utils.plotting.style import GREY, INK, PAGE_WIDTH, PALETTE, lighten
from utils.plotting.text import drawable, wrap_to_width

NAME_SIZE, DETAIL_SIZE, LABEL_SIZE = 9.0, 8.0, 8.0  # of a box, its second line, an arrow
PADDING = 0.11  # between a text and the edge of its box
MAX_BOX_WIDTH = 2.2
GAP = 0.38  # between layers: room for an arrow
LANE_GAP = 0.25
PASSING_LANE = 0.2  # width of a lane that only arrows use
LOOP_LANE = 0.36  # distance of an arrow that leads back from what it passes
LABEL_GAP = 0.05  # between an arrow and its label
PLAIN = {"fc": "#F4F4F4", "ec": GREY, "lw": 1.2}
LINE_STYLES = ("-", "--", ":", "-.")  # a second cue beside the colour of a kind

Point = canvas.Point
Box = str | tuple[str, str]
Arrow = tuple[str, str] | tuple[str, str, str]


@dataclass(frozen=True)
class Geometry:
    """A diagram that flows to the right or, if `downward`, down the page."""

    layout: Layout
    downward: bool
    texts: dict[str, tuple[str, str]]  # box -> name and second line, broken into lines
    box_size: Point  # width, height
    layers: np.ndarray  # u of the centre of each layer
    lanes: np.ndarray  # v of the centre of each lane
    breadth: float  # of all lanes; the loops run beyond
    loop_lane: float  # breadth of a loop with its label

    @property
    def half(self) -> Point:
        """Half a box along and across the flow."""
        return self.on_page((self.box_size[0] / 2, self.box_size[1] / 2))

    @property
    def page_size(self) -> Point:
        """Width and height of the diagram with its loops."""
        length = float(self.layers[-1]) + self.half[0]
        return self.on_page((length, self.breadth + self.loop_lane * len(self.layout.loops)))

    def centre(self, box: str) -> Point:
        """(u, v) of the centre of `box`."""
        v = np.interp(self.layout.lane[box], np.arange(len(self.lanes)), self.lanes)
        return float(self.layers[self.layout.layer[box]]), float(v)

    def on_page(self, place: Point) -> Point:
        """(x, y) of (u, v)."""
        return place[::-1] if self.downward else place


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
        kinds: box name -> its kind, for instance "frozen" or "trained"; each kind gets a colour, a
            line style and an entry in the legend.

    Raises:
        ValueError: a name twice, an arrow or kind that names no box, or more than fits a page.

    Example:
        >>> plot_flow(["body", "head A", "head B"], [("body", "head A"), ("body", "head B")])
    """
    kinds = kinds or {}
    details = dict((box, "") if isinstance(box, str) else box for box in boxes)
    if len(details) < len(boxes):
        raise ValueError(f"boxes has one name twice: {boxes}. Give each box a name of its own.")
    arrows = list(pairwise(details)) if arrows is None else arrows
    labels = {(start, end): drawable("".join(label)) for start, end, *label in arrows}
    unknown = {*kinds, *(name for link in labels for name in link)} - details.keys()
    if unknown:
        raise ValueError(f"arrows or kinds name {sorted(unknown)}; the boxes are {list(details)}.")
    geometry = fit_to_page(details, layered_layout(list(details), list(labels)), labels)
    fig, ax = canvas.page(title, geometry.page_size, below=0.35 * bool(kinds))
    looks = kind_looks(kinds.values())
    for name, (text, detail) in geometry.texts.items():
        x, y = geometry.on_page(geometry.centre(name))
        canvas.box(ax, (x, y), geometry.box_size, name, **looks.get(kinds.get(name), PLAIN))
        above, below = (
            canvas.height(text, NAME_SIZE),
            canvas.height(detail, DETAIL_SIZE),
        )
        canvas.text(ax, (x, y - below / 2), text, NAME_SIZE, weight="bold")
        canvas.text(ax, (x, y + above / 2), detail, DETAIL_SIZE)
    for link, label in labels.items():
        draw_arrow(ax, geometry, link, label)
    if kinds:
        canvas.legend(ax, [Patch(label=kind, **look) for kind, look in looks.items()], len(looks))
    return fig


def kind_looks(kinds: Iterable[str]) -> dict[str, dict]:
    """Kind -> look of its boxes, in order of first use."""
    return {
        kind: {"fc": lighten(color, 0.25), "ec": color, "ls": line, "lw": 1.6}
        for kind, color, line in zip(dict.fromkeys(kinds), cycle(PALETTE), cycle(LINE_STYLES))
    }


def fit_to_page(details: Mapping[str, str], layout: Layout, labels: Mapping[Link, str]) -> Geometry:
    """The diagram of `details` (name -> second line), to the right if it fits, else downward."""
    short = [labels[link] for link in labels if not {link} & {*layout.passing, *layout.loops}]
    for downward in (False, True) if not any(short) else (True,):  # no room for labels in the gaps
        geometry = arrange(details, layout, labels, downward)
        if geometry.page_size[0] <= PAGE_WIDTH - 2 * canvas.MARGIN:
            return geometry
    raise ValueError(
        f"The diagram has {layout.num_layers} steps and up to {layout.num_lanes} boxes side by "
        "side, which fits a page in neither direction: shorten its texts or draw fewer boxes."
    )


def arrange(
    details: Mapping[str, str], layout: Layout, labels: Mapping[Link, str], downward: bool
) -> Geometry:
    """Break the texts so that the diagram fits the page if it can, and place everything."""
    widths = {link: canvas.width(label, LABEL_SIZE) * downward for link, label in labels.items()}
    loop_lane = LOOP_LANE + max((widths[loop] for loop in layout.loops), default=0)
    count, between = layout.num_layers, GAP * (layout.num_layers - 1)
    if downward:
        count = layout.num_lanes
        between = LANE_GAP * (count - 1) + loop_lane * len(layout.loops)
    box_room = min(MAX_BOX_WIDTH, (PAGE_WIDTH - 2 * canvas.MARGIN - between) / count)
    texts, box_size = wrap_texts(details, 72 * (box_room - 2 * PADDING))
    along, across = box_size[::-1] if downward else box_size
    layers = along / 2 + (along + GAP) * np.arange(layout.num_layers)
    lanes, breadth = lane_places(layout, across, widths)
    return Geometry(layout, downward, texts, box_size, layers, lanes, breadth, loop_lane)


def lane_places(
    layout: Layout, across: float, label_widths: Mapping[Link, float]
) -> tuple[np.ndarray, float]:
    """Centre of each lane, and the breadth of all; a lane that arrows only pass is narrow."""
    breadths = np.full(layout.num_lanes, PASSING_LANE)
    for link, lane in layout.passing.items():
        breadths[lane] = max(breadths[lane], 2 * (label_widths[link] + PADDING))
    for lane in layout.lane.values():
        sides = [floor(lane), ceil(lane)]
        breadths[sides] = np.maximum(breadths[sides], across)
    ends = np.cumsum(breadths) + LANE_GAP * np.arange(layout.num_lanes)
    return ends - breadths / 2, float(ends[-1])


def wrap_texts(
    details: Mapping[str, str], width: float
) -> tuple[dict[str, tuple[str, str]], Point]:
    """Names and second lines in lines of `width` points, and the smallest box that holds each."""
    texts = {
        name: (
            wrap_to_width(drawable(name), width, NAME_SIZE, "bold"),
            wrap_to_width(drawable(detail), width, DETAIL_SIZE),
        )
        for name, detail in details.items()
    }
    widths = [canvas.width(name, NAME_SIZE, "bold") for name, _ in texts.values()]
    widths += [canvas.width(detail, DETAIL_SIZE) for _, detail in texts.values()]
    heights = [
        canvas.height(n, NAME_SIZE) + canvas.height(d, DETAIL_SIZE) for n, d in texts.values()
    ]
    return texts, (max(widths) + 2 * PADDING, max(heights) + 2 * PADDING)


def draw_arrow(ax: Axes, geometry: Geometry, link: Link, label: str) -> None:
    """The arrow of `link`, its label beside its middle; the patch carries "from -> to" as gid."""
    is_loop = link in geometry.layout.loops
    knots = loop_route(geometry, link) if is_loop else onward_route(geometry, link)
    stops = knots if is_loop else smooth(knots)
    codes = None if is_loop else [Path.MOVETO] + [Path.CURVE4] * (len(stops) - 1)
    path = Path([geometry.on_page(stop) for stop in stops], codes)
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "color": INK, "linewidth": 1.1}
    ax.add_patch(FancyArrowPatch(path=path, gid=" -> ".join(link), joinstyle="round", **style))
    if label:
        (x, y), (dx, dy) = geometry.on_page(middle(knots)), label_side(geometry, link)
        ha, va = ("center", "left", "right")[dx], ("center", "top", "bottom")[dy]
        canvas.text(ax, (x + LABEL_GAP * dx, y + LABEL_GAP * dy), label, LABEL_SIZE, ha=ha, va=va)


def label_side(geometry: Geometry, link: Link) -> tuple[int, int]:
    """Side of the arrow's middle for its label: (-1 left or 1 right, -1 above or 1 below).

    A bent arrow leaves two corners free; the label takes the one that no box borders.
    """
    layout = geometry.layout
    if not geometry.downward:
        return (0, 1) if link in layout.loops else (0, -1)
    bend = int(np.sign(layout.lane[link[1]] - layout.lane[link[0]]))
    is_short = link not in layout.passing and link not in layout.loops
    return (-bend, 1) if bend and is_short else (1, 0)


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
    return leaving + path_to_channel(geometry, link[1], channel, side=-1)[::-1]


def path_to_channel(geometry: Geometry, box: str, channel: float, side: int) -> list[Point]:
    """Corners from the edge of `box` to the channel: straight, or through the gap at its `side`."""
    (u, v), (half_along, half_across) = geometry.centre(box), geometry.half
    if geometry.layout.is_outermost(box):
        return [(u, v + half_across), (u, channel)]
    edge, gap = u + side * half_along, u + side * (half_along + GAP / 2)
    return [(edge, v), (gap, v), (gap, channel)]


def middle(knots: Sequence[Point]) -> Point:
    """The middle of the longest straight stretch along the flow, or of the whole bent arrow."""
    stretches = list(pairwise(knots))
    straight = [((u, v), end) for (u, v), end in stretches if v == end[1]] or stretches
    (u, v), (next_u, next_v) = max(straight, key=lambda ends: abs(ends[1][0] - ends[0][0]))
    return (u + next_u) / 2, (v + next_v) / 2
