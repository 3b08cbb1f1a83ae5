"""Sizes of a flow diagram: boxes wide enough for their texts, on a page 7 inches wide.

Lengths are in inches, font sizes in points. A place in the diagram is (u, v): u along the flow and
v across it, from the corner where the flow begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from utils.plotting.layout import Layout, Link
from utils.plotting.style import PAGE_WIDTH
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, wrap_to_width

NAME_SIZE = 9.0
DETAIL_SIZE = 8.0
LABEL_SIZE = 8.0  # of an arrow
PADDING = 0.11  # between a text and the edge of its box
GAP = 0.38  # between layers: room for an arrow
LANE_GAP = 0.25
PASSING_LANE = 0.2  # width of a lane that only arrows use
LOOP_LANE = 0.36  # distance of an arrow that leads back from what it passes
MAX_BOX_WIDTH = 1.75
MARGIN = 0.2

Point = tuple[float, float]


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
        width, height = self.box_size
        return (height / 2, width / 2) if self.downward else (width / 2, height / 2)

    @property
    def page_size(self) -> Point:
        """Width and height of the diagram with its loops."""
        length = float(self.layers[-1]) + self.half[0]
        across = self.breadth + self.loop_lane * len(self.layout.loops)
        return (across, length) if self.downward else (length, across)

    def centre(self, box: str) -> Point:
        """(u, v) of the centre of `box`."""
        v = np.interp(self.layout.lane[box], np.arange(len(self.lanes)), self.lanes)
        return float(self.layers[self.layout.layer[box]]), float(v)


def fit_to_page(details: Mapping[str, str], layout: Layout, labels: Mapping[Link, str]) -> Geometry:
    """The diagram of `details` (name -> second line), to the right if it fits, else downward.

    Raises:
        ValueError: it fits neither way.
    """
    room = PAGE_WIDTH - 2 * MARGIN
    for downward in (False, True):
        geometry = arrange(details, layout, labels, downward, room)
        if geometry.page_size[0] <= room:
            return geometry
    raise ValueError(
        f"The diagram has {layout.num_layers} steps and up to {layout.num_lanes} boxes side by "
        "side, which fits a page in neither direction: shorten its texts or draw fewer boxes."
    )


def arrange(
    details: Mapping[str, str],
    layout: Layout,
    labels: Mapping[Link, str],
    downward: bool,
    room: float,
) -> Geometry:
    """Break the texts so that the diagram fits `room` inches if it can, and place everything."""
    widths = {link: text_width(label, LABEL_SIZE) / 72 for link, label in labels.items()}
    gaps = layer_gaps(layout, {} if downward else widths)
    loop_lane = LOOP_LANE
    if downward:
        loop_lane += max((widths[loop] for loop in layout.loops), default=0)
        between = LANE_GAP * (layout.num_lanes - 1) + loop_lane * len(layout.loops)
        box_room = (room - between) / layout.num_lanes
    else:
        box_room = (room - gaps.sum()) / layout.num_layers
    texts = wrap_texts(details, 72 * (min(MAX_BOX_WIDTH, box_room) - 2 * PADDING))
    box_size = size_around(texts)
    along, across = box_size[::-1] if downward else box_size
    layers = along / 2 + np.concatenate([[0], np.cumsum(gaps + along)])
    lanes, breadth = lane_places(layout, across, widths if downward else {})
    return Geometry(layout, downward, texts, box_size, layers, lanes, breadth, loop_lane)


def layer_gaps(layout: Layout, label_widths: Mapping[Link, float]) -> np.ndarray:
    """(layers - 1,) distances between layers: an arrow long, or as long as a label on it needs.

    The label of a bent arrow stands beside its middle, so it has only half of the gap.
    """
    gaps = np.full(layout.num_layers - 1, GAP)
    for link, width in label_widths.items():
        if link not in layout.passing and link not in layout.loops:
            step = layout.layer[link[0]]
            is_bent = layout.lane[link[0]] != layout.lane[link[1]]
            gaps[step] = max(gaps[step], (1 + is_bent) * width + 2 * PADDING)
    return gaps


def lane_places(
    layout: Layout, across: float, label_widths: Mapping[Link, float]
) -> tuple[np.ndarray, float]:
    """Centre of each lane, and the breadth of all; a lane that arrows only pass is narrow."""
    breadths = np.full(layout.num_lanes, PASSING_LANE)
    for link, lane in layout.passing.items():
        breadths[lane] = max(breadths[lane], 2 * (label_widths.get(link, 0) + PADDING))
    for lane in layout.lane.values():
        for side in (floor(lane), ceil(lane)):
            breadths[side] = max(breadths[side], across)
    ends = np.cumsum(breadths) + LANE_GAP * np.arange(layout.num_lanes)
    return ends - breadths / 2, float(ends[-1])


def wrap_texts(details: Mapping[str, str], width: float) -> dict[str, tuple[str, str]]:
    """Names and second lines broken into lines of at most `width` points where a space allows."""
    return {
        name: (
            wrap_to_width(drawable(name), width, NAME_SIZE, "bold"),
            wrap_to_width(drawable(detail), width, DETAIL_SIZE),
        )
        for name, detail in details.items()
    }


def size_around(texts: Mapping[str, tuple[str, str]]) -> Point:
    """Width and height of the smallest box that holds each of the texts."""
    widths = [
        text_width(line, size, weight)
        for name, detail in texts.values()
        for text, size, weight in ((name, NAME_SIZE, "bold"), (detail, DETAIL_SIZE, "normal"))
        for line in text.splitlines()
    ]
    heights = [name_height(name) + detail_height(detail) for name, detail in texts.values()]
    return max(widths) / 72 + 2 * PADDING, max(heights) + 2 * PADDING


def name_height(name: str) -> float:
    """Height of the broken name of a box."""
    return len(name.splitlines()) * NAME_SIZE * LINE_HEIGHT / 72


def detail_height(detail: str) -> float:
    """Height of the broken second line of a box, 0 if there is none."""
    return len(detail.splitlines()) * DETAIL_SIZE * LINE_HEIGHT / 72
