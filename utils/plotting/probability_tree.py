"""Trees of continuations: what may follow, how probable it is, and which way a search went."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import atan2, cos, sin

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.typing import ColorType

from utils.plotting.style import (
    DARK_GREY,
    GREY,
    INK,
    PAGE_WIDTH,
    PALETTE,
    TITLE_SIZE,
    lighten,
    wrap_title,
)
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, visible_spaces, wrap_to_width
from utils.plotting.tree_layout import Node, tidy_rows
from utils.plotting.validation import finite, not_empty

SIZES = (9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0)  # points, of the words: the largest that fits
NUMBER_SIZE = 7.0  # of probabilities and values
VALUE_HEIGHT = 0.12  # inches of the line below a word
MARGIN = 0.12  # inches around the tree
PADDING = 0.05  # between a word and the edge of its box
MAX_WORD_WIDTH = 0.85  # longer texts, a prompt at the root say, break into lines
MIN_GAP, MAX_GAP = 0.5, 1.3  # between columns: room for an edge and its probability
ROW_GAP = 0.05
MAX_HEIGHT = 10.0
HEADER, FOOTER = 0.25, 0.3
EDGE_WIDTH = (0.6, 5.0)  # points, at probability 0 and 1
MIN_STRIPE = 1.3  # of each path on an edge that several take
BORDER_STEP = 3.0  # by which the border of a box grows with each further path
PRUNED = lighten(GREY, 0.55)

Point = tuple[float, float]
Tree = Mapping[Node, Mapping[str, float]]


@dataclass(frozen=True)
class Geometry:
    """Where the nodes stand, in inches from the upper left corner of the tree."""

    size: float  # of the words, in points
    texts: dict[Node, str]  # broken into lines
    left: dict[Node, float]  # x of the left edge of a node
    middle: dict[Node, float]  # y
    width: dict[Node, float]
    height: dict[Node, float]
    page: tuple[float, float]

    def right(self, node: Node) -> float:
        """x of the right edge of `node`."""
        return self.left[node] + self.width[node]


def plot_probability_tree(
    tree: Tree,
    *,
    title: str,
    paths: Mapping[str, Node] | None = None,
    values: Mapping[Node, float] | None = None,
    value_label: str = "value",
) -> Figure:
    """Words that may follow each other, from left to right, with their probabilities on the edges.

    The wider an edge, the more probable its word. Each of the `paths` has a colour, all else is
    grey. White space at the ends of a word is shown by signs, so tokens can be told apart.

    Args:
        tree: prefix (a tuple of words) -> {next word: probability}. The shortest prefix is the
            root, for instance () or ("The",). A node need not list all continuations, so a beam
            search can be drawn with its candidates alone.
        title: of the figure.
        paths: label -> a path from the root on, with all words of its prefix; in the legend.
        values: path -> number below its last word, for instance a cumulative log-probability.
        value_label: what the values are.

    Raises:
        ValueError: no node, a prefix that no other leads to, a probability outside 0 to 1, a path
            or value that is not in the tree, or a tree that does not fit a page.

    Example:
        >>> plot_probability_tree(
        ...     {("The",): {"nice": 0.5, "dog": 0.4}, ("The", "dog"): {"has": 0.9}},
        ...     title="Two steps",
        ...     paths={"beam search": ("The", "dog", "has")},
        ... )
    """
    paths, values = paths or {}, values or {}
    children = checked_tree(tree)
    root = next(iter(children))
    nodes = [root, *(child for group in children.values() for child in group)]
    check_nodes("paths", paths.values(), nodes)
    check_nodes("values", values, nodes)
    geometry = fit_to_page(children, root, values)
    notes = ["on a line: probability of the next word"]
    notes += [f"below a word: {value_label}"] if values else []
    fig, ax = canvas(title, geometry, "; ".join(notes), legend=bool(paths))
    colors = path_colors(paths, root)
    draw_steps(ax, geometry, root)
    for prefix, group in children.items():
        for node in group:
            draw_edge(ax, geometry, prefix, node, tree[prefix][node[-1]], colors.get(node, []))
    for node in nodes:
        draw_node(ax, geometry, node, colors.get(node, []), values.get(node))
    if paths:
        draw_legend(ax, paths)
    return fig


def checked_tree(tree: Tree) -> dict[Node, list[Node]]:
    """Prefix -> its children, the root first, or ValueError."""
    not_empty("tree", tree)
    children = {
        tuple(prefix): [(*prefix, word) for word in following]
        for prefix, following in sorted(tree.items(), key=lambda item: len(item[0]))
    }
    root, *others = children
    reached = {node for group in children.values() for node in group}
    for prefix in others:
        if prefix not in reached:
            raise ValueError(f"tree holds the prefix {prefix}, to which no path leads from {root}.")
    for prefix, following in tree.items():
        numbers = finite(f"tree[{prefix}]", list(following.values()))
        if numbers.min() < 0 or numbers.max() > 1:
            raise ValueError(f"tree[{prefix}] holds a probability outside 0 to 1.")
    return children


def check_nodes(what: str, used: Iterable[Node], nodes: Container[Node]) -> None:
    """Raise ValueError for the first of `used` that is no node."""
    for node in used:
        if node not in nodes:
            raise ValueError(
                f"{what} names {node}, which is no path of tree: give a tuple of words from the "
                "root on."
            )


def fit_to_page(
    children: Mapping[Node, Sequence[Node]], root: Node, values: Mapping[Node, float]
) -> Geometry:
    """The tree with its words as large as the width of the page allows.

    Raises:
        ValueError: it is too wide even with the smallest words, or too tall.
    """
    rows = tidy_rows(children, root)
    for size in SIZES:
        geometry = arrange(rows, root, size, values)
        width, height = geometry.page
        if width <= PAGE_WIDTH - 2 * MARGIN and height <= MAX_HEIGHT:
            return geometry
    raise ValueError(
        f"The tree has {max(map(len, rows)) - len(root)} steps and {max(rows.values()) + 1:.0f} "
        "rows, which do not fit a page: draw fewer steps or fewer words for each."
    )


def arrange(
    rows: Mapping[Node, float], root: Node, size: float, values: Mapping[Node, float]
) -> Geometry:
    """The tree with words of the given size; columns are spread over the page if they fit it."""
    texts = {node: node_text(node, size) for node in rows}
    width = {node: box_width(texts[node], size, values.get(node)) for node in rows}
    line, own = LINE_HEIGHT * size / 72, VALUE_HEIGHT * bool(values) + PADDING
    height = {node: line * len(text.split("\n")) + own for node, text in texts.items()}
    left, total = columns(width, len(root))
    tallest = max(height[node] for node in rows if node != root)
    middle = {node: row * (tallest + ROW_GAP) for node, row in rows.items()}
    top = min(middle[node] - height[node] / 2 for node in rows)
    bottom = max(middle[node] + height[node] / 2 for node in rows)
    middle = {node: y - top for node, y in middle.items()}
    return Geometry(size, texts, left, middle, width, height, (total, bottom - top))


def box_width(text: str, size: float, value: float | None) -> float:
    """Inches that a word and the value below it need."""
    widths = [text_width(line, size) for line in text.split("\n")]
    widths += [] if value is None else [text_width(value_text(value), NUMBER_SIZE)]
    return max(widths) / 72 + 2 * PADDING


def value_text(value: float) -> str:
    """Two decimals and a minus sign as wide as a plus."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def node_text(node: Node, size: float) -> str:
    """The last word of `node`, its outer white space visible, broken where it is long."""
    word = visible_spaces(node[-1]) if node else "start"
    return wrap_to_width(drawable(word), 72 * MAX_WORD_WIDTH, size)


def columns(width: Mapping[Node, float], first: int) -> tuple[dict[Node, float], float]:
    """x of the left edge of each node, by its depth, and the width of all columns."""
    widest = np.zeros(max(map(len, width)) - first + 1)
    for node, own in width.items():
        widest[len(node) - first] = max(widest[len(node) - first], own)
    room = PAGE_WIDTH - 2 * MARGIN - widest.sum()
    gap = np.clip(room / max(1, len(widest) - 1), MIN_GAP, MAX_GAP)
    starts = np.concatenate([[0], (widest[:-1] + gap).cumsum()])
    return {node: float(starts[len(node) - first]) for node in width}, starts[-1] + widest[-1]


def canvas(title: str, geometry: Geometry, note: str, legend: bool) -> tuple[Figure, Axes]:
    """A figure of page width whose axes measure inches from the corner of the tree."""
    width, height = geometry.page
    top = 0.15 + len(wrap_title(title).splitlines()) * TITLE_SIZE * LINE_HEIGHT / 72 + HEADER
    bottom = MARGIN + FOOTER * (1 + legend)
    left = (PAGE_WIDTH - width) / 2
    total = top + height + bottom
    fig = Figure(figsize=(PAGE_WIDTH, total))
    fig.suptitle(wrap_title(title), y=1 - 0.08 / total, va="top", parse_math=False)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(-left, width + left), ylim=(height + bottom, -top))
    ax.set_axis_off()
    ax.text(width / 2, height + MARGIN + 0.1, note, ha="center", va="center", color=DARK_GREY)
    return fig, ax


def draw_steps(ax: Axes, geometry: Geometry, root: Node) -> None:
    """The number of the step above each column but the root's."""
    widths: dict[int, float] = {}
    lefts = {len(node) - len(root): x for node, x in geometry.left.items()}
    for node, own in geometry.width.items():
        step = len(node) - len(root)
        widths[step] = max(own, widths.get(step, 0))
    for step in range(1, len(lefts)):
        x = lefts[step] + widths[step] / 2
        ax.text(x, -0.12, f"step {step}", ha="center", va="center", size=8, color=DARK_GREY)


def path_colors(paths: Mapping[str, Node], root: Node) -> dict[Node, list[str]]:
    """Node -> the colours of the paths that it lies on."""
    colors: dict[Node, list[str]] = {}
    for path, color in zip(paths.values(), cycle(PALETTE)):
        for end in range(len(root), len(path) + 1):
            colors.setdefault(path[:end], []).append(color)
    return colors


def draw_edge(
    ax: Axes,
    geometry: Geometry,
    prefix: Node,
    node: Node,
    probability: float,
    colors: Sequence[str],
) -> None:
    """The curve to `node`, in a stripe for each of its colours, and its probability."""
    start = geometry.right(prefix), geometry.middle[prefix]
    end = geometry.left[node], geometry.middle[node]
    thin, thick = EDGE_WIDTH
    total = max(thin + (thick - thin) * probability, MIN_STRIPE * len(colors))
    stripes = colors or [PRUNED]
    width = total / len(stripes)
    for i, color in enumerate(stripes):
        path = swing(start, end, (i - (len(stripes) - 1) / 2) * width / 72)
        look = {"edgecolor": color, "linewidth": width, "zorder": 2 if colors else 1}
        ax.add_patch(PathPatch(path, fill=False, capstyle="butt", gid=" ".join(node), **look))
    border = BORDER_STEP / 2 * len(colors) / 72  # half of it stands outside
    draw_probability(ax, end[0] - border, end[1], probability, INK if colors else DARK_GREY)


def swing(start: Point, end: Point, aside: float) -> Path:
    """A curve that leaves and arrives to the right, moved aside by a constant distance."""
    (x, y), (x_end, y_end) = start, end
    slope = atan2(2 * (y_end - y), x_end - x)  # halfway
    bend = x + 0.45 * (x_end - x) - 4 / 3 * sin(slope) * aside
    lift = (4 * cos(slope) - 1) / 3 * aside
    stops = [(x, y + aside), (bend, y + lift), (bend, y_end + lift), (x_end, y_end + aside)]
    return Path(stops, [Path.MOVETO, *[Path.CURVE4] * 3])


def draw_probability(ax: Axes, x: float, y: float, probability: float, color: ColorType) -> None:
    """The number on the end of an edge, just left of (x, y)."""
    ax.text(
        x - 0.06,
        y,
        f"{probability:.2f}" if probability >= 0.005 else "<0.01",
        ha="right",
        va="center_baseline",
        size=NUMBER_SIZE,
        color=color,
        zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )


def draw_node(
    ax: Axes, geometry: Geometry, node: Node, colors: Sequence[str], value: float | None
) -> None:
    """The box of a word, a border for each path through it; the patch has the path as gid."""
    width, height = geometry.width[node], geometry.height[node]
    x, y = geometry.left[node], geometry.middle[node]
    place = {"xy": (x, y - height / 2), "width": width, "height": height}
    shape = {"boxstyle": "round,pad=0,rounding_size=0.04", "facecolor": "white", "zorder": 3}
    borders = [(color, 1.5 + BORDER_STEP * i) for i, color in enumerate(colors)]
    for color, line in reversed(borders or [(PRUNED, 0.8)]):  # the innermost comes last
        ax.add_patch(
            FancyBboxPatch(**place, **shape, edgecolor=color, linewidth=line, gid=" ".join(node))
        )
    draw_texts(ax, geometry, node, value, INK if colors else DARK_GREY)


def draw_texts(
    ax: Axes, geometry: Geometry, node: Node, value: float | None, color: ColorType
) -> None:
    """The word in the middle of its box, or above its value."""
    x, y = geometry.left[node] + geometry.width[node] / 2, geometry.middle[node]
    style = {"ha": "center", "va": "center_baseline", "color": color, "zorder": 4}
    lift = 0 if value is None else VALUE_HEIGHT / 2
    word = {"size": geometry.size, "linespacing": 1.1, "parse_math": False}
    ax.text(x, y - lift, geometry.texts[node], **word, **style)
    if value is not None:
        below = LINE_HEIGHT * geometry.size / 72 / 2
        ax.text(x, y + below, value_text(value), size=NUMBER_SIZE, **style)


def draw_legend(ax: Axes, paths: Mapping[str, Node]) -> None:
    """One entry per path, at the foot of the figure."""
    handles = [
        Line2D([], [], color=color, linewidth=4, label=drawable(label))
        for label, color in zip(paths, cycle(PALETTE))
    ]
    ax.legend(handles=handles, loc="lower center", ncols=min(3, len(handles)))
