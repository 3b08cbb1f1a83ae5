"""What a metric is given, checked at the door: a wrong input ends in a sentence, not in a number.

Modules of `evaluate` inherit from the classes below through `checks.` only: the library takes the
first metric in a module's namespace for the module's own.
"""

import re
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike

from utils.inputs import as_array

ENTITY_TAG = re.compile(r"O|[BIES]-.+")


def same_words(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> None:
    """Raise ValueError unless both tag the words of the same sentences and some are entities."""
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted] or not len(gold):
        raise ValueError(
            f"There are {len(gold)} sentences of gold tags and {len(predicted)} of predicted ones, "
            "or their words differ in number: give a tag for each word of the same sentences."
        )
    if all(tag == "O" for tags in (*gold, *predicted) for tag in tags):
        raise ValueError("There is no entity in gold or predicted tags: nothing to measure.")


class Metric(evaluate.Metric):
    """A metric of one prediction for each reference, each of the type `feature`."""

    feature: Any  # of datasets.Features

    def checked(self, what: str, values: Any) -> Any:
        """`values` as the library can store them, or ValueError."""
        raise NotImplementedError

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            features=datasets.Features(predictions=self.feature, references=self.feature),
        )

    def add_batch(self, *, predictions: Any, references: Any) -> None:
        """Add predictions and references, equally many."""
        if len(predictions) != len(references) or not len(references):
            raise ValueError(
                f"There are {len(predictions)} predictions and {len(references)} references: give "
                "at least one, and equally many."
            )
        pair = {"predictions": predictions, "references": references}
        super().add_batch(**{what: self.checked(what, values) for what, values in pair.items()})

    def add(self, *, prediction: Any, reference: Any) -> None:
        """Add one prediction and its reference."""
        self.add_batch(predictions=[prediction], references=[reference])


class LabelMetric(Metric):
    """Predictions and references are label ids."""

    feature = datasets.Value("int64")

    def checked(self, what: str, values: ArrayLike) -> np.ndarray:
        ids = as_array(values)
        if ids.ndim != 1 or ids.dtype.kind not in "biuf" or (ids % 1).any():
            raise ValueError(f"{what} must be label ids, one whole number each: no NaN, no logits.")
        if ids.min() < 0:
            raise ValueError(f"{what} holds the label {ids.min()}: drop what is to be ignored.")
        return ids.astype(int)


class TagMetric(Metric):
    """Predictions and references are the entity tags of sentences."""

    feature = datasets.List(datasets.Value("string"))

    def checked(self, what: str, values: Sequence[Sequence[str]]) -> list[list[str]]:
        sentences = [list(tags) for tags in values]
        for tag in (tag for tags in sentences for tag in tags):
            if not isinstance(tag, str) or not ENTITY_TAG.fullmatch(tag):
                raise ValueError(f"{what} holds {tag!r}, which is no tag: use O, B-TYPE, I-TYPE.")
        return sentences
