"""Trees of continuations: what may follow, how probable it is, and which way a search went."""

from collections.abc import Mapping, Sequence
from itertools import cycle, zip_longest
from math import atan2, ceil, cos, sin
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from utils.plotting import canvas
from utils.plotting.style import DARK_GREY, GREY, INK, PAGE_WIDTH, PALETTE, lighten
from utils.plotting.text import drawable, visible_spaces, wrap_to_width

SIZES = (9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0)  # points, of the words: the largest that fits
NUMBER_SIZE, NOTE_SIZE = 7.0, 9.0
VALUE_HEIGHT = 0.12  # inches of the line below a word
MARGIN = 0.12  # inches at the sides of the page
PADDING = 0.05  # between a word and the edge of its box
MAX_WORD_WIDTH = 0.85  # longer texts, a prompt at the root say, break into lines
MIN_GAP, MAX_GAP = 0.5, 1.3  # between columns: room for an edge and its probability
ROW_GAP, COUSIN_GAP = 0.05, 1.2  # inches; rows between children of different parents
MAX_HEIGHT = 10.0
EDGE_WIDTH = (0.6, 5.0)  # points, at probability 0 and 1
MIN_STRIPE = 1.3  # of each path on an edge that several take
BORDER_STEP = 3.0  # by which the border of a box grows with each further path
PRUNED = lighten(GREY, 0.55)
LEGEND_COLUMNS = 3

Node = tuple[str, ...]
Span = tuple[float, float]  # first and last row that a subtree takes at one depth


class Spot(NamedTuple):
    """Where a node stands, in inches from the upper left corner of the tree."""

    text: str  # broken into lines
    left: float
    middle: float  # y
    width: float
    height: float


def plot_probability_tree(
    tree: Mapping[Node, Mapping[str, float]],
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
            root, for instance () or ("The",). A node need not list all continuations.
        paths: label -> a path from the root on, with all words of its prefix; in the legend.
        values: path -> number below its last word, for instance a cumulative log-probability.
        value_label: what the values are.

    Raises:
        ValueError: a prefix, path or value to which no path leads, or a tree too large for a page.

    Example:
        >>> plot_probability_tree(
        ...     {("The",): {"nice": 0.5, "dog": 0.4}, ("The", "dog"): {"has": 0.9}},
        ...     title="Two steps",
        ...     paths={"beam search": ("The", "dog", "has")},
        ... )
    """
    paths, values, root = paths or {}, values or {}, min(tree, key=len)
    children = {prefix: [(*prefix, word) for word in tree[prefix]] for prefix in tree}
    nodes = {root, *(child for group in children.values() for child in group)}
    for path in (*tree, *paths.values(), *values):
        if path not in nodes:
            raise ValueError(f"No path leads to {path}: give tuples of words from {root} on.")
    size, spots = fit_to_page(children, root, values)
    width, height = extent(spots)
    legend_height = 0.1 + 0.2 * ceil(len(paths) / LEGEND_COLUMNS) if paths else 0.0
    fig, ax = canvas.page(title, (width, height), above=0.12, below=0.2 + legend_height)
    note = "on a line: probability of the next word"
    note += f"; below a word: {value_label}" if values else ""
    canvas.text(ax, (width / 2, height + 0.2), note, NOTE_SIZE, color=DARK_GREY)
    for step in range(1, max(map(len, spots)) - len(root) + 1):
        column = [spot for node, spot in spots.items() if len(node) == len(root) + step]
        centre = column[0].left + max(spot.width for spot in column) / 2
        canvas.text(ax, (centre, -0.1), f"step {step}", 8, color=DARK_GREY)
    colors = path_colors(paths, root)
    for node, spot in spots.items():
        name, own = " ".join(node), colors.get(node, [])
        if node != root:
            draw_edge(ax, spots[node[:-1]], spot, name, own, tree[node[:-1]][node[-1]])
        draw_node(ax, spot, size, name, own, values.get(node))
    if paths:
        lines = [Line2D([], [], color=c, lw=4, label=p) for p, c in zip(paths, cycle(PALETTE))]
        canvas.legend(ax, lines, LEGEND_COLUMNS)
    return fig


def path_colors(paths: Mapping[str, Node], root: Node) -> dict[Node, list[str]]:
    """Node -> the colours of the paths that it lies on."""
    colors: dict[Node, list[str]] = {}
    for path, color in zip(paths.values(), cycle(PALETTE)):
        for end in range(len(root), len(path) + 1):
            colors.setdefault(path[:end], []).append(color)
    return colors


def fit_to_page(
    children: Mapping[Node, Sequence[Node]], root: Node, values: Mapping[Node, float]
) -> tuple[float, dict[Node, Spot]]:
    """Size of the words, as large as the page allows, and where the nodes stand."""
    rows, _ = tidy_rows(children, root)
    for size in SIZES:
        spots = arrange(rows, len(root), size, values)
        width, height = extent(spots)
        if width <= PAGE_WIDTH - 2 * MARGIN and height <= MAX_HEIGHT:
            return size, spots
    raise ValueError(
        f"The tree has {max(map(len, rows)) - len(root)} steps and {len(rows)} words, which do not "
        "fit a page: draw fewer steps or fewer words for each."
    )


def extent(spots: Mapping[Node, Spot]) -> canvas.Point:
    """Width and height of the tree."""
    right = max(spot.left + spot.width for spot in spots.values())
    return right, max(spot.middle + spot.height / 2 for spot in spots.values())


def tidy_rows(
    children: Mapping[Node, Sequence[Node]], node: Node
) -> tuple[dict[Node, float], list[Span]]:
    """Rows of a subtree with `node` in row 0, and its spans from its own depth on.

    Subtrees are moved together until they touch at some depth, and a parent stands in the middle
    of its children, as in Reingold and Tilford (1981), "Tidier Drawings of Trees".
    """
    rows: dict[Node, float] = {}
    spans: list[Span] = []
    for child in children.get(node, ()):
        below, outline = tidy_rows(children, child)
        gaps = [1.0] + [COUSIN_GAP] * len(spans)
        clearances = zip(spans, outline, gaps, strict=False)  # as deep as both go
        shift = max((last + gap - first for (_, last), (first, _), gap in clearances), default=0.0)
        rows |= {name: row + shift for name, row in below.items()}
        outline = [(first + shift, last + shift) for first, last in outline]
        pairs = zip_longest(spans, outline)
        spans = [(up[0], low[1]) if up and low else up or low for up, low in pairs]
    middle = sum(spans[0]) / 2 if spans else 0.0
    rows = {node: 0.0} | {name: row - middle for name, row in rows.items()}
    return rows, [(0.0, 0.0), *((first - middle, last - middle) for first, last in spans)]


def arrange(
    rows: Mapping[Node, float], first: int, size: float, values: Mapping[Node, float]
) -> dict[Node, Spot]:
    """The nodes with words of `size`; columns, from the root's on, are spread over the page."""
    texts = {node: node_text(node, size) for node in rows}
    width, height = {}, {}
    for node, text in texts.items():
        number = canvas.width(value_text(values[node]), NUMBER_SIZE) if node in values else 0
        width[node] = max(canvas.width(text, size), number) + 2 * PADDING
        height[node] = canvas.height(text, size) + VALUE_HEIGHT * bool(values) + PADDING
    depths = range(first, max(map(len, rows)) + 1)
    widest = np.array([max(width[node] for node in rows if len(node) == d) for d in depths])
    room = (PAGE_WIDTH - 2 * MARGIN - widest.sum()) / max(1, len(widest) - 1)
    lefts = np.cumsum([0, *(widest[:-1] + np.clip(room, MIN_GAP, MAX_GAP))])
    distance = max(height[node] for node in rows if len(node) > first) + ROW_GAP
    top = min(row * distance - height[node] / 2 for node, row in rows.items())
    return {
        node: Spot(
            texts[node], lefts[len(node) - first], row * distance - top, width[node], height[node]
        )
        for node, row in rows.items()
    }


def node_text(node: Node, size: float) -> str:
    """The last word of `node`, its outer white space visible, broken where it is long."""
    word = visible_spaces(node[-1]) if node else "start"
    return wrap_to_width(drawable(word), 72 * MAX_WORD_WIDTH, size)


def value_text(value: float) -> str:
    """Two decimals and a minus sign as wide as a plus."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def draw_edge(
    ax: Axes, parent: Spot, child: Spot, name: str, colors: Sequence[str], probability: float
) -> None:
    """The curve to `child`, in a stripe for each of its colours, and its probability."""
    start, end = (parent.left + parent.width, parent.middle), (child.left, child.middle)
    thin, thick = EDGE_WIDTH
    stripes = colors or [PRUNED]
    width = max(thin + (thick - thin) * probability, MIN_STRIPE * len(colors)) / len(stripes)
    for i, color in enumerate(stripes):
        path = swing(start, end, (i - (len(stripes) - 1) / 2) * width / 72)
        look = {"edgecolor": color, "linewidth": width, "zorder": 2 if colors else 1}
        ax.add_patch(PathPatch(path, fill=False, capstyle="butt", gid=name, **look))
    border = BORDER_STEP / 2 * len(colors) / 72  # half of it stands outside
    number = f"{probability:.2f}" if probability >= 0.005 else "<0.01"
    look = {"color": INK if colors else DARK_GREY, "ha": "right", "va": "center_baseline"}
    frame = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    place = (end[0] - border - 0.06, end[1])
    canvas.text(ax, place, number, NUMBER_SIZE, bbox=frame, zorder=4, **look)


def swing(start: canvas.Point, end: canvas.Point, aside: float) -> Path:
    """A curve that leaves and arrives to the right, moved aside by a constant distance."""
    (x, y), (x_end, y_end) = start, end
    slope = atan2(2 * (y_end - y), x_end - x)  # halfway
    bend = x + 0.45 * (x_end - x) - 4 / 3 * sin(slope) * aside
    lift = (4 * cos(slope) - 1) / 3 * aside
    stops = [(x, y + aside), (bend, y + lift), (bend, y_end + lift), (x_end, y_end + aside)]
    return Path(stops, [Path.MOVETO, *[Path.CURVE4] * 3])


def draw_node(
    ax: Axes, spot: Spot, size: float, name: str, colors: Sequence[str], value: float | None
) -> None:
    """A box with a border in each of its colours, the word, and its value below it."""
    x, y = spot.left + spot.width / 2, spot.middle
    borders = [(color, 1.5 + BORDER_STEP * i) for i, color in enumerate(colors)]
    for color, line in reversed(borders or [(PRUNED, 0.8)]):  # the innermost comes last
        look = {"facecolor": "white", "edgecolor": color, "linewidth": line, "zorder": 3}
        canvas.box(ax, (x, y), spot[3:], name, **look)
    look = {"va": "center_baseline", "color": INK if colors else DARK_GREY, "zorder": 4}
    lift = 0 if value is None else VALUE_HEIGHT / 2
    canvas.text(ax, (x, y - lift), spot.text, size, **look)
    if value is not None:
        canvas.text(
            ax, (x, y + canvas.height("-", size) / 2), value_text(value), NUMBER_SIZE, **look
        )
