"""Is a difference between two classifiers more than chance? Tests for answers to the same texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from utils.benchmarking.timing import RESAMPLES, BenchmarkError


@dataclass(frozen=True)
class McNemar:
    """Where two classifiers disagree, and how probable a split at least as uneven is by chance.

    Attributes:
        only_a, only_b: texts that one of them alone classified correctly.
        p_value: two-sided and exact, under the hypothesis that both are equally accurate.
    """

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True)
class Difference:
    """A difference of means with a 95 % bootstrap interval from low to high."""

    value: float
    low: float
    high: float


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """McNemar's exact test (McNemar 1947; Dietterich 1998 for classifiers).

    Only texts on which one of the two is right count: each is a coin flip if both are equally
    accurate.

    Args:
        correct_a, correct_b: (N,) whether each text was classified correctly.

    Raises:
        BenchmarkError: no texts, or not as many on both sides.
    """
    from scipy.stats import binomtest

    a, b = _paired(correct_a, correct_b).astype(bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    disagreements = only_a + only_b
    p_value = binomtest(only_a, disagreements).pvalue if disagreements else 1.0
    return McNemar(only_a, only_b, float(p_value))


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Mean of `a` minus mean of `b`; a resample takes the same texts of both.

    The interval is the percentile bootstrap (Efron & Tibshirani 1993, chapter 13).

    Args:
        a, b: (N,) a measure of each text, for instance 1 where it was classified correctly.
        resamples: how often N texts are drawn with replacement.
        seed: of these draws.

    Raises:
        BenchmarkError: no texts, not as many on both sides, or no resamples.
    """
    if resamples < 1:
        raise BenchmarkError(f"resamples is {resamples}: give 1 or more.")
    a, b = _paired(a, b).astype(float)
    rng, differences = np.random.default_rng(seed), a - b
    means = [rng.choice(differences, differences.size).mean() for _ in range(resamples)]
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(float(differences.mean()), float(low), float(high))


def _paired(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise BenchmarkError(
            f"The measures have shapes {a.shape} and {b.shape}: give one number for each of the "
            "same texts, in the same order."
        )
    return np.stack([a, b])
