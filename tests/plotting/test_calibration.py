"""Calibration error against a hand-made case and the sums of its definition."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from utils.plotting import expected_calibration_error, plot_reliability

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """400 confidences (none on the edge of a bin), and whether each prediction is right."""
    rng = np.random.default_rng(0)
    confidence = rng.random(400)
    return confidence, rng.random(400) < confidence**2


def brute_force(confidence, correct, bins: int) -> float:
    """Equation 3 of Guo et al. (2017), bin by bin, example by example."""
    total = 0.0
    for b in range(bins):
        members = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if members:
            accuracy = sum(correct[i] for i in members) / len(members)
            certainty = sum(confidence[i] for i in members) / len(members)
            total += len(members) / len(confidence) * abs(accuracy - certainty)
    return total


def test_hand_made_case():
    confidence, correct = [0.95, 0.95, 0.95, 0.95, 0.55, 0.55], [1, 1, 1, 0, 1, 0]
    # four of 95 % are right 3 times (gap 0.20), two of 55 % once (gap 0.05)
    expected = 4 / 6 * 0.20 + 2 / 6 * 0.05
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_equals_the_definition(predictions, bins):
    expected = brute_force(*predictions, bins)
    assert expected_calibration_error(*predictions, bins) == pytest.approx(expected)


def test_extremes():
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0
    assert expected_calibration_error([1.0, 1.0], [False, False]) == 1
    assert expected_calibration_error([0.0, 0.0], [False, False]) == 0


@pytest.mark.parametrize("edge", [0.1, 0.3, 0.5, 0.7])
def test_an_edge_belongs_to_the_bin_below_it(edge):
    # in one bin: accuracy 0.5 against the mean confidence; in two bins the error would be larger
    error = expected_calibration_error([edge - 0.04, edge], [1, 0])
    assert error == pytest.approx(abs(0.5 - (edge - 0.02)))


def test_diagram_shows_accuracy_counts_and_error(predictions):
    confidence, correct = predictions
    sure = (np.ones(3), [True, True, True])
    upper, other, lower, _ = plot_reliability({"model": predictions, "sure": sure}).axes
    accuracy, _ = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose([bar.get_height() for bar in upper.patches], accuracy)
    counts, _ = np.histogram(confidence, bins=10, range=(0, 1))
    assert [bar.get_height() for bar in lower.patches] == counts.tolist()
    assert upper.get_title() == f"model (ECE {brute_force(confidence, correct, 10):.3f})"
    assert other.get_title() == "sure (ECE 0.000)"


def test_diagonal_is_drawn(predictions):
    (diagonal,) = plot_reliability({"a": predictions}).axes[0].lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([], [], "empty"),
        ([0.5], [True, False], "confidence has 1, correct has 2"),
        ([np.nan], [True], "NaN"),
        ([1.2], [True], "not logits"),
        ([0.5], [2], "True and False"),
    ],
)
def test_refuses(confidence, correct, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(confidence, correct)


def test_refuses_no_panel():
    with pytest.raises(ValueError, match="panels is empty"):
        plot_reliability({})
