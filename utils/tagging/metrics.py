"""Precision, recall and F1 of entities, with intervals: every word of an entity must be right.

An entity is what conlleval and seqeval take for one: I-X that continues no X starts an entity, so
that a model is not punished twice for a wrong B. In gold tags that is a fault of IOB2, which
`iob2_violations` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from transformers import EvalPrediction

from utils.benchmarking.significance import RESAMPLES, Difference
from utils.tagging.alignment import align_predictions
from utils.tagging.errors import TaggingError

Sentences = Sequence[Sequence[str]]  # IOB2 tags of the words of each sentence


class Span(NamedTuple):
    """An entity from its first to its last word, both counted from 0."""

    type: str
    first: int
    last: int


class Interval(NamedTuple):
    """A measure with a 95 % bootstrap interval from low to high."""

    value: float
    low: float
    high: float


def entities(tags: Sequence[str]) -> list[Span]:
    """The entities of one sentence, in order.

    Args:
        tags: (T,) "O", "B-X" or "I-X" for each word.

    Raises:
        TaggingError: a tag of another form.
    """
    spans: list[Span] = []
    for word, tag in enumerate(tags):
        prefix, kind = _split(tag)
        if prefix == "I" and spans and spans[-1][::2] == (kind, word - 1):
            spans[-1] = spans[-1]._replace(last=word)
        elif prefix != "O":
            spans.append(Span(kind, word, word))
    return spans


def iob2_violations(sentences: Sentences) -> int:
    """How many tags I-X do not follow B-X or I-X in their sentence."""
    pairs = chain.from_iterable(pairwise(["O", *tags]) for tags in sentences)
    return sum(
        _split(tag)[0] == "I" and _split(previous)[1] != _split(tag)[1] for previous, tag in pairs
    )


def entity_report(gold: Sentences, predicted: Sentences) -> pd.DataFrame:
    """Precision, recall, F1 and the number of gold entities of each type, and their averages.

    A type that occurs on one side only scores 0. The rows at the end are the averages `micro`
    (every entity counts alike), `macro` (every type) and `weighted` (types by support).

    Raises:
        TaggingError: not the same sentences, or no entity on either side.
    """
    from seqeval.metrics import classification_report

    if not entity_counts(gold, predicted).any():
        raise TaggingError("There is no entity in gold or predicted tags: nothing to report.")
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    frame = pd.DataFrame(report).T.rename(columns={"f1-score": "f1"})
    return frame.rename(index=lambda row: row.removesuffix(" avg")).astype({"support": int})


def tagging_metrics(names: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """A `compute_metrics`: micro F1, precision and recall of entities, and accuracy of tags.

    Accuracy counts O as well, and with that most words: it flatters a model that finds nothing.

    Args:
        names: C tags in the order of their ids.
    """
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        predicted, gold = align_predictions(prediction.predictions, prediction.label_ids, names)
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, predicted, average="micro", zero_division=0
        )
        pairs = zip(chain(*gold), chain(*predicted), strict=True)
        accuracy = np.mean([tag == guess for tag, guess in pairs])
        scores = {"f1": f1, "precision": precision, "recall": recall, "accuracy": accuracy}
        return {name: float(score) for name, score in scores.items()}

    return compute_metrics


def f1_interval(
    gold: Sentences, predicted: Sentences, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Micro F1 of the entities, with the percentile bootstrap over sentences.

    Sentences are drawn rather than entities, since those of one sentence go wrong together (Efron
    & Tibshirani 1993, chapter 13, has the method).

    Args:
        gold, predicted: tags of the same N sentences.
        resamples: how often N sentences are drawn with replacement.
        seed: of these draws.

    Raises:
        TaggingError: not the same sentences, none, or no resamples.
    """
    counts = entity_counts(gold, predicted)  # (N, 3)
    low, high = np.percentile(_f1(_resampled(counts, resamples, seed)), (2.5, 97.5))
    return Interval(float(_f1(counts.sum(axis=0))), float(low), float(high))


def f1_difference(
    gold: Sentences,
    predicted_a: Sentences,
    predicted_b: Sentences,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Micro F1 of `a` minus that of `b`; a resample takes the same sentences of both.

    Args: as of `f1_interval`.

    Raises:
        TaggingError: not the same sentences, none, or no resamples.
    """
    pair = [entity_counts(gold, predicted) for predicted in (predicted_a, predicted_b)]
    counts = np.concatenate(pair, axis=1)  # (N, 6)
    draws = _resampled(counts, resamples, seed)
    differences = _f1(draws[:, :3]) - _f1(draws[:, 3:])
    total = counts.sum(axis=0)
    low, high = np.percentile(differences, (2.5, 97.5))
    return Difference(float(_f1(total[:3]) - _f1(total[3:])), float(low), float(high))


def entity_counts(gold: Sentences, predicted: Sentences) -> np.ndarray:
    """(N, 3): entities of each sentence that are found, predicted, and there.

    Raises:
        TaggingError: not the same sentences, or none.
    """
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted] or not len(gold):
        raise TaggingError(
            f"There are {len(gold)} sentences of gold tags and {len(predicted)} of predicted ones, "
            "or their words differ in number: give a tag for each word of the same sentences."
        )
    pairs = [
        (set(entities(tags)), set(entities(guess)))
        for tags, guess in zip(gold, predicted, strict=True)
    ]
    return np.array([(len(true & found), len(found), len(true)) for true, found in pairs])


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 from (..., 3) counts of found, predicted and gold entities; 0 where there are none."""
    found, predicted, gold = np.moveaxis(counts, -1, 0)
    return 2 * found / np.maximum(predicted + gold, 1)


def _resampled(counts: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """(resamples, K) sums of the (N, K) counts over N sentences drawn with replacement."""
    if resamples < 1:
        raise TaggingError(f"resamples is {resamples}: give 1 or more.")
    rng, num_sentences = np.random.default_rng(seed), len(counts)
    draws = (rng.integers(num_sentences, size=num_sentences) for _ in range(resamples))
    return np.stack([counts[draw].sum(axis=0) for draw in draws])


def _split(tag: str) -> tuple[str, str]:
    """("B", "PER") of "B-PER"."""
    prefix, _, kind = tag.partition("-")
    if (prefix, kind) != ("O", "") and (prefix not in ("B", "I") or not kind):
        raise TaggingError(f"{tag!r} is no IOB2 tag: use O, B-TYPE and I-TYPE.")
    return prefix, kind
