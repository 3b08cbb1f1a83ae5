"""Histograms count what they are given, and the inset enlarges a part of them."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from utils.plotting import plot_histogram

pytestmark = pytest.mark.filterwarnings("error")

LABELS = {"title": "Title", "xlabel": "weight"}
VALUES = np.random.default_rng(0).normal(size=(40, 30))


def bars(ax: Axes) -> list[StepPatch]:
    return [patch for patch in ax.patches if isinstance(patch, StepPatch) and patch.get_fill()]


def inset(fig: Figure) -> Axes:
    (detail,) = fig.axes[0].child_axes
    return detail


def test_the_bars_count_the_values_of_any_shape():
    (drawn,) = bars(plot_histogram(VALUES, **LABELS, bins=17).axes[0])
    counts, edges = np.histogram(VALUES.ravel(), 17)
    np.testing.assert_array_equal(drawn.get_data().values, counts)
    np.testing.assert_allclose(drawn.get_data().edges, edges)


def test_several_series_share_their_bins_and_are_named():
    series = {"magnitude": VALUES, "movement": VALUES[:10] / 3}
    fig = plot_histogram(series, **LABELS, bins=20)
    first, second = bars(fig.axes[0])
    np.testing.assert_array_equal(first.get_data().edges, second.get_data().edges)
    assert [drawn.get_data().values.sum() for drawn in (first, second)] == [1200, 300]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(series)


def test_values_outside_the_range_are_counted_in_the_label():
    (ax,) = plot_histogram([-5, -1, 0, 1, 9, 9], **LABELS, value_range=(-1, 1)).axes
    assert ax.get_xlabel() == "weight (3 of 6 lie outside)"
    assert ax.get_xlim() == (-1, 1)
    assert bars(ax)[0].get_data().values.sum() == 3


@pytest.mark.parametrize("x_range", [(-1.5, -1.0), (0.5, 1.0)])
def test_the_inset_shows_its_rectangle_and_covers_no_bar(x_range, draw):
    fig = plot_histogram(VALUES, **LABELS, inset=(x_range, (5, 30)))
    draw(fig)
    (ax,), detail = fig.axes, inset(fig)
    assert (detail.get_xlim(), detail.get_ylim()) == (x_range, (5, 30))
    outer, inner = bars(ax)[0].get_data(), bars(detail)[0].get_data()
    np.testing.assert_array_equal(outer.values, inner.values)
    box = detail.get_window_extent().transformed(ax.transData.inverted())
    under = (outer.edges[1:] > box.x0) & (outer.edges[:-1] < box.x1)
    assert outer.values[under].max() < box.y0


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "values is empty"),
        ({}, {}, "values is empty"),
        ({"a": []}, {}, "values of 'a' is empty"),
        ([1, np.nan], {}, "values holds NaN"),
        ({"a": [np.inf]}, {}, "values of 'a' holds NaN"),
        ([1], {"bins": 0}, "bins is 0"),
        ([1], {"value_range": (1, 0)}, "value_range is"),
        ([1], {"inset": ((1, 0), (0, 1))}, "x of inset is"),
        ([1], {"inset": ((0, 1), (0, np.nan))}, "y of inset holds NaN"),
    ],
)
def test_histogram_refuses(values, options, message):
    with pytest.raises(ValueError, match=message):
        plot_histogram(values, **LABELS, **options)
