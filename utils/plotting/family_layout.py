"""Where the boxes and lines of a family tree run: a column per branch, a band of rows per year.

Within a year, a branch fills its lanes row by row in order of publication, and a model stands below
all those that it builds on. A line leaves a box downward, swings between two rows to where it has
a free run, follows that past the rows between, and swings to the top of the other box.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count, pairwise
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BOX_HEIGHT = 0.19  # inches
ROW_HEIGHT = 0.40  # inches from one row to the next
LANE_GAP = 0.13  # inches between the widest boxes of two lanes
CLEARANCE = 0.03  # inches between a line and what it passes
USUAL_ORDER = ("encoder", "encoder-decoder", "decoder")  # from left to right

Point = tuple[float, float]


@dataclass(frozen=True)
class Run:
    """The straight part of a line from `parent`: at `x`, from `top` down to `bottom`."""

    parent: str
    x: float
    top: float
    bottom: float

    def meets(self, other: "Run") -> bool:
        """Whether two lines of different parents would lie on each other."""
        return (
            abs(self.x - other.x) < CLEARANCE
            and self.parent != other.parent
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass
class Tree:
    """Inches right and down from the corner of the tree.

    Attributes:
        widths: model -> width of its box.
        lanes: branch -> centres of its lanes.
        lane_width: of every lane.
        places: model -> centre of its box.
        runs: (parent, child) -> the straight part of the line that joins them.
        years: year -> top and bottom edge of its band.
    """

    widths: Mapping[str, float]
    lanes: Mapping[str, Sequence[float]]
    lane_width: float
    places: dict[str, Point] = field(default_factory=dict)
    runs: dict[tuple[str, str], Run] = field(default_factory=dict)
    years: dict[int, Point] = field(default_factory=dict)

    @property
    def height(self) -> float:
        return max(bottom for _, bottom in self.years.values())

    @property
    def columns(self) -> dict[str, Point]:
        """Branch -> left and right edge of its column."""
        half = self.lane_width / 2
        return {branch: (xs[0] - half, xs[-1] + half) for branch, xs in self.lanes.items()}

    def hidden(self, run: Run) -> int:
        """Number of boxes that `run` passes behind, and of lines that it lies on."""
        boxes = sum(
            run.top < y < run.bottom and abs(x - run.x) < self.widths[name] / 2 + CLEARANCE
            for name, (x, y) in self.places.items()
        )
        return boxes + sum(run.meets(other) for other in self.runs.values())


def grow(frame: "pd.DataFrame", widths: Mapping[str, float], room: float) -> Tree:
    """The tree with fewest hidden lines of all ways to share `room` inches among the branches.

    Of trees that are equally clear, the flattest one. Raises ValueError if `room` has no lane for
    each branch.
    """
    num_lanes = floor(room / (max(widths.values()) + LANE_GAP))
    branches = ordered_branches(frame)
    if num_lanes < len(branches):
        raise ValueError("The names are too long or the branches too many to stand side by side.")
    models = frame.sort_values(["year", "month"], kind="stable")
    width = room / num_lanes
    trees = [
        place_all(models, Tree(widths, lanes, width))
        for lanes in ways_to_share(num_lanes, width, branches)
    ]
    return min(trees, key=lambda tree: (sum(map(tree.hidden, tree.runs.values())), tree.height))


def ordered_branches(frame: "pd.DataFrame") -> list[str]:
    """The branches from left to right."""
    found = list(dict.fromkeys(frame["branch"]))
    return [b for b in USUAL_ORDER if b in found] + [b for b in found if b not in USUAL_ORDER]


def ways_to_share(
    num_lanes: int, width: float, branches: Sequence[str]
) -> Iterator[dict[str, list[float]]]:
    """Every way to give each branch one or more neighbouring lanes, by their centres."""
    centres = [width * (lane + 0.5) for lane in range(num_lanes)]
    for cuts in combinations(range(1, num_lanes), len(branches) - 1):
        edges = pairwise([0, *cuts, num_lanes])
        yield {b: centres[start:end] for b, (start, end) in zip(branches, edges, strict=True)}


def place_all(models: "pd.DataFrame", tree: Tree) -> Tree:
    """`tree` with all `models`, oldest first, and its years."""
    top = 0.0
    for year in range(models["year"].min(), models["year"].max() + 1):
        lowest = dict.fromkeys(tree.lanes, top + ROW_HEIGHT / 2)
        for model in models[models["year"] == year].itertuples():
            place(tree, model.name, model.branch, model.parents, lowest[model.branch])
            lowest[model.branch] = tree.places[model.name][1]
        bottom = max([top + ROW_HEIGHT / 2, *(y for _, y in tree.places.values())])
        tree.years[year] = (top, bottom + ROW_HEIGHT / 2)
        top = bottom + ROW_HEIGHT / 2
    return tree


def place(tree: Tree, name: str, branch: str, parents: Iterable[str], highest: float) -> None:
    """Put a box into its first row with a free lane, there where its lines hide and wind least."""
    above = [tree.places[parent][1] + ROW_HEIGHT for parent in parents]
    free = first_free_row(tree, branch, max([highest, *above]))
    middle = sum(tree.columns[branch]) / 2

    def cost(spot: Point) -> tuple[float, ...]:
        lines = [best_run(tree, parent, spot) for parent in parents]
        hidden = sum(map(tree.hidden, lines))
        return hidden, sum(detour(tree, run, spot) for run in lines), abs(spot[0] - middle)

    tree.places[name] = spot = min(free, key=cost)
    for parent in parents:
        tree.runs[parent, name] = best_run(tree, parent, spot)


def first_free_row(tree: Tree, branch: str, highest: float) -> list[Point]:
    """The free places of a branch in its first row, from `highest` on, that has any."""
    taken = {(x, round(y, 3)) for x, y in tree.places.values()}
    rows = (highest + row * ROW_HEIGHT for row in count())
    free = ([(x, y) for x in tree.lanes[branch] if (x, round(y, 3)) not in taken] for y in rows)
    return next(spots for spots in free if spots)


def best_run(tree: Tree, parent: str, end: Point) -> Run:
    """The straight part of a line from `parent` to a box at `end` that hides and winds least.

    It may follow the lane of either box or a gap beside any lane, where there is room for three.
    """
    (x, y), swing = tree.places[parent], ROW_HEIGHT - BOX_HEIGHT / 2
    top, bottom = y + swing, end[1] - swing
    gaps = {lane + tree.lane_width / 2 for lanes in tree.lanes.values() for lane in lanes[:-1]}
    gaps |= {edge for edges in tree.columns.values() for edge in edges}
    beside = [gap + 1.4 * CLEARANCE * side for gap in sorted(gaps) for side in (0, -1, 1)]
    runs = [Run(parent, at, top, max(top, bottom)) for at in (end[0], x, *beside)]
    runs.sort(key=lambda run: detour(tree, run, end))
    clear = (run for run in runs if not tree.hidden(run))
    return next(clear, None) or min(runs, key=tree.hidden)


def detour(tree: Tree, run: Run, end: Point) -> float:
    """How far a line leads sideways, in inches."""
    return abs(tree.places[run.parent][0] - run.x) + abs(run.x - end[0])
