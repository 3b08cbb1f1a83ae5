"""What can be counted in generated texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from utils.decoding.text import Generation


def repetition(ids: Sequence[int], n: int) -> float:
    """Share of a text's n-grams that occurred before (Welleck et al. 2020); 0.0 without any."""
    return 1 - distinct([ids], n)


def distinct(texts: Iterable[Sequence[int]], n: int) -> float:
    """Distinct n-grams of all texts, divided by all (Li et al. 2016); 1.0 without any."""
    if n < 1:
        raise ValueError(f"n is {n}: count n-grams of 1 token or more.")
    ngrams = [ngram for text in texts for ngram in _ngrams(text, n)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0


def quality_table(
    generations: Mapping[str, Generation], *, num_characters: int = 80
) -> pd.DataFrame:
    """One row per generation: how much it wrote, how probable, how repetitive, how fast.

    Measures are means over draws, a draw being one text per prompt: distinct bigrams of more texts
    would be fewer. The columns that end in ± are half the width of a 95 % confidence interval
    (Student's t over the draws), so of what other seeds would give; NaN where nothing was drawn
    twice. `num_characters` of the first text are shown.
    """
    rows = {name: _quality(each, num_characters) for name, each in generations.items()}
    return pd.DataFrame(list(rows.values()), index=list(rows))


def _quality(generation: Generation, num_characters: int) -> dict[str, object]:
    num_tokens = sum(len(ids) for ids in generation.ids)
    draws = pd.DataFrame([_measures(generation, rows) for rows in _draws(generation)])
    measures = {}
    for name, values in draws.items():
        measures |= {name: values.mean(), f"{name} ±": _half_width(values)}
    return {
        "texts": len(generation.texts),
        "tokens": num_tokens,
        **measures,
        "tokens/s": num_tokens / generation.seconds,
        "model calls": generation.num_model_calls,
        "text": " ".join(generation.texts[0].split())[:num_characters],
    }


def _draws(generation: Generation) -> list[range]:
    """The rows of each draw, which has one text per prompt; all rows where nothing is drawn."""
    num_draws = generation.num_samples
    return [range(draw, len(generation.ids), num_draws) for draw in range(num_draws)]


def _measures(generation: Generation, rows: Iterable[int]) -> dict[str, float]:
    ids = [generation.ids[row] for row in rows]
    total = sum(float(generation.log_probs[row].sum()) for row in rows)
    return {
        "log-prob per text": total / len(ids),
        "log-prob per token": total / sum(map(len, ids)),
        "repeated 2-grams": float(np.mean([repetition(each, 2) for each in ids])),
        "distinct 2-grams": distinct(ids, 2),
    }


def _half_width(values: pd.Series) -> float:
    """Of a 95 % confidence interval of the mean of values (N,); NaN for one value."""
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1) * values.sem())


def _ngrams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    ids = ids.tolist() if hasattr(ids, "tolist") else ids  # tensors with equal values hash apart
    return list(zip(*(ids[start:] for start in range(n)), strict=False))
