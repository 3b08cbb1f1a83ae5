"""Two heads on one encoder: one class from the first state, a tag from every state."""

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import Bbox

from utils.plotting import plot_classification_heads

pytestmark = pytest.mark.filterwarnings("error")

TOKENS = ["[CLS]", "Chr", "##ista", "lives", "in", "Bern", "[SEP]"]
TAGS = [None, "B-PER", None, "O", "O", "B-LOC", None]
SHORT = (["[CLS]", "$hi$"], "a class with a long name", [None, "O"])
LONG = ([f"token{i}" for i in range(10)], "travel", ["O"] * 10)


def boxes_of(fig: Figure, name: str) -> list[FancyBboxPatch]:
    patches = [p for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]
    return [patch for patch in patches if patch.get_gid() == name]


def text_in(fig: Figure, box: FancyBboxPatch) -> str:
    """The text whose middle lies in `box`."""
    place = Bbox.from_bounds(*box.get_bbox().bounds)
    (text,) = [t for t in fig.axes[0].texts if place.contains(*t.get_position())]
    return text.get_text()


def test_both_panels_show_the_tokens_and_one_of_them_the_tags():
    fig = plot_classification_heads(TOKENS, "travel", TAGS, "Heads")
    assert [text_in(fig, box) for box in boxes_of(fig, "token")] == TOKENS * 2
    labels = [text_in(fig, box) for box in boxes_of(fig, "label")]
    assert labels == ["travel", *(tag or "IGN" for tag in TAGS)]


def test_one_head_spans_one_state_and_the_other_one_spans_all():
    fig = plot_classification_heads(TOKENS, "travel", TAGS, "Heads")
    one, shared = boxes_of(fig, "head")
    encoder, again = boxes_of(fig, "encoder")
    assert shared.get_width() == encoder.get_width() == again.get_width()
    assert one.get_width() < encoder.get_width() / 3
    assert one.get_facecolor() == shared.get_facecolor()


def test_unused_states_and_ignored_tags_are_grey_and_dashed():
    fig = plot_classification_heads(TOKENS, "travel", TAGS, "Heads")
    used = [box.get_linestyle() == "solid" for box in boxes_of(fig, "state")]
    assert used == [True, *[False] * 6, *[True] * 7]
    tags = [box.get_linestyle() == "solid" for box in boxes_of(fig, "label")]
    assert tags == [True, *(tag is not None for tag in TAGS)]


def test_each_tag_stands_above_its_token():
    fig = plot_classification_heads(TOKENS, "travel", TAGS, "Heads")
    tokens, labels = boxes_of(fig, "token")[7:], boxes_of(fig, "label")[1:]
    assert [box.get_x() for box in labels] == [box.get_x() for box in tokens]
    assert all(label.get_y() < token.get_y() for label, token in zip(labels, tokens, strict=True))


def test_panels_stand_side_by_side_where_there_is_room():
    short, long = (boxes_of(plot_classification_heads(*s, "T"), "encoder") for s in (SHORT, LONG))
    assert short[0].get_y() == short[1].get_y()
    assert long[0].get_x() == long[1].get_x()


@pytest.mark.parametrize("case", [SHORT, LONG, (TOKENS, "travel", TAGS)], ids=len)
def test_texts_stay_in_their_boxes_and_boxes_apart(case, draw):
    fig = plot_classification_heads(*case, "Heads")
    renderer = draw(fig)
    patches = [p for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]
    frames = [patch.get_window_extent(renderer) for patch in patches]
    assert not any(one.overlaps(two) for one, two in combinations(frames, 2))
    boxed = [t for t in fig.axes[0].texts if t.get_weight() != "bold"]  # headings stand free
    assert len(boxed) == len(frames)
    for text in boxed:
        corners = text.get_window_extent(renderer).corners()
        assert any(all(frame.contains(*xy) for xy in corners) for frame in frames)
    assert all(fig.bbox.contains(*xy) for frame in frames for xy in frame.corners())


@pytest.mark.parametrize(
    ("tokens", "tags", "message"),
    [
        ([], [], "tokens is empty"),
        (["a"], ["O", "O"], "tokens has 1, token_labels has 2"),
        (["token"] * 30, ["B-PER"] * 30, "The 30 tokens are .* inches wider than the page"),
    ],
)
def test_refuses(tokens, tags, message):
    with pytest.raises(ValueError, match=message):
        plot_classification_heads(tokens, "travel", tags, "Heads")
