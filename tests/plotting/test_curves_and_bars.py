"""Curves and bars stand where the numbers are."""

import numpy as np
import pytest

from utils.plotting import plot_bars, plot_curves

pytestmark = pytest.mark.filterwarnings("error")

LABELS = {"title": "Title", "xlabel": "size (examples)", "ylabel": "accuracy (share)"}
CURVES = {"words": ([1, 10, 100], [0.1, 0.2, 0.3]), "subwords": ([1, 10, 100], [0.4, 0.5, 0.6])}


def test_curves_draw_each_point_with_a_marker_and_a_name():
    (ax,) = plot_curves(CURVES, **LABELS).axes
    for line, (name, (x, y)) in zip(ax.lines, CURVES.items(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([x, y]))
        assert line.get_marker() not in ("", "None")
        assert line.get_label() == name
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(CURVES)


def test_more_curves_than_colours_stay_distinct():
    curves = {f"curve {i}": ([0, 1], [i, i]) for i in range(12)}
    (ax,) = plot_curves(curves, **LABELS).axes
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.lines}
    assert len(looks) == 12


def test_log_axis_marks_the_measured_sizes(draw):
    fig = plot_curves(CURVES, **LABELS, xscale="log")
    draw(fig)
    assert fig.axes[0].get_xscale() == "log"
    assert [tick.get_text() for tick in fig.axes[0].get_xticklabels()] == ["1", "10", "100"]


def test_log_axis_with_many_sizes_falls_back_to_decades(draw):
    fig = plot_curves({"a": (np.arange(1, 1001), np.arange(1000))}, **LABELS, xscale="log")
    draw(fig)
    assert len(fig.axes[0].get_xticks()) < 10


def test_whole_numbers_get_whole_ticks():
    (ax,) = plot_curves({"loss": ([1, 2, 3], [3.0, 2.0, 1.0])}, **LABELS).axes
    assert (ax.get_xticks() == np.round(ax.get_xticks())).all()


def test_interval_reaches_from_low_to_high():
    low, high = [0.05, 0.1, 0.2], [0.2, 0.3, 0.35]
    (ax,) = plot_curves(CURVES, **LABELS, intervals={"words": (low, high)}).axes
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert {*zip([1, 10, 100], low, strict=True), *zip([1, 10, 100], high, strict=True)} <= corners


def test_references_lie_across_and_crossings_stand_each_with_a_name():
    options = {"references": {"zero-shot": 0.25}, "crossings": {"crossing at 55": 55}}
    (ax,) = plot_curves(CURVES, **LABELS, **options, xscale="log").axes
    *_, reference, crossing = ax.lines
    assert set(reference.get_ydata()) == {0.25}
    assert set(crossing.get_xdata()) == {55}
    assert crossing.get_linestyle() != reference.get_linestyle()
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == [*CURVES, "zero-shot", "crossing at 55"]


def test_both_axes_can_be_logarithmic():
    (ax,) = plot_curves(CURVES, **LABELS, xscale="log", yscale="log").axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_long_curves_have_no_markers_and_their_legend_outside():
    positions = np.arange(100)
    fig = plot_curves(dict.fromkeys("ab", (positions, positions)), **LABELS)
    assert {line.get_marker() for line in fig.axes[0].lines} == {"None"}
    assert fig.axes[0].get_legend() is None
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b"]


@pytest.mark.parametrize(
    ("curves", "options", "message"),
    [
        ({}, {}, "curves is empty"),
        ({"a": ([1, 2], [1])}, {}, "same first dimension"),
        ({"a": ([1], [np.nan])}, {}, "y of 'a' holds NaN"),
        ({"a": ([0, 1], [1, 2])}, {"xscale": "log"}, "log axis"),
        ({"a": ([1, 2], [0, 2])}, {"yscale": "log"}, "y holds 0"),
        ({"a": ([1], [1])}, {"yscale": "log", "references": {"b": 0}}, "y holds 0"),
        ({"a": ([1], [1])}, {"references": {"b": np.nan}}, "references holds NaN"),
        ({"a": ([1], [1])}, {"crossings": {"b": np.inf}}, "crossings holds NaN or inf"),
        ({"a": ([1], [1])}, {"crossings": {"b": 0}, "xscale": "log"}, "x holds 0"),
        ({"a": ([1], [1])}, {"intervals": {"a": ([np.nan], [2])}}, "low of 'a' holds NaN"),
        ({"a": ([1, 2], [1, 2])}, {"intervals": {"a": ([0, 0, 0], [2, 2, 2])}}, "unequal size"),
    ],
)
def test_curves_refuses(curves, options, message):
    with pytest.raises(ValueError, match=message):
        plot_curves(curves, **LABELS, **options)


def test_bars_are_as_long_as_the_values_in_the_order_given(draw):
    values = {"baseline": 0.25, "loss": -1.0, "examples": 12345.0}
    fig = plot_bars(values, title="Title", xlabel="x")
    draw(fig)
    (ax,) = fig.axes
    assert [bar.get_width() for bar in ax.patches] == list(values.values())
    assert [text.get_text() for text in ax.texts] == ["0.25", "-1", "12,345"]
    tops = [bar.get_window_extent().y0 for bar in ax.patches]
    assert tops == sorted(tops, reverse=True)


def test_references_stand_on_their_bars():
    values, book = {"a": 0.5, "b": 0.6, "c": 0.7}, {"c": 0.9, "a": 0.4}
    (ax,) = plot_bars(values, title="Title", xlabel="accuracy", references=book).axes
    (diamonds,) = ax.lines
    assert sorted(map(tuple, diamonds.get_xydata())) == [(0.4, 0), (0.9, 2)]
    assert [text.get_text() for text in ax.texts] == ["0.5 (book 0.4)", "0.6", "0.7 (book 0.9)"]


@pytest.mark.parametrize(
    ("values", "references", "message"),
    [
        ({}, {}, "values is empty"),
        ({"a": np.nan}, {}, "values holds NaN"),
        ({"a": 1}, {"b": 1}, "'b' is not in list"),
        ({"a": 1}, {"a": np.nan}, "references holds NaN"),
    ],
)
def test_bars_refuses(values, references, message):
    with pytest.raises(ValueError, match=message):
        plot_bars(values, title="Title", xlabel="x", references=references)
