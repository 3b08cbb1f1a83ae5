"""Histograms count what they are given, and the inset enlarges a part of them."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from utils.plotting import plot_histogram

pytestmark = pytest.mark.filterwarnings("error")

LABELS = {"title": "Title", "xlabel": "weight"}
VALUES = np.random.default_rng(0).normal(size=(40, 30))


def bars(ax: Axes) -> list[StepPatch]:
    return [patch for patch in ax.patches if isinstance(patch, StepPatch) and patch.get_fill()]


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


def test_the_inset_shows_its_rectangle_of_the_same_bars():
    (ax,) = plot_histogram(VALUES, **LABELS, inset=((0.5, 1.0), (5, 30))).axes
    (detail,) = ax.child_axes
    assert (detail.get_xlim(), detail.get_ylim()) == ((0.5, 1.0), (5, 30))
    outer, inner = bars(ax)[0].get_data(), bars(detail)[0].get_data()
    np.testing.assert_array_equal(outer.values, inner.values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "values is empty"),
        ({"a": []}, "values of 'a' is empty"),
        ([1, np.nan], "values of 'values' holds NaN"),
    ],
)
def test_histogram_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        plot_histogram(values, **LABELS)
