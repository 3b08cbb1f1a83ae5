"""Heatmaps: every number stands in its cell, readable, in the colour of the scale."""

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


def cell_texts(ax) -> dict[tuple[int, int], str]:
    return {(y, x): t.get_text() for t in ax.texts for x, y in [t.get_position()]}


def test_each_cell_holds_its_number_under_the_names_of_the_frame():
    ax, colorbar = plot_heatmap(SCORES, **LABELS).axes
    expected = {(0, 0): "0.87", (0, 1): "0.71", (1, 0): "0.50", (1, 1): "0.90"}
    assert cell_texts(ax) == expected | {(2, 0): "0.00", (2, 1): "1.00"}
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["de", "fr", "de + fr"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["de", "fr"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert colorbar.get_ylabel() == "entity F1"


def test_darker_is_larger():
    (image,) = plot_heatmap(SCORES, **LABELS).axes[0].images
    order = np.argsort(SCORES.to_numpy(), axis=None)
    brightness = image.to_rgba(image.get_array())[..., :3].sum(axis=-1).ravel()[order]
    assert (np.diff(brightness) < 0).all()


def test_colours_span_the_limits_or_else_the_numbers():
    (image,) = plot_heatmap(SCORES, **LABELS, limits=(-1, 1)).axes[0].images
    assert image.get_clim() == (-1, 1)
    (image,) = plot_heatmap(SCORES, **LABELS).axes[0].images
    assert image.get_clim() == (0, 1)


def test_numbers_take_the_format_asked_for(draw):
    fig = plot_heatmap(SCORES, **LABELS, number_format=".1%")
    draw(fig)
    ax, colorbar = fig.axes
    assert cell_texts(ax)[0, 0] == "86.8%"
    assert all(tick.get_text().endswith("%") for tick in colorbar.get_yticklabels())


@pytest.mark.parametrize("limits", [None, (0, 1), (0.2, 3)])
def test_every_number_contrasts_with_its_cell(limits):
    numbers = pd.DataFrame(np.linspace(0, 1, 40).reshape(5, 8))
    ax = plot_heatmap(numbers, **LABELS, limits=limits).axes[0]
    cells = ax.images[0].to_rgba(numbers.to_numpy())
    for text in ax.texts:
        column, row = text.get_position()
        assert contrast(text.get_color(), cells[row, column]) >= 3.5  # WCAG 2.1 asks for 3


def contrast(one, two) -> float:
    light = sorted(brightness(color) for color in (one, two))
    return (light[1] + 0.05) / (light[0] + 0.05)


def brightness(color) -> float:
    """Relative luminance, by the approximation of sRGB with one exponent."""
    return float(np.array(to_rgb(color)) ** 2.2 @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("size", [1, 4, 12, 15])
def test_numbers_stay_in_their_cells(size, draw):
    names = [f"Schlafzimmer {i}" for i in range(size)]
    fig = plot_heatmap(pd.DataFrame(-0.5, names, names), **LABELS)
    renderer = draw(fig)
    ax = fig.axes[0]
    for text in ax.texts:
        column, row = text.get_position()
        corners = ax.transData.transform([(column - 0.5, row + 0.5), (column + 0.5, row - 0.5)])
        box = text.get_window_extent(renderer)
        assert (corners[0] <= box.min).all()
        assert (box.max <= corners[1]).all()


def test_cells_of_a_square_matrix_are_nearly_square(draw):
    fig = plot_heatmap(pd.DataFrame(np.eye(12)), **LABELS)
    draw(fig)
    place = fig.axes[0].get_window_extent()
    assert 0.8 < place.width / place.height < 1.25


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (pd.DataFrame(), {}, "columns of matrix"),
        (pd.DataFrame(columns=["a"], dtype=float), {}, "matrix is empty"),
        (pd.DataFrame({"a": [np.nan]}), {}, "matrix holds NaN"),
        (SCORES, {"limits": (1, 0)}, "limits is"),
        (pd.DataFrame(np.ones((2, 40))), {}, "40 columns of numbers such as 1.00 do not fit"),
    ],
)
def test_refuses(frame, options, message):
    with pytest.raises(ValueError, match=message):
        plot_heatmap(frame, **LABELS, **options)
