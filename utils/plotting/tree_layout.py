"""Rows of the nodes of a tree that grows to the right.

Subtrees are moved together until they touch at some depth, and a parent stands in the middle of
its children, as in Reingold and Tilford (1981), "Tidier Drawings of Trees".
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

Node = tuple[str, ...]
Span = tuple[float, float]  # first and last row that a subtree takes at one depth

COUSIN_GAP = 1.2  # rows between children of different parents; siblings have 1


def tidy_rows(children: Mapping[Node, Sequence[Node]], root: Node) -> dict[Node, float]:
    """Row of each node below `root`, the first being 0; no two of one depth are closer than 1."""
    rows, _ = arrange(children, root)
    top = min(rows.values())
    return {node: row - top for node, row in rows.items()}


def arrange(
    children: Mapping[Node, Sequence[Node]], node: Node
) -> tuple[dict[Node, float], list[Span]]:
    """Rows of a subtree with `node` in row 0, and its spans from its own depth on."""
    rows: dict[Node, float] = {}
    spans: list[Span] = []
    for child in children.get(node, ()):
        below, outline = arrange(children, child)
        shift = clearance(spans, outline)
        rows |= {name: row + shift for name, row in below.items()}
        spans = join(spans, [(first + shift, last + shift) for first, last in outline])
    middle = sum(spans[0]) / 2 if spans else 0.0
    rows = {node: 0.0} | {name: row - middle for name, row in rows.items()}
    return rows, [(0.0, 0.0), *((first - middle, last - middle) for first, last in spans)]


def clearance(above: Sequence[Span], below: Sequence[Span]) -> float:
    """How far down a subtree must move to leave the ones above it."""
    gaps = [1.0] + [COUSIN_GAP] * len(above)
    return max(
        (
            last + gap - first
            for (_, last), (first, _), gap in zip(above, below, gaps, strict=False)
        ),
        default=0.0,
    )


def join(above: Sequence[Span], below: Sequence[Span]) -> list[Span]:
    """The spans of both, one below the other."""
    return [
        (upper[0], lower[1]) if upper and lower else upper or lower
        for upper, lower in zip_longest(above, below)
    ]
