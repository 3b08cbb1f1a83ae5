"""Counts of repeated and distinct n-grams, by hand."""

import numpy as np
import pytest
import torch
from scipy import stats

from utils.decoding import Generation, distinct, quality_table, repetition


@pytest.mark.parametrize(
    ("ids", "n", "share"),
    [
        ([1, 2, 3, 4], 1, 0.0),
        ([1, 1, 1, 1], 1, 3 / 4),
        ([1, 2, 1, 2, 1, 2], 2, 1 - 2 / 5),
        (["to", "be", "or", "not", "to", "be"], 2, 1 / 5),
        ([1, 2], 3, 0.0),
        ([], 1, 0.0),
    ],
)
def test_repetition_is_the_share_of_ngrams_seen_before(ids, n, share):
    assert repetition(ids, n) == pytest.approx(share)


def test_distinct_ngrams_are_counted_over_all_texts():
    """12 and 23 twice, 34 once."""
    assert distinct([[1, 2, 3], [1, 2, 3, 4]], 2) == pytest.approx(3 / 5)
    assert distinct([[1, 2, 3], [1, 2, 3]], 1) == pytest.approx(1 / 2)
    assert distinct([[1], [2]], 2) == 1


def test_ngrams_of_no_length_get_one_sentence():
    with pytest.raises(ValueError, match=r"^n is 0: count n-grams of 1 token or more\.$"):
        repetition([1, 2], 0)


def generation(ids, log_probs, *, method="sample", num_prompts=1, texts=None):
    num_samples = len(ids) // num_prompts
    return Generation(
        method=method,
        settings={},
        prompts=[f"prompt {row // num_samples}" for row in range(len(ids))],
        prompt_ids=[[0]] * len(ids),
        ids=ids,
        texts=texts or ["x"] * len(ids),
        log_probs=[np.array(each) for each in log_probs],
        num_samples=num_samples if method == "sample" else 1,
        seconds=0.5,
        num_model_calls=4,
    )


def test_one_row_per_generation():
    texts = ["x\n\ny z", "q"]
    log_probs = [[-1, -2, -3], [0, -4]]
    greedy = {"method": "greedy", "num_prompts": 2, "texts": texts}
    table = quality_table(
        {
            "two": generation([[1, 1, 1], [1, 2]], log_probs, **greedy),
            "one": generation([[5, 6, 7, 8]], [[-1] * 4], texts=["w" * 200]),
        },
        num_characters=5,
    )
    assert table.index.tolist() == ["two", "one"]
    assert table["texts"].tolist() == [2, 1]
    assert table["tokens"].tolist() == [5, 4]
    assert table["log-prob per text"].tolist() == [-5, -4]
    assert table["log-prob per token"].tolist() == [-2, -1]
    assert table["repeated 2-grams"].tolist() == [0.25, 0]
    assert table["distinct 2-grams"].tolist() == pytest.approx([2 / 3, 1])
    assert table["log-prob per token ±"].isna().all()
    assert table["tokens/s"].tolist() == [10, 8]
    assert table["model calls"].tolist() == [4, 4]
    assert table["text"].tolist() == ["x y z", "wwwww"]


def test_intervals_are_those_of_the_mean_over_draws():
    """Two prompts, three draws each: rows 0 and 3 are the first draw."""
    log_probs = [[-1.0, -1.0], [-2.0, -2.0], [-6.0, -6.0]] * 2
    table = quality_table({"sampled": generation([[1, 2]] * 6, log_probs, num_prompts=2)})
    row = table.loc["sampled"]
    low, high = stats.t.interval(0.95, 2, loc=-3, scale=stats.sem([-1, -2, -6]))
    assert row["log-prob per token"] == pytest.approx(-3)
    assert row["log-prob per token ±"] == pytest.approx((high - low) / 2)
    assert row["distinct 2-grams"] == pytest.approx(1 / 2), "of two texts, not of six"
    assert row["distinct 2-grams ±"] == 0


def test_beams_of_one_prompt_are_no_draws():
    table = quality_table(
        {"beam": generation([[1, 2], [1, 3]], [[-1, -1], [-2, -2]], method="beam")}
    )
    assert table["log-prob per token ±"].isna().all()


@pytest.mark.parametrize("kind", [torch.tensor, np.array, tuple])
def test_ids_may_be_tensors_and_arrays(kind):
    assert repetition(kind([5, 5, 5, 5]), 1) == 0.75
    assert distinct(kind([[5, 5, 5, 5], [5, 5, 5, 5]]), 1) == 1 / 8


def test_a_prompt_that_is_given_twice_is_drawn_as_often_as_any_other():
    """Prompts one, one, two with two draws each are three texts in either draw."""
    ids = [[1, 1, 1], [1, 2, 3], [1, 1, 1], [4, 5, 6], [1, 1, 1], [7, 8, 9]]
    drawn = generation(ids, [[-1, -1, -1]] * 6, num_prompts=3)
    drawn.prompts[2:4] = drawn.prompts[:2]
    table = quality_table({"drawn": drawn})
    assert table.loc["drawn", "distinct 2-grams"] == pytest.approx((1 / 6 + 1) / 2)
