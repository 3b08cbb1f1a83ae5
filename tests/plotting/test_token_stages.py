"""A tokenizer's stages: every token in its box, in reading order, what is new coloured."""

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.transforms import Bbox

from utils.plotting import plot_token_stages

pytestmark = pytest.mark.filterwarnings("error")

PIECES = ["jack", "spa", "##rrow", "!"]
STAGES = {
    "text": "Jack Sparrow!",
    "pre-tokens": ["jack", "sparrow", "!"],
    "pieces": PIECES,
    "with specials": ["[CLS]", *PIECES, "[SEP]"],
}
LONG = {"text": "one $word$ after the other " * 9, "pieces": ["▁Wohn", "zimmer", "東京", " "] * 12}


def boxes_of(fig: Figure, stage: str) -> list[FancyBboxPatch]:
    patches = [p for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]
    return [patch for patch in patches if patch.get_gid() == stage]


def text_in(fig: Figure, box: FancyBboxPatch) -> str:
    """The text whose middle lies in `box`."""
    place = Bbox.from_bounds(*box.get_bbox().bounds)
    (text,) = [t for t in fig.axes[0].texts if place.contains(*t.get_position())]
    return text.get_text()


def is_coloured(box: FancyBboxPatch) -> bool:
    return len({round(channel, 3) for channel in box.get_edgecolor()[:3]}) > 1


def test_each_stage_shows_its_tokens_in_order():
    fig = plot_token_stages(STAGES, "Stages")
    for name, tokens in STAGES.items():
        expected = [tokens] if isinstance(tokens, str) else tokens
        boxes = boxes_of(fig, name)
        assert [text_in(fig, box) for box in boxes] == expected
        assert [box.get_x() for box in boxes] == sorted(box.get_x() for box in boxes)


def test_stages_follow_each_other_downward_joined_by_arrows():
    fig = plot_token_stages(STAGES, "Stages")
    tops = [boxes_of(fig, name)[0].get_y() for name in STAGES]
    assert tops == sorted(set(tops))  # the axes count downward
    arrows = [p for p in fig.axes[0].patches if isinstance(p, FancyArrowPatch)]
    assert len(arrows) == len(STAGES) - 1


def test_what_a_stage_brought_is_coloured():
    fig = plot_token_stages(STAGES, "Stages")
    coloured = {
        name: [text_in(fig, box) for box in boxes_of(fig, name) if is_coloured(box)]
        for name in STAGES
    }
    assert coloured == {
        "text": [],
        "pre-tokens": ["jack", "sparrow", "!"],
        "pieces": ["spa", "##rrow"],
        "with specials": ["[CLS]", "[SEP]"],
    }


def test_long_rows_go_on_below_and_nothing_overlaps(draw):
    fig = plot_token_stages(LONG, "Long")
    renderer = draw(fig)
    boxes = boxes_of(fig, "pieces")
    assert len(boxes) == 48
    assert len({box.get_y() for box in boxes}) > 2
    frames = [patch.get_window_extent(renderer) for patch in boxes + boxes_of(fig, "text")]
    assert not any(one.overlaps(two) for one, two in combinations(frames, 2))
    page = fig.bbox
    assert all(page.x0 < frame.x0 < frame.x1 < page.x1 for frame in frames)


@pytest.mark.parametrize("stages", [STAGES, LONG], ids=["short", "long"])
def test_texts_stay_in_their_boxes(stages, draw):
    fig = plot_token_stages(stages, "Stages")
    renderer = draw(fig)
    *texts, _note = fig.axes[0].texts
    frames = [p.get_window_extent(renderer) for p in fig.axes[0].patches]
    for text in texts:
        place = text.get_window_extent(renderer)
        assert any(all(frame.contains(*xy) for xy in place.corners()) for frame in frames)


def test_white_space_and_missing_letters_are_visible():
    fig = plot_token_stages({"pieces": [" the", "▁die", "\n", "東京"]}, "Signs")
    texts = [text_in(fig, box) for box in boxes_of(fig, "pieces")]
    assert texts == ["␣the", "▁die", "↵", "□□"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({}, "stages is empty"),
        ({"pieces": []}, "The stage 'pieces' is empty"),
        ({"text": "a" * 200}, "is wider than the page: pass a shorter text"),
    ],
)
def test_refuses(stages, message):
    with pytest.raises(ValueError, match=message):
        plot_token_stages(stages, "Stages")
