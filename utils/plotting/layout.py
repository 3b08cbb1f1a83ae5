"""Where the boxes of a flow diagram stand: a small layered graph layout.

A layer is a step along the flow, a lane a place across it. The layers are those of Sugiyama, Tagawa
and Toda (1981), "Methods for Visual Understanding of Hierarchical System Structures"; the lanes
are simpler: a box continues the lane of the box that feeds it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from statistics import fmean

Link = tuple[str, str]  # (from box, to box)


@dataclass(frozen=True)
class Layout:
    """Place of each box, and how the links that are longer than one layer get there."""

    layer: dict[str, int]
    lane: dict[str, float]
    passing: dict[Link, int]  # link that skips layers -> the lane it keeps on its way
    loops: list[Link]  # links that lead back to an earlier box, around all others

    @property
    def num_layers(self) -> int:
        return 1 + max(self.layer.values())

    @property
    def num_lanes(self) -> int:
        return 1 + ceil(max([*self.lane.values(), *self.passing.values()]))

    def is_outermost(self, box: str) -> bool:
        """Whether nothing stands or passes beyond `box` in its layer."""
        here = self.layer[box]
        beside = [self.lane[other] for other in self.lane if self.layer[other] == here]
        beside += [lane for link, lane in self.passing.items() if here in crossed(link, self.layer)]
        return self.lane[box] >= max(beside)


def layered_layout(boxes: Sequence[str], links: Sequence[Link]) -> Layout:
    """Lay out `boxes` in reading order; a link to a box listed before its start is a loop."""
    position = {box: i for i, box in enumerate(boxes)}
    onward = [link for link in links if position[link[0]] < position[link[1]]]
    layer = assign_layers(boxes, onward)
    lane = assign_lanes(boxes, onward, layer)
    passing = route_long_links(onward, layer, lane)
    lane = centre_lone_boxes([link for link in onward if link not in passing], layer, lane, passing)
    return Layout(layer, lane, passing, [link for link in links if link not in onward])


def crossed(link: Link, layer: dict[str, int]) -> range:
    """The layers between the ends of `link`."""
    return range(layer[link[0]] + 1, layer[link[1]])


def assign_layers(boxes: Sequence[str], links: Sequence[Link]) -> dict[str, int]:
    """As early as the links allow, then each box as close as possible to what it feeds."""
    layer: dict[str, int] = {}
    for box in boxes:
        layer[box] = max((layer[start] + 1 for start, end in links if end == box), default=0)
    for box in reversed(boxes):
        layer[box] = min(
            (layer[end] - 1 for start, end in links if start == box), default=layer[box]
        )
    return layer


def assign_lanes(
    boxes: Sequence[str], links: Sequence[Link], layer: dict[str, int]
) -> dict[str, float]:
    """The lane of the first feeding box, or the next one that is free in the layer."""
    lane: dict[str, float] = {}
    for box in boxes:
        wish = next((lane[start] for start, end in links if end == box), 0)
        taken = {lane[other] for other in lane if layer[other] == layer[box]}
        lane[box] = next(place for place in count(int(wish)) if place not in taken)
    return lane


def route_long_links(
    links: Sequence[Link], layer: dict[str, int], lane: dict[str, float]
) -> dict[Link, int]:
    """For each link that skips layers, the free lane nearest to its ends."""
    taken = {(layer[box], lane[box]) for box in lane}
    passing: dict[Link, int] = {}
    for link in (link for link in links if crossed(link, layer)):
        middle = (lane[link[0]] + lane[link[1]]) / 2
        nearest = sorted(range(len(lane) + len(links)), key=lambda place: abs(place - middle))
        steps = crossed(link, layer)
        passing[link] = next(p for p in nearest if taken.isdisjoint((step, p) for step in steps))
        taken.update((step, passing[link]) for step in steps)
    return passing


def centre_lone_boxes(
    short: Sequence[Link], layer: dict[str, int], lane: dict[str, float], passing: dict[Link, int]
) -> dict[str, float]:
    """Move each box that has its layer to itself to the middle of its neighbours' lanes."""
    in_use = Counter(layer.values()) + Counter(
        step for link in passing for step in crossed(link, layer)
    )
    lane = dict(lane)
    lone = sorted((box for box in lane if in_use[layer[box]] == 1), key=layer.__getitem__)
    for box in lone:
        lane[box] = fmean([lane[start] for start, end in short if end == box] or [lane[box]])
    for box in reversed(lone):
        lane[box] = fmean([lane[end] for start, end in short if start == box] or [lane[box]])
    return lane
