"""Trees grow to the right, edges are as wide as probable, and only paths have colour."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch

from utils.plotting import PALETTE, plot_probability_tree
from utils.plotting.probability_tree import tidy_rows

pytestmark = pytest.mark.filterwarnings("error")

TREE = {
    ("The",): {"nice": 0.5, "dog": 0.4, "car": 0.1},
    ("The", "nice"): {"woman": 0.4, "house": 0.3, "guy": 0.3},
    ("The", "dog"): {"has": 0.9, "runs": 0.05, "and": 0.05},
    ("The", "car"): {"drives": 0.5, "is": 0.3, "turns": 0.2},
}
PATHS = {"greedy": ("The", "nice", "woman"), "beam search": ("The", "dog", "has")}


def boxes(fig: Figure) -> dict[str, FancyBboxPatch]:
    """The words joined by spaces -> the innermost box."""
    return {patch.get_gid(): patch for patch in fig.findobj(FancyBboxPatch)}


def edges(fig: Figure, path: str) -> list[PathPatch]:
    return [patch for patch in fig.findobj(PathPatch) if patch.get_gid() == path]


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


@pytest.fixture(scope="module")
def plain() -> Figure:
    return plot_probability_tree(TREE, title="Title")


def test_each_path_of_the_tree_has_a_box_and_each_edge_its_probability(plain):
    expected = {" ".join((*prefix, word)) for prefix in TREE for word in TREE[prefix]}
    assert set(boxes(plain)) == {"The", *expected}
    numbers = [f"{share:.2f}" for following in TREE.values() for share in following.values()]
    assert sorted(t for t in texts(plain) if t[0].isdigit()) == sorted(numbers)
    width = {name: edges(plain, f"The dog {name}")[0].get_linewidth() for name in ("has", "runs")}
    assert width["has"] > 3 * width["runs"]


def test_steps_follow_to_the_right_and_words_keep_their_order(plain):
    found = {name: box.get_bbox() for name, box in boxes(plain).items()}
    assert found["The"].x1 < found["The nice"].x0 < found["The nice woman"].x0
    assert found["The nice"].y0 < found["The dog"].y0 < found["The car"].y0  # y points down
    assert [t for t in texts(plain) if t.startswith("step")] == ["step 1", "step 2"]


def test_only_paths_have_colours_which_the_legend_names():
    fig = plot_probability_tree(TREE, title="Title", paths=PATHS)
    blue, orange = map(to_rgba, PALETTE[:2])
    for path, color in {"The nice": blue, "The nice woman": blue, "The dog has": orange}.items():
        assert [edge.get_edgecolor() for edge in edges(fig, path)] == [color]
        assert boxes(fig)[path].get_edgecolor() == color
    (pruned,) = edges(fig, "The car")
    assert np.ptp(pruned.get_edgecolor()[:3]) == 0  # grey
    legend = fig.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(PATHS)
    assert [to_rgba(line.get_color()) for line in legend.get_lines()] == [blue, orange]


def test_an_edge_of_two_paths_shows_both_colours_side_by_side():
    paths = {"one": ("The", "dog", "has"), "two": ("The", "dog", "runs")}
    fig = plot_probability_tree(TREE, title="Title", paths=paths)
    first, second = edges(fig, "The dog")
    assert {first.get_edgecolor(), second.get_edgecolor()} == {*map(to_rgba, PALETTE[:2])}
    for apart in distances(first, second):
        assert apart == pytest.approx(first.get_linewidth(), rel=0.15)


def test_stripes_of_a_steep_edge_do_not_hide_each_other():
    tree = full_tree(3, 3)
    steep = ("word0", "word0", "word0"), ("word0", "word0", "word1")
    fig = plot_probability_tree(tree, title="Title", paths=dict(zip("ab", steep, strict=True)))
    first, second = edges(fig, "word0")
    assert min(distances(first, second)) > 0.7 * first.get_linewidth()


def distances(one: PathPatch, other: PathPatch) -> list[float]:
    """How far, in points, places along one curve are from the nearest place of the other."""
    curve, reference = (72 * bezier(patch.get_path().vertices) for patch in (one, other))
    return [np.hypot(*(reference - place).T).min() for place in curve]


def bezier(stops: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 1, 500)[:, None]
    weights = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
    return sum(weight * stop for weight, stop in zip(weights, stops, strict=True))


def test_values_stand_in_their_boxes_and_are_explained():
    values = {("The", "dog"): -0.92, ("The", "dog", "has"): -1.02}
    fig = plot_probability_tree(TREE, title="Title", values=values, value_label="log-probability")
    assert {"\N{MINUS SIGN}0.92", "\N{MINUS SIGN}1.02"} <= set(texts(fig))
    assert any("below a word: log-probability" in text for text in texts(fig))


def test_tokens_show_their_white_space_and_tiny_probabilities_stay_above_zero():
    fig = plot_probability_tree({(): {" a": 0.996, "\n": 0.0001}}, title="Title")
    assert {"start", "␣a", "↵", "1.00", "<0.01"} <= set(texts(fig))


def full_tree(words: int, steps: int) -> dict:
    names, tree, level = [f"word{i}" for i in range(words)], {}, [()]
    for _ in range(steps):
        tree |= {prefix: dict.fromkeys(names, 1 / words) for prefix in level}
        level = [(*prefix, name) for prefix in level for name in names]
    return tree


def beam_trace(num_beams: int, steps: int) -> dict:
    """Two candidates of each beam go on, as in a search with four candidates a beam."""
    tree, beams = {}, [("Transformers are the",)]
    for step in range(steps):
        tree |= {b: {f" token{step}{i}": 0.4 / (i + 1) for i in range(4)} for b in beams}
        beams = [(*b, f" token{step}{i}") for b in beams for i in range(2)][:num_beams]
    return tree


@pytest.mark.parametrize("tree", [full_tree(3, 3), beam_trace(2, 5)], ids=["3 x 3", "beams"])
def test_large_trees_fit_a_page_without_overlaps(tree, draw):
    values = {(*prefix, word): -12.34 for prefix in tree for word in tree[prefix]}
    fig = plot_probability_tree(tree, title="Title", values=values)
    draw(fig)
    found = [box.get_bbox() for box in boxes(fig).values()]
    assert [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])] == []
    extents = [text.get_window_extent().padded(-1) for text in fig.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in combinations(extents, 2))
    assert fig.get_figheight() < 12


@pytest.mark.parametrize(
    ("tree", "options", "message"),
    [
        ({(): {"a": 0.5}, ("b",): {"c": 1}}, {}, r"No path leads to \('b',\)"),
        (TREE, {"paths": {"greedy": ("nice", "woman")}}, "No path leads"),
        (TREE, {"paths": {"greedy": ("The", "nice", "cat")}}, "'cat'"),
        (TREE, {"values": {("cat",): 1.0}}, "No path leads"),
        (full_tree(2, 6), {}, "6 steps"),
        (full_tree(80, 1), {}, "81 words"),
    ],
)
def test_trees_that_cannot_be_drawn(tree, options, message):
    with pytest.raises(ValueError, match=message):
        plot_probability_tree(tree, title="Title", **options)


def test_subtrees_move_together_and_parents_stand_between_their_children():
    a, b = ("a",), ("b",)
    children = {(): [a, b], a: [("a", "1"), ("a", "2")], ("a", "1"): [("a", "1", "x")]}
    rows, _ = tidy_rows(children, ())
    assert rows[a] == (rows["a", "1"] + rows["a", "2"]) / 2
    assert rows[()] == (rows[a] + rows[b]) / 2
    assert rows[b] - rows[a] == 1  # b has no children, so those of a need no room beside it
