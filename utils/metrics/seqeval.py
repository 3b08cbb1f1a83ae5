"""Precision, recall and F1 of entities, as a module of `evaluate`; seqeval computes them.

An entity counts if its type and all its words are right (Tjong Kim Sang & De Meulder 2003).
"""

from collections.abc import Mapping
from typing import Any

from seqeval.metrics import accuracy_score, classification_report

from utils.metrics import checks

NAMES = ("precision", "recall", "f1-score")


class Seqeval(checks.TagMetric):
    """Scores of each entity type, and overall ones, in which every entity counts alike.

    Accuracy is that of the tags, O included: it flatters a tagger that finds nothing.
    """

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        checks.same_words(predictions, references)
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
        rows = {name: scores(row) for name, row in report.items()}
        types = {
            name: rows[name] | {"number": int(row["support"])}
            for name, row in report.items()
            if not name.endswith(" avg")
        }
        overall = {f"overall_{name}": value for name, value in rows["micro avg"].items()}
        accuracy = float(accuracy_score(references, predictions))
        return {**types, **overall, "overall_accuracy": accuracy}


def scores(row: Mapping[str, float]) -> dict[str, float]:
    """Precision, recall and F1 of a row of seqeval's report."""
    return {name.removesuffix("-score"): float(row[name]) for name in NAMES}
