"""Rated sentences of product reviews to learn from, whole reviews of films to be tested on."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from utils.assets.jsonl import write_rows

CLEAR = 0.5  # of mean ratings from -4 to 4: nearer to 0 a sentence is neither good nor bad
LABELS = {"0": "neg", "1": "pos"}  # as the hub names them


def convert(files: Mapping[str, Path], target: Path) -> None:
    write_rows(target / "train.jsonl", _sentences(files["amazonReviewSnippets_GroundTruth.txt"]))
    write_rows(target / "test.jsonl", _reviews(files["sample.csv"]))


def _sentences(path: Path) -> Iterator[dict[str, str]]:
    """Each once, where people agreed on good or bad."""
    rows = _rows(path, delimiter="\t", quoting=csv.QUOTE_NONE)
    ratings = {row["text"]: float(row["sentiment"]) for row in rows}
    for text, rating in ratings.items():
        if abs(rating) >= CLEAR:
            yield {"text": text, "label": "pos" if rating > 0 else "neg"}


def _reviews(path: Path) -> Iterator[dict[str, str]]:
    for row in _rows(path):
        yield {"text": row["text"], "label": LABELS[row["label"]]}


def _rows(path: Path, **options: Any) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, **options))
