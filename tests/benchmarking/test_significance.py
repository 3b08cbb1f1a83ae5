"""Paired tests: closed forms, resampling by hand, and how often they err."""

from math import comb

import numpy as np
import pandas as pd
import pytest
import torch

from utils.benchmarking import Interval, bootstrap, mcnemar, paired_bootstrap
from utils.benchmarking.errors import BenchmarkError


def answers(both: int, only_a: int, only_b: int, neither: int = 0):
    """Whether each of two classifiers is right, in no particular order of texts."""
    rows = [(1, 1)] * both + [(1, 0)] * only_a + [(0, 1)] * only_b + [(0, 0)] * neither
    return np.random.default_rng(0).permutation(rows).T.astype(bool)


@pytest.mark.parametrize("counts", [(50, 9, 2), (0, 3, 12), (7, 1, 0), (5, 6, 6), (80, 21, 40)])
def test_p_values_equal_the_closed_form(counts):
    """Twice the tail of a fair coin (Dietterich 1998 has the chi-squared approximation of it)."""
    _, only_a, only_b = counts
    flips, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(comb(flips, heads) for heads in range(fewer + 1)) / 2**flips
    result = mcnemar(*answers(*counts, neither=4))
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p_value == pytest.approx(min(1, 2 * tail), rel=1e-12)


def test_texts_that_both_answer_alike_say_nothing():
    few, many = (mcnemar(*answers(both, 8, 1, neither=both)) for both in (0, 500))
    assert few == many


def test_equal_answers_are_no_difference():
    right = np.array([True, False, True])
    assert mcnemar(right, right).p_value == 1
    assert paired_bootstrap(right, right) == Interval(0, 0, 0)


def test_the_two_sides_can_be_exchanged():
    a, b = answers(30, 12, 4, 3)
    there, back = mcnemar(a, b), mcnemar(b, a)
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)
    assert there.p_value == back.p_value


def test_equally_good_classifiers_seldom_look_different():
    rng = np.random.default_rng(2)
    p_values = [mcnemar(*(rng.random((2, 200)) < 0.8)).p_value for _ in range(200)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.08


def test_intervals_equal_a_paired_percentile_bootstrap_by_hand():
    a, b = answers(60, 25, 10, 5)
    rng = np.random.default_rng(1)
    rows = rng.integers(100, size=(20_000, 100))
    means = a[rows].mean(axis=1) - b[rows].mean(axis=1)
    difference = paired_bootstrap(a, b)
    assert difference.value == pytest.approx(0.15)
    assert difference[1:] == pytest.approx(np.percentile(means, (2.5, 97.5)), abs=0.011)
    assert difference == paired_bootstrap(a, b)
    assert difference[1:] != bootstrap(lambda a, b, axis: (a - b).mean(axis), a, b, seed=1)[1:]


def test_any_statistic_of_paired_samples_has_an_interval():
    """F1 from counts by sentence, as for taggers."""
    found, predicted, gold = np.random.default_rng(2).poisson([[2], [3], [3]], size=(3, 300))

    def f1(found, predicted, gold, axis):
        return 2 * found.sum(axis) / (predicted.sum(axis) + gold.sum(axis))

    interval = bootstrap(f1, found, predicted, gold)
    assert interval.value == 2 * found.sum() / (predicted.sum() + gold.sum())
    assert interval.low < interval.value < interval.high < interval.low + 0.15


def test_intervals_cover_the_true_difference_about_as_often_as_they_say():
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(100):
        is_hard = rng.random(300) < 0.3  # for both, so that the two go together
        a = rng.random(300) < np.where(is_hard, 0.5, 0.95)
        b = rng.random(300) < np.where(is_hard, 0.3, 0.95)
        difference = paired_bootstrap(a, b)
        covered += difference.low <= 0.06 <= difference.high
    assert 88 <= covered <= 100


@pytest.mark.parametrize("test", [mcnemar, paired_bootstrap])
@pytest.mark.parametrize(("a", "b"), [([1, 0], [1]), ([], []), ([[1]], [[1]])])
def test_answers_to_other_texts_get_one_sentence(test, a, b):
    with pytest.raises(BenchmarkError, match=r"^The measures have shapes .* in the same order\.$"):
        test(a, b)


@pytest.mark.parametrize(
    "answers", [[3, 1, 2], [0.5, 1, 0], [np.nan, 1, 0], ["yes", "no", "no"], [None, True, False]]
)
def test_only_true_and_false_say_who_was_right(answers):
    with pytest.raises(BenchmarkError, match=r"say who was right|no finite numbers"):
        mcnemar(answers, [True, False, True])
    assert mcnemar([1, 0, 1], pd.Series([True, True, False])).p_value == 1
    assert mcnemar(torch.tensor([1.0, 0, 1]).bfloat16(), (1, 1, 1)).only_b == 1


@pytest.mark.parametrize("measures", [[np.nan, 1.0], ["a", "b"], [np.inf, 0]])
def test_measures_that_are_no_numbers_get_one_sentence(measures):
    with pytest.raises(BenchmarkError, match="no finite numbers"):
        paired_bootstrap(measures, [0, 1])
