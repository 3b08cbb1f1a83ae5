"""Grouped bars stand where the table says, each with its number and its error bar."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from utils.plotting import plot_grouped_bars

pytestmark = pytest.mark.filterwarnings("error")

ENTITIES = pd.DataFrame(
    {"train": [5366, 6186, 5810], "validation": [2683, 3172, 2893]}, ["ORG", "LOC", "PER"]
)
LABELS = {"title": "Entities", "xlabel": "type", "ylabel": "entities"}


def heights(ax) -> list[list[float]]:
    """Heights by series, in the order of the groups."""
    return [[bar.get_height() for bar in bars] for bars in ax.containers]


def test_bars_are_as_high_as_the_table_says():
    fig = plot_grouped_bars(ENTITIES, **LABELS)
    (ax,) = fig.axes
    assert heights(ax) == ENTITIES.T.to_numpy().tolist()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["ORG", "LOC", "PER"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["train", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("type", "entities")


def test_bars_of_a_group_stand_side_by_side_around_its_tick():
    (ax,) = plot_grouped_bars(ENTITIES, **LABELS).axes
    train, validation = ([bar.get_x() for bar in bars] for bars in ax.containers)
    width = ax.patches[0].get_width()
    np.testing.assert_allclose(np.array(validation) - train, width)
    np.testing.assert_allclose(validation, ax.get_xticks(), atol=1e-12)


def test_series_differ_in_colour_and_are_named_in_the_legend():
    fig = plot_grouped_bars(ENTITIES, **LABELS)
    colors = [bars[0].get_facecolor() for bars in fig.axes[0].containers]
    assert [patch.get_facecolor() for patch in fig.legends[0].get_patches()] == colors
    assert len(set(colors)) == 2


def test_one_series_needs_no_legend():
    assert not plot_grouped_bars(ENTITIES[["train"]], **LABELS).legends


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
    (lines,) = ax.findobj(LineCollection)
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends, np.column_stack([low, high]))
    centres = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches[:2]]
    np.testing.assert_allclose([segment[0, 0] for segment in lines.get_segments()], centres)
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


def test_a_dollar_is_no_mathematics(draw):
    values = pd.DataFrame({"$a$": [1.0], "b": [2.0]}, ["$5_x$"])
    fig = plot_grouped_bars(values, **LABELS)
    draw(fig)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["$a$", "b"]
    assert fig.axes[0].get_xticklabels()[0].get_text() == "$5_x$"


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (pd.DataFrame(), {}, "columns of values is empty"),
        (pd.DataFrame({"a": [np.nan]}), {}, "values holds NaN"),
        (pd.DataFrame(np.ones((1, 9))), {}, "values has 9 columns: draw at most 8"),
        (ENTITIES, {"intervals": {"test": ([0], [1])}}, "intervals names 'test'"),
        (ENTITIES, {"intervals": {"train": ([0], [1])}}, "low has 1"),
        (ENTITIES, {"intervals": {"train": ([2] * 3, [1] * 3)}}, "ends below its start"),
        (ENTITIES, {"intervals": {"train": ([np.nan] * 3, [1] * 3)}}, "holds NaN"),
    ],
)
def test_refuses(values, options, message):
    with pytest.raises(ValueError, match=message):
        plot_grouped_bars(values, **LABELS, **options)
