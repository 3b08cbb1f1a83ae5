"""How sure is a measured number? Bootstrap intervals, and a test for answers to the same texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from utils.benchmarking.errors import BenchmarkError
from utils.inputs import as_array

RESAMPLES = 2000


class Interval(NamedTuple):
    """A measure with a 95 % interval from low to high."""

    value: float
    low: float
    high: float


class McNemar(NamedTuple):
    """Texts that one of two classifiers alone got right, and the two-sided, exact p-value."""

    only_a: int
    only_b: int
    p_value: float


def bootstrap(statistic: Callable[..., np.ndarray], *samples: ArrayLike, seed: int = 0) -> Interval:
    """A statistic of N items with its percentile interval (Efron & Tibshirani 1993, chapter 13).

    Each resample draws the same items from all samples, so that what they share cancels in their
    difference or ratio. Below 100 items the interval is narrow: of 30 texts it covers the true
    value in about 90 % of cases, and BCa does no better. One item has no interval (NaN).

    Args:
        statistic: of the samples and `axis`, the axis of the items, which it removes.
        samples: (N,) each, measures of the same items.

    Raises:
        BenchmarkError: no items, not as many in all samples, or no finite numbers.
    """
    from scipy import stats

    paired = _paired(*samples).astype(float)
    value = float(statistic(*paired, axis=-1))
    if paired.shape[1] == 1:
        return Interval(value, np.nan, np.nan)
    low, high = stats.bootstrap(
        tuple(paired),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=100,  # resamples at once, which bounds the memory
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(low), float(high))


def paired_bootstrap(a: ArrayLike, b: ArrayLike) -> Interval:
    """Mean of `a` minus mean of `b`, (N,) measures of the same texts; see `bootstrap`."""
    return bootstrap(lambda a, b, axis: (a - b).mean(axis=axis), a, b)


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """McNemar's exact test (McNemar 1947; Dietterich 1998 for classifiers).

    Only texts on which one of the two is right count: each is a coin flip if both are equally
    accurate.

    Args:
        correct_a, correct_b: (N,) whether each text was classified correctly.

    Raises:
        BenchmarkError: no texts, not as many on both sides, or anything but True and False (1, 0).
    """
    from scipy.stats import binomtest

    paired = _paired(correct_a, correct_b)
    if not np.isin(paired, (0, 1)).all():
        raise BenchmarkError(
            "Only True and False say who was right: compare the predictions with the labels first."
        )
    a, b = paired.astype(bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    disagreements = only_a + only_b
    p_value = binomtest(only_a, disagreements).pvalue if disagreements else 1.0
    return McNemar(only_a, only_b, float(p_value))


def _paired(*samples: ArrayLike) -> np.ndarray:
    arrays = [as_array(sample) for sample in samples]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1 or arrays[0].ndim != 1 or not arrays[0].size:
        raise BenchmarkError(
            f"The measures have shapes {', '.join(str(array.shape) for array in arrays)}: give one "
            "number for each of the same texts, in the same order."
        )
    stacked = np.stack(arrays)
    if stacked.dtype.kind not in "biuf" or not np.isfinite(stacked).all():
        raise BenchmarkError(
            "Some measures are no finite numbers: drop or repair these texts first."
        )
    return stacked
