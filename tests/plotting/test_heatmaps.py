"""Heatmaps: every number stands in its cell, readable, in the colour of the scale."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from utils.plotting import plot_heatmap

pytestmark = pytest.mark.filterwarnings("error")

SCORES = pd.DataFrame(
    [[0.868, 0.714], [0.5, 0.9], [0.0, 1.0]], ["de", "fr", "de + fr"], ["de", "fr"]
)
LABELS = {"title": "Scores", "xlabel": "tested on", "ylabel": "trained on", "label": "entity F1"}


def test_each_cell_holds_its_number_under_the_names_of_the_frame():
    ax, colorbar = plot_heatmap(SCORES, **LABELS).axes
    texts = {(y, x): t.get_text() for t in ax.texts for x, y in [t.get_position()]}
    expected = {(0, 0): "0.87", (0, 1): "0.71", (1, 0): "0.50", (1, 1): "0.90"}
    assert texts == expected | {(2, 0): "0.00", (2, 1): "1.00"}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["de", "fr", "de + fr"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["de", "fr"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert colorbar.get_ylabel() == "entity F1"


def test_darker_is_larger_between_the_limits_or_else_the_numbers():
    (image,) = plot_heatmap(SCORES, **LABELS).axes[0].images
    assert image.get_clim() == (0, 1)
    order = np.argsort(SCORES.to_numpy(), axis=None)
    brightness = image.to_rgba(image.get_array())[..., :3].sum(axis=-1).ravel()[order]
    assert (np.diff(brightness) < 0).all()
    (image,) = plot_heatmap(SCORES, **LABELS, limits=(0.2, 3)).axes[0].images
    assert image.get_clim() == (0.2, 3)


def test_numbers_around_zero_are_blue_or_red():
    (image,) = plot_heatmap(SCORES, **LABELS, limits=(-1, 1)).axes[0].images
    (low_red, _, low_blue, _), (high_red, _, high_blue, _) = image.to_rgba(np.array([-0.8, 0.8]))
    assert low_blue > low_red
    assert high_red > high_blue


@pytest.mark.parametrize("limits", [None, (0, 1), (-1, 1), (0.2, 3)])
def test_every_number_contrasts_with_its_cell(limits):
    numbers = pd.DataFrame(np.linspace(0, 1, 40).reshape(5, 8))
    ax = plot_heatmap(numbers, **LABELS, limits=limits).axes[0]
    cells = ax.images[0].to_rgba(numbers.to_numpy())
    for text in ax.texts:
        column, row = text.get_position()
        assert contrast(text.get_color(), cells[row, column]) >= 3.5  # WCAG 2.1 asks for 3


def contrast(one, two) -> float:
    low, high = sorted(luminance(np.array(to_rgb(color))) for color in (one, two))
    return (high + 0.05) / (low + 0.05)


def luminance(rgb: np.ndarray) -> float:
    """As the Web Content Accessibility Guidelines 2.1 define it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("size", [4, 15])
def test_numbers_stay_in_their_cells(size, draw):
    names = [f"Schlafzimmer {i}" for i in range(size)]
    fig = plot_heatmap(pd.DataFrame(-0.5, names, names), **LABELS)
    renderer = draw(fig)
    ax = fig.axes[0]
    assert len(ax.texts) == size**2
    for text in ax.texts:
        column, row = text.get_position()
        corners = ax.transData.transform([(column - 0.5, row + 0.5), (column + 0.5, row - 0.5)])
        box = text.get_window_extent(renderer)
        assert (corners[0] <= box.min).all()
        assert (box.max <= corners[1]).all()


def test_large_matrices_have_no_numbers_and_names_that_stay_apart(draw):
    fig = plot_heatmap(pd.DataFrame(np.eye(90)), **LABELS)
    renderer = draw(fig)
    ax = fig.axes[0]
    assert not ax.texts
    assert fig.get_figheight() < 8
    for axis, side in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels()]
        ends = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert len(ends) > 5
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(), "columns of matrix"),
        (pd.DataFrame({"a": [np.nan]}), "matrix holds NaN"),
    ],
)
def test_refuses(frame, message):
    with pytest.raises(ValueError, match=message):
        plot_heatmap(frame, **LABELS)
