"""Confusion matrices and embedding panels against scikit-learn and counts."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from sklearn.metrics import confusion_matrix

from utils.plotting import plot_confusion_matrix, plot_embedding_panels

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["a", "b", "c", "d"]


RNG = np.random.default_rng(0)
TRUE, GUESS = RNG.integers(3, size=500), RNG.integers(4, size=500)  # class d is never true


@pytest.fixture(scope="module")
def panels() -> dict:
    """Name -> axes of a figure of three systems, the second of which is always right."""
    systems = {"features": (TRUE, GUESS), "fine-tuned": (TRUE, TRUE), "forest": (TRUE, GUESS)}
    fig = plot_confusion_matrix(systems, NAMES, "Confusion")
    assert [ax.get_title() for ax in fig.axes] == list(systems)
    return dict(zip(systems, fig.axes, strict=True))


def drawn_numbers(ax) -> np.ndarray:
    numbers = np.full((4, 4), np.nan)
    for text in ax.texts:
        column, row = text.get_position()
        numbers[row, column] = float(text.get_text())
    return numbers


def test_matrix_numbers_are_shares_of_the_true_class(panels):
    expected = confusion_matrix(TRUE, GUESS, labels=range(4), normalize="true")
    np.testing.assert_allclose(drawn_numbers(panels["features"]), expected, atol=0.00501)
    np.testing.assert_allclose(panels["features"].images[0].get_array(), expected)
    assert expected[3].tolist() == [0, 0, 0, 0]
    assert np.diag(drawn_numbers(panels["fine-tuned"])).tolist() == [1, 1, 1, 0]


def test_matrix_says_which_side_is_the_truth(panels):
    assert all(ax.get_xlabel().startswith("predicted") for ax in panels.values())
    assert panels["features"].get_ylabel().startswith("true")


def test_matrix_text_contrasts_with_its_cell_and_zeros_are_softer(panels):
    contrasts = {True: [], False: []}
    for ax in panels.values():
        for text in ax.texts:
            column, row = text.get_position()
            share = ax.images[0].get_array()[row, column]
            contrasts[share == 0].append(contrast(text.get_color(), ax.images[0].cmap(share)))
    assert min(contrasts[True]) >= 3  # WCAG 2.1, large text and graphics
    assert max(contrasts[True]) < min(contrasts[False])


def contrast(one, two) -> float:
    from matplotlib.colors import to_rgb

    def luminance(color) -> float:
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels is empty"),
        ({"s": ([], [])}, "y_true is empty"),
        ({"s": ([0, 1], [0])}, "y_true has 2, y_pred has 1"),
        ({"s": ([0, 4], [0, 1])}, "y_true holds the class id 4, but the 4 class names"),
        ({"s": ([0, 1], [0, -1])}, "y_pred holds the class id -1"),
        ({"s": ([0.0, np.nan], [0, 1])}, "integer class ids"),
    ],
)
def test_matrix_refuses(panels, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion_matrix(panels, NAMES, "Confusion")


def points_in(ax) -> int:
    return int(sum(hexagons.get_array().sum() for hexagons in ax.findobj(PolyCollection)))


def test_every_point_lies_in_exactly_one_panel():
    rng = np.random.default_rng(0)
    xy, labels = rng.normal(size=(1000, 2)), rng.integers(5, size=1000)
    fig = plot_embedding_panels(xy, labels, [*"abcde", "none"], "Embeddings")
    assert [points_in(ax) for ax in fig.axes] == np.bincount(labels, minlength=6).tolist()
    assert fig.axes[5].get_title() == "none (n = 0)"


def test_panels_share_their_extent_and_differ_in_colour():
    xy = np.array([[0.0, 0.0], [1.0, 5.0], [10.0, -3.0]])
    fig = plot_embedding_panels(xy, [0, 1, 2], ["a", "b", "c"], "Embeddings")
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes}) == 1
    (left, right), (bottom, top) = fig.axes[0].get_xlim(), fig.axes[0].get_ylim()
    assert left < 0 < 10 < right
    assert bottom < -3 < 5 < top
    assert len({ax.collections[0].get_cmap().name for ax in fig.axes}) == 3


def test_a_grid_that_is_not_full_has_no_empty_axes():
    four = dict.fromkeys(NAMES, (TRUE, GUESS))
    assert [ax.get_title() for ax in plot_confusion_matrix(four, NAMES, "Four").axes] == NAMES
    fig = plot_embedding_panels(np.ones((4, 2)), range(4), NAMES, "In one place")
    assert [points_in(ax) for ax in fig.axes] == [1] * 4


@pytest.mark.parametrize(
    ("xy", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 1], "xy has 3, labels has 2"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.zeros((2, 2)), [0, 2], "class id 2"),
        (np.zeros((0, 2)), [], "empty"),
    ],
)
def test_embedding_panels_refuses(xy, labels, message):
    with pytest.raises(ValueError, match=message):
        plot_embedding_panels(xy, labels, ["a", "b"], "Embeddings")
