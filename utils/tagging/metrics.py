"""Precision, recall and F1 of entities, with intervals: every word of an entity must be right.

An entity is what seqeval takes for one: I-X that continues no X starts an entity, so that a model
is not punished twice for a wrong B. In gold tags that is a fault of IOB2, which `iob2_violations`
counts. `utils.metrics.load("seqeval")` has the scores without intervals, for a `Trainer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from utils.benchmarking.significance import Interval, bootstrap
from utils.tagging.errors import TaggingError

Sentences = Sequence[Sequence[str]]  # IOB2 tags of the words of each sentence


class Span(NamedTuple):
    """An entity from its first to its last word, both counted from 0."""

    type: str
    first: int
    last: int


def entities(tags: Sequence[str]) -> list[Span]:
    """The entities of one sentence, in order; any tag but O, B-X and I-X is a TaggingError."""
    from seqeval.metrics.sequence_labeling import get_entities

    for tag in tags:
        _split(tag)
    return [Span(*entity) for entity in get_entities(list(tags))]


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
        ValueError: not the same sentences, or no entity on either side.
    """
    from seqeval.metrics import classification_report

    from utils.metrics.checks import same_words

    same_words(predicted, gold)
    gold, predicted = (
        [[*tags] for tags in part] for part in (gold, predicted)
    )  # lists for seqeval
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    frame = pd.DataFrame(report).T.rename(columns={"f1-score": "f1"})
    return frame.rename(index=lambda row: row.removesuffix(" avg")).astype({"support": int})


def f1_interval(gold: Sentences, predicted: Sentences) -> Interval:
    """Micro F1 of the entities, with the percentile bootstrap over sentences.

    Sentences are drawn rather than entities, since those of one sentence go wrong together (Efron
    & Tibshirani 1993, chapter 13, has the method).

    Raises:
        ValueError: not the same sentences, or no entity on either side.
    """
    return bootstrap(_f1, *entity_counts(gold, predicted).T)


def f1_difference(gold: Sentences, predicted_a: Sentences, predicted_b: Sentences) -> Interval:
    """Micro F1 of `a` minus that of `b`; a resample takes the same sentences of both.

    Raises:
        ValueError: not the same sentences, or no entity on either side.
    """
    counts = [entity_counts(gold, predicted) for predicted in (predicted_a, predicted_b)]
    return bootstrap(_f1_gap, *np.concatenate(counts, axis=1).T)


def entity_counts(gold: Sentences, predicted: Sentences) -> np.ndarray:
    """(N, 3): entities of each sentence that are found, predicted, and there."""
    from utils.metrics.checks import same_words

    same_words(predicted, gold)
    true, found = ([set(entities(tags)) for tags in sentences] for sentences in (gold, predicted))
    pairs = zip(true, found, strict=True)
    return np.array([(len(right & guess), len(guess), len(right)) for right, guess in pairs])


def _f1(found: np.ndarray, predicted: np.ndarray, gold: np.ndarray, axis: int) -> np.ndarray:
    """Micro F1 from the counts of sentences; 0 where there are no entities."""
    entities = predicted.sum(axis) + gold.sum(axis)
    return 2 * found.sum(axis) / np.maximum(entities, 1)


def _f1_gap(*counts: np.ndarray, axis: int) -> np.ndarray:
    return _f1(*counts[:3], axis) - _f1(*counts[3:], axis)


def _split(tag: str) -> tuple[str, str]:
    """("B", "PER") of "B-PER"."""
    prefix, _, kind = tag.partition("-")
    if (prefix, kind) != ("O", "") and (prefix not in ("B", "I") or not kind):
        raise TaggingError(f"{tag!r} is no IOB2 tag: use O, B-TYPE and I-TYPE.")
    return prefix, kind
