"""Confusion matrices, class probabilities and embedding panels against scikit-learn and counts."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from sklearn.metrics import recall_score

from utils.plotting import plot_class_probabilities, plot_confusion_matrix, plot_embedding_panels

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """500 true and predicted ids of four classes; the last class never occurs in truth."""
    rng = np.random.default_rng(0)
    return rng.integers(3, size=500), rng.integers(4, size=500)


def drawn_numbers(ax, num_classes: int) -> np.ndarray:
    numbers = np.full((num_classes, num_classes), np.nan)
    for text in ax.texts:
        column, row = text.get_position()
        numbers[row, column] = float(text.get_text())
    return numbers


def test_matrix_numbers_are_shares_of_the_true_class(predictions):
    y_true, y_pred = predictions
    (ax,) = plot_confusion_matrix({"system": predictions}, NAMES, "Confusion").axes
    expected = np.zeros((4, 4))
    for i in range(3):
        expected[i] = [np.mean(y_pred[y_true == i] == j) for j in range(4)]
    np.testing.assert_allclose(drawn_numbers(ax, 4), expected, atol=0.00501)
    np.testing.assert_allclose(ax.images[0].get_array(), expected)


def test_diagonal_is_the_recall_and_a_class_without_examples_is_zero(predictions):
    (ax,) = plot_confusion_matrix({"system": predictions}, NAMES, "Confusion").axes
    recall = recall_score(*predictions, labels=range(4), average=None, zero_division=0)
    np.testing.assert_allclose(np.diag(ax.images[0].get_array()), recall)
    assert drawn_numbers(ax, 4)[3].tolist() == [0, 0, 0, 0]


def test_panels_keep_their_names_and_order(predictions):
    y_true, _ = predictions
    panels = {"features": predictions, "fine-tuned": (y_true, y_true), "forest": predictions}
    fig = plot_confusion_matrix(panels, NAMES, "Confusion")
    assert [ax.get_title() for ax in fig.axes] == list(panels)
    assert np.diag(drawn_numbers(fig.axes[1], 4)).tolist() == [1, 1, 1, 0]
    assert all(ax.get_xlabel().startswith("predicted") for ax in fig.axes)
    assert fig.axes[0].get_ylabel().startswith("true")


def test_matrix_text_contrasts_with_its_cell():
    y_true, y_pred = np.repeat([0, 1], 100), np.r_[[0] * 100, [0] * 60, [1] * 40]
    (ax,) = plot_confusion_matrix({"system": (y_true, y_pred)}, ["a", "b"], "Confusion").axes
    for text in ax.texts:
        column, row = text.get_position()
        cell = ax.images[0].cmap(ax.images[0].get_array()[row, column])
        assert contrast(text.get_color(), cell) >= 3  # WCAG 2.1, large text and graphics


def test_shares_that_round_to_zero_are_softer_than_the_others(predictions):
    (ax,) = plot_confusion_matrix({"system": predictions}, NAMES, "Confusion").axes
    zeros = {text.get_color() for text in ax.texts if text.get_text() == "0.00"}
    others = {text.get_color() for text in ax.texts if text.get_text() != "0.00"}
    (soft,), dark = zeros, others - {"white"}
    assert all(contrast(soft, "white") < contrast(color, "white") for color in dark)
    assert contrast(soft, "white") >= 3


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


def test_probability_bars_keep_the_class_order_in_percent(draw):
    fig = plot_class_probabilities({"joy": 0.25, "anger": 0.7, "fear": 0.05}, "A $5 text for $6")
    draw(fig)
    (ax,) = fig.axes
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [25, 70, 5])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["joy", "anger", "fear"]
    assert "%" in ax.get_ylabel()


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ({}, "empty"),
        ({"a": 0.5, "b": 0.4}, r"sum to 0\.900"),
        ({"a": 1.5, "b": -0.5}, "non-negative"),
        ({"a": np.nan, "b": 1.0}, "NaN"),
    ],
)
def test_probabilities_refuses(probabilities, message):
    with pytest.raises(ValueError, match=message):
        plot_class_probabilities(probabilities, "Title")


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


def test_a_grid_that_is_not_full_has_no_empty_axes(predictions):
    four = dict.fromkeys(NAMES, predictions)
    assert [ax.get_title() for ax in plot_confusion_matrix(four, NAMES, "Four").axes] == NAMES
    assert len(plot_embedding_panels(np.eye(4)[:, :2], range(4), NAMES, "Four").axes) == 4


def test_points_in_one_place_are_drawn(draw):
    fig = plot_embedding_panels(np.ones((4, 2)), [0] * 4, ["a"], "Embeddings")
    draw(fig)
    assert points_in(fig.axes[0]) == 4


@pytest.mark.parametrize(
    ("xy", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 1], "xy has 3, labels has 2"),
        (np.zeros((2, 3)), [0, 1], "two columns"),
        (np.zeros(2), [0, 1], "must have 2 axes"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.zeros((2, 2)), [0, 2], "class id 2"),
        (np.zeros((0, 2)), [], "empty"),
    ],
)
def test_embedding_panels_refuses(xy, labels, message):
    with pytest.raises(ValueError, match=message):
        plot_embedding_panels(xy, labels, ["a", "b"], "Embeddings")
