"""F1 of label ids, as a module of `evaluate`; scikit-learn computes it."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import f1_score

from utils.metrics import checks


class F1(checks.LabelMetric):
    """Harmonic mean of precision and recall.

    `compute` takes as well
        average: "binary" (F1 of `pos_label`), "micro", "macro", "weighted", None (one a class).
        labels: the ids of all classes, in the order of the F1s; by default those that occur.
    """

    def _compute(
        self,
        predictions: list[int],
        references: list[int],
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str | None = "binary",
    ) -> dict[str, float | np.ndarray]:
        if labels is not None and (outside := {*predictions, *references} - {*labels}):
            raise ValueError(f"The label {min(outside)} is not among labels={list(labels)}.")
        options = {"labels": labels, "pos_label": pos_label, "average": average}
        score = f1_score(references, predictions, zero_division=0, **options)
        return {"f1": score if average is None else float(score)}
