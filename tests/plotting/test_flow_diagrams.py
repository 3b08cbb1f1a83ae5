"""Flow diagrams: boxes hold their texts and stand apart, arrows join the boxes they name."""

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.transforms import Affine2D, Bbox

from utils.plotting import plot_flow

pytestmark = pytest.mark.filterwarnings("error")

CHAIN = [("Datasets", "load and process"), "Tokenizers", ("Transformers", "load, train, infer")]
ENCODER_DECODER = [
    ("Source tokens", "Encoder"),
    ("Encoder", "Encoder states"),
    ("Target tokens", "Target embeddings"),
    ("Encoder states", "Decoder", "keys, values"),
    ("Target embeddings", "Decoder", "queries"),
    ("Decoder", "Logits"),
    ("Logits", "Target tokens", "append the chosen token"),
]
ENCODER_DECODER_BOXES = [
    "Source tokens",
    ("Encoder", "N layers of self-attention"),
    "Encoder states",
    "Target tokens",
    "Target embeddings",
    ("Decoder", "N layers"),
    "Logits",
]
LAYER = [f"{name} {i}" for i in (1, 2) for name in ("Norm", "Sublayer", "Add")]
SKIPS = [("x", "Add 1", "skip"), ("Add 1", "Add 2", "skip")]

DIAGRAMS = {
    "chain": (CHAIN, None),
    "long chain": ([(f"step {i} of a chain", "with many words " * 3) for i in range(9)], None),
    "fan": (["body", "head A", "head B", "head C"], [("body", f"head {x}") for x in "ABC"]),
    "merge": (["Q", "K", "V", "attention"], [(x, "attention", "project") for x in "QKV"]),
    "encoder-decoder": (ENCODER_DECODER_BOXES, ENCODER_DECODER),
    "skips": (["x", *LAYER], [*pairwise(["x", *LAYER]), *SKIPS]),
    "short skip": (["x", "f(x)", "add"], [("x", "f(x)"), ("f(x)", "add"), ("x", "add", "skip")]),
    "loop": (["cell", "output"], [("cell", "output", "state"), ("output", "cell", "next step")]),
    "two loops": (["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a", "one"), ("b", "a", "two")]),
    "lonely": (["one box"], None),
    "mathematics": ([("$x", "costs $5 or $6"), ("\U0001f917 hub", "emoji")], None),
}


def random_diagram(seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    """A random graph of 3 to 8 boxes with forward links and some loops."""
    rng = np.random.default_rng(seed)
    names = [f"b{i}" for i in range(rng.integers(3, 9))]
    links = [pair for pair in combinations(names, 2) if rng.random() < 0.3]
    loops = [pair[::-1] for pair in combinations(names, 2) if rng.random() < 0.05]
    return names, [link for link in links if link[::-1] not in loops] + loops


@pytest.fixture(scope="module", params=[*DIAGRAMS, *range(10)])
def diagram(request: pytest.FixtureRequest, draw: Callable) -> tuple[Figure, list, list]:
    """A figure, drawn once, with its boxes and its arrows."""
    boxes, arrows = DIAGRAMS.get(request.param) or random_diagram(request.param)
    names = [box if isinstance(box, str) else box[0] for box in boxes]
    fig = plot_flow(boxes, arrows, "Diagram")
    draw(fig)
    return fig, boxes, list(pairwise(names)) if arrows is None else arrows


def boxes_of(fig: Figure) -> dict[str, Bbox]:
    """Name -> box in inches on the axes."""
    patches = [patch for patch in fig.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    return {patch.get_gid(): Bbox.from_bounds(*patch.get_bbox().bounds) for patch in patches}


def arrows_of(fig: Figure) -> dict[str, np.ndarray]:
    """ "from -> to" -> points (n, 2) in inches along the shaft, from tail to head."""
    patches = [patch for patch in fig.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    return {patch.get_gid(): shaft(patch) for patch in patches}


def shaft(arrow: FancyArrowPatch) -> np.ndarray:
    finely = Affine2D().scale(200)  # curves become lines at the scale of the path
    corners = arrow.get_path().transformed(finely).to_polygons(closed_only=False)[0] / 200
    steps = [np.linspace(start, end, 20) for start, end in pairwise(corners)]
    return np.concatenate(steps)


def distance(point: np.ndarray, box: Bbox) -> float:
    outside = np.maximum(0, np.maximum(box.min - point, point - box.max))
    return float(np.hypot(*outside))


def test_each_arrow_joins_the_boxes_it_names_and_runs_through_none(diagram):
    fig, _, links = diagram
    boxes, arrows = boxes_of(fig), arrows_of(fig)
    apart = [one.padded(0.05).overlaps(two) for one, two in combinations(boxes.values(), 2)]
    assert not any(apart)
    assert set(arrows) == {f"{source} -> {target}" for source, target, *_ in links}
    inner = [box.padded(-0.01) for box in boxes.values()]
    for source, target, *_ in links:
        points = arrows[f"{source} -> {target}"]
        assert distance(points[0], boxes[source]) < 0.01
        assert distance(points[-1], boxes[target]) < 0.05  # the head covers the rest
        assert not any(box.contains(*point) for box in inner for point in points)


def test_texts_stay_in_their_box_labels_out_of_all_and_all_on_the_page(diagram):
    fig, boxes, links = diagram
    renderer, (ax,) = fig.canvas.get_renderer(), fig.axes
    patches = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    frames = [patch.get_window_extent(renderer) for patch in patches]
    texts = [text for text in ax.texts if text.get_text()]
    places = [text.get_window_extent(renderer) for text in texts]
    assert not any(one.overlaps(two) for one, two in combinations(places, 2))
    held = [[holds(frame, place) for frame in frames].count(True) for place in places]
    touched = [[frame.overlaps(place) for frame in frames].count(True) for place in places]
    assert held == touched
    assert sum(held) == len(boxes) + sum(not isinstance(box, str) for box in boxes)
    assert held.count(0) == sum(len(arrow) == 3 for arrow in links)
    needed = fig.get_tightbbox(renderer, bbox_extra_artists=[*ax.texts, *ax.patches])
    assert holds(fig.bbox_inches, needed)


def holds(frame: Bbox, place: Bbox) -> bool:
    return all(frame.contains(x, y) for x, y in place.corners())


def test_a_chain_is_drawn_in_reading_order_on_one_line():
    boxes = boxes_of(plot_flow(CHAIN, title="Chain"))
    assert list(boxes) == ["Datasets", "Tokenizers", "Transformers"]
    assert [box.x0 for box in boxes.values()] == sorted(box.x0 for box in boxes.values())
    assert len({round(box.y0, 6) for box in boxes.values()}) == 1


def test_a_chain_too_long_for_the_line_goes_down_the_page():
    fig = plot_flow(*DIAGRAMS["long chain"], "Chain")
    tops = [box.y0 for box in boxes_of(fig).values()]  # the axes count downward
    assert tops == sorted(tops)
    assert len({round(box.x0, 6) for box in boxes_of(fig).values()}) == 1


def test_branches_stand_evenly_beside_their_origin():
    boxes = boxes_of(plot_flow(*DIAGRAMS["fan"], "Fan"))
    centres = [(box.y0 + box.y1) / 2 for box in boxes.values()]
    assert centres[0] == pytest.approx(np.mean(centres[1:]))
    assert centres[0] == pytest.approx(centres[2])


def test_kinds_have_their_colour_and_a_legend():
    kinds = {"Datasets": "frozen", "Transformers": "trained"}
    (ax,) = plot_flow(CHAIN, title="Kinds", kinds=kinds).axes
    edges = {patch.get_gid(): patch.get_edgecolor() for patch in ax.patches}
    legend = ax.get_legend()
    entries = dict(
        zip([text.get_text() for text in legend.get_texts()], legend.get_patches(), strict=True)
    )
    assert list(entries) == ["frozen", "trained"]
    for name, kind in kinds.items():
        assert edges[name] == entries[kind].get_edgecolor()
    assert len({edges[name] for name in ("Datasets", "Tokenizers", "Transformers")}) == 3


@pytest.mark.parametrize(
    ("boxes", "options", "message"),
    [
        (["a", ("a", "again")], {}, "one name twice"),
        (["a"], {"arrows": [("a", "b")]}, r"name \['b'\]"),
        (["a"], {"kinds": {"b": "frozen"}}, r"name \['b'\]"),
        (["a" * 120, "b"], {}, "neither direction"),
    ],
)
def test_refuses(boxes, options, message):
    with pytest.raises(ValueError, match=message):
        plot_flow(boxes, title="Diagram", **options)
