"""How far a classifier's confidence can be believed.

Naeini, Cooper and Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian
Binning"; Guo, Pleiss, Sun and Weinberger (2017), "On Calibration of Modern Neural Networks".
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.style import GREY, PALETTE, new_figure
from utils.plotting.validation import finite, not_empty, same_length


@dataclass(frozen=True)
class ReliabilityBins:
    """Equal-width bins ((b - 1)/B, b/B] of confidence; the first also holds 0."""

    edges: np.ndarray  # (B + 1,)
    counts: np.ndarray  # (B,) examples
    confidence: np.ndarray  # (B,) mean confidence, 0 where empty
    accuracy: np.ndarray  # (B,) share of correct predictions, 0 where empty

    @property
    def expected_calibration_error(self) -> float:
        """Mean gap of accuracy and confidence, each bin weighted by its examples."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.average(gaps, weights=self.counts))


def reliability_bins(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> ReliabilityBins:
    """Sort predictions by confidence into `bins` bins (arguments: `expected_calibration_error`)."""
    sure, right = finite("confidence", confidence), finite("correct", correct)
    same_length(confidence=sure, correct=right)
    if sure.min() < 0 or sure.max() > 1:
        raise ValueError("confidence must lie between 0 and 1: pass probabilities, not logits.")
    if not np.isin(right, (0, 1)).all():
        raise ValueError("correct may hold only True and False.")
    edges = np.linspace(0, 1, bins + 1)
    members = np.digitize(sure, edges[1:-1], right=True)
    counts = np.bincount(members, minlength=bins)
    totals = np.maximum(counts, 1)
    mean_confidence = np.bincount(members, weights=sure, minlength=bins) / totals
    accuracy = np.bincount(members, weights=right, minlength=bins) / totals
    return ReliabilityBins(edges, counts, mean_confidence, accuracy)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error, 0 (confidence means what it says) to 1, with equal-width bins.

    Args:
        confidence: (N,) probability of the predicted class.
        correct: (N,) whether that class is the true one.
        bins: number of bins between 0 and 1.

    Raises:
        ValueError: N differs or is 0, NaN, or confidence outside 0 to 1.
    """
    return reliability_bins(confidence, correct, bins).expected_calibration_error


def plot_reliability(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]],
    bins: int = 10,
    title: str = "Reliability of the predicted probabilities",
) -> Figure:
    """One reliability diagram per system, above a histogram of its confidence.

    A bar below the diagonal means overconfidence: fewer predictions are right than claimed.

    Args:
        panels: system -> (confidence (N,), correct (N,)), as in `expected_calibration_error`.
        bins: number of bins between 0 and 1.
        title: of the figure; the expected calibration error (ECE) stands above each panel.

    Raises:
        ValueError: no panel, or input that `expected_calibration_error` refuses.
    """
    not_empty("panels", panels)
    fig = new_figure(title, height=4.2)
    axes = fig.subplots(
        2, len(panels), squeeze=False, sharex=True, sharey="row", height_ratios=[3, 1]
    )
    for (upper, lower), (name, predictions) in zip(axes.T, panels.items(), strict=True):
        binned = reliability_bins(*predictions, bins)
        draw_reliability(upper, binned)
        lower.bar(binned.edges[:-1], binned.counts, 1 / bins, align="edge", color=GREY, ec="white")
        upper.set_title(f"{name} (ECE {binned.expected_calibration_error:.3f})")
        lower.set_xlabel("confidence (predicted probability)")
    axes[0, 0].set_ylabel("accuracy (share correct)")
    axes[0, 0].legend(loc="upper left")
    axes[1, 0].set_ylabel("predictions")
    return fig


def draw_reliability(ax: Axes, binned: ReliabilityBins) -> None:
    """Accuracy per bin against the diagonal, on which confidence equals accuracy."""
    width = binned.edges[1]
    ax.bar(binned.edges[:-1], binned.accuracy, width, align="edge", color=PALETTE[5], ec="white")
    ax.plot([0, 1], [0, 1], "--", color=PALETTE[3], label="confidence = accuracy")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
