"""Grouped bars stand where the table says, each with its number and its error bar."""

import numpy as np
import pandas as pd
import pytest

from utils.plotting import plot_grouped_bars

pytestmark = pytest.mark.filterwarnings("error")

ENTITIES = pd.DataFrame(
    {"train": [5366, 6186, 5810], "validation": [2683, 3172, 2893]}, ["ORG", "LOC", "PER"]
)
LABELS = {"title": "Entities", "xlabel": "type", "ylabel": "entities"}


def test_bars_are_as_high_as_the_table_says_and_named_in_the_legend():
    fig = plot_grouped_bars(ENTITIES, **LABELS)
    (ax,) = fig.axes
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights == ENTITIES.T.to_numpy().tolist()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ORG", "LOC", "PER"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["train", "validation"]
    colors = [bars[0].get_facecolor() for bars in ax.containers]
    assert [patch.get_facecolor() for patch in fig.legends[0].get_patches()] == colors
    assert len(set(colors)) == 2
    assert not plot_grouped_bars(ENTITIES[["train"]], **LABELS).legends


def test_bars_of_a_group_stand_side_by_side_around_its_tick():
    (ax,) = plot_grouped_bars(ENTITIES, **LABELS).axes
    train, validation = ([bar.get_x() for bar in bars] for bars in ax.containers)
    width = ax.patches[0].get_width()
    np.testing.assert_allclose(np.array(validation) - train, width)
    np.testing.assert_allclose(validation, ax.get_xticks(), atol=1e-12)


def test_each_number_stands_beyond_the_end_of_its_bar(draw):
    values = pd.DataFrame({"gain": [0.25, -0.125]}, ["fr", "it"])
    fig = plot_grouped_bars(values, **LABELS)
    renderer = draw(fig)
    (ax,) = fig.axes
    assert [text.get_text() for text in ax.texts] == ["0.25", "-0.125"]
    up, down = (bar.get_window_extent(renderer) for bar in ax.patches)
    above, below = (text.get_window_extent(renderer) for text in ax.texts)
    assert above.y0 > up.y1
    assert below.y1 < down.y0


def test_intervals_are_error_bars_below_the_numbers(draw):
    low, high = np.array([0.6, 0.7]), np.array([0.8, 0.75])
    values = pd.DataFrame({"zero-shot": [0.7, 0.72], "fine-tuned": [0.8, 0.9]}, ["fr", "it"])
    fig = plot_grouped_bars(values, **LABELS, intervals={"zero-shot": (low, high)})
    renderer = draw(fig)
    (ax,) = fig.axes
    (lines,) = ax.collections  # one series has intervals
    ends = [segment[:, 1] for segment in lines.get_segments()]
    np.testing.assert_allclose(ends, np.stack([low, high], axis=1))
    for text, end in zip(ax.texts, high, strict=False):
        assert text.get_window_extent(renderer).y0 > ax.transData.transform((0, end))[1]


@pytest.mark.parametrize(
    ("groups", "series", "rotations"), [(4, 2, {0}), (8, 4, {90}), (20, 8, set())]
)
def test_numbers_turn_upright_and_then_disappear_as_bars_narrow(groups, series, rotations, draw):
    fig = plot_grouped_bars(pd.DataFrame(np.full((groups, series), 0.868)), **LABELS)
    renderer = draw(fig)
    (ax,) = fig.axes
    assert {text.get_rotation() for text in ax.texts} == rotations
    bars = [bar.get_window_extent(renderer).width for bar in ax.patches]
    texts = [text.get_window_extent(renderer).width for text in ax.texts]
    assert all(text <= bar + 1 for text, bar in zip(texts, bars, strict=False))


@pytest.mark.parametrize(
    ("values", "intervals", "message"),
    [
        (pd.DataFrame(), None, "columns of values is empty"),
        (pd.DataFrame({"a": [np.nan]}), None, "values holds NaN"),
        (ENTITIES, {"test": ([0], [1])}, r"intervals has \['test'\], but the series are"),
        (ENTITIES, {"train": ([9e3] * 3, [1e4] * 3)}, "must not contain negative"),
    ],
)
def test_refuses(values, intervals, message):
    with pytest.raises(ValueError, match=message):
        plot_grouped_bars(values, **LABELS, intervals=intervals)
