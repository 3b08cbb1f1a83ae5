"""Splits that never change and that no text, and no group of texts, straddles."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

TEXT_COLUMNS = ("text", "dialogue", "document", "content", "question")
LABEL_COLUMNS = ("label", "coarse_label", "topic")


def split(dataset: Dataset, sizes: Mapping[str, int], group: str | None = None) -> DatasetDict:
    """Train, validation and test; `sizes` counts the rows of the last two.

    With the name of a column in `group`, rows that agree in it stay together, and a split takes
    whole groups while they fit.
    """
    from datasets import DatasetDict

    shuffled = dataset.select(shuffled_rows(dataset))
    parts = {}
    for name in ("test", "validation"):
        shuffled, parts[name] = hold_out_part(shuffled, sizes[name], group)
    return DatasetDict(train=shuffled, validation=parts["validation"], test=parts["test"])


def hold_out_part(dataset: Dataset, size: int, group: str | None) -> tuple[Dataset, Dataset]:
    """Split off about `size` rows, whole groups where there is a column of them."""
    return hold_out_groups(dataset, size, group) if group else hold_out(dataset, size)


def hold_out(dataset: Dataset, size: int) -> tuple[Dataset, Dataset]:
    """Split off `size` rows in proportion to the label, if there is one: (rest, held out).

    Texts that differ only in case or punctuation stay together in the rest.
    """
    keys = [letters_and_digits(text) for text in _texts(dataset)]
    counts = Counter(keys)
    single = [row for row in shuffled_rows(dataset) if counts[keys[row]] == 1]
    for column in LABEL_COLUMNS:
        if column in dataset.column_names:
            single.sort(key=dataset[column][:].__getitem__)
    # Equal steps through rows sorted by label take from each label its share.
    return _take(
        dataset, {single[(2 * step + 1) * len(single) // (2 * size)] for step in range(size)}
    )


def hold_out_groups(dataset: Dataset, size: int, column: str) -> tuple[Dataset, Dataset]:
    """Split off whole groups, at most `size` rows in all: (rest, held out)."""
    groups = [letters_and_digits(group) for group in dataset[column][:]]
    chosen, taken = set(), 0
    for group, count in sorted(Counter(groups).items(), key=lambda item: _digest(item[0])):
        if taken + count <= size:
            chosen.add(group)
            taken += count
    return _take(dataset, {row for row, group in enumerate(groups) if group in chosen})


def letters_and_digits(text: str) -> str:
    """A text without case and punctuation."""
    return re.sub(r"[\W_]+", "", text.lower())


def _take(dataset: Dataset, held_out: set[int]) -> tuple[Dataset, Dataset]:
    rest = [row for row in range(len(dataset)) if row not in held_out]
    return dataset.select(rest), dataset.select(sorted(held_out))


def shuffled_rows(dataset: Dataset) -> list[int]:
    """Rows in the order of their text's hash: no random generator that a release may change."""
    digests = [_digest(text) for text in _texts(dataset)]
    return sorted(range(len(digests)), key=digests.__getitem__)


def _texts(dataset: Dataset) -> list[str]:
    column = next(column for column in TEXT_COLUMNS if column in dataset.column_names)
    return dataset[column][:]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
