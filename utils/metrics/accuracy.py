"""Accuracy of label ids, as a module of `evaluate`; scikit-learn computes it."""

from sklearn.metrics import accuracy_score

from utils.metrics import checks


class Accuracy(checks.LabelMetric):
    """Share of predictions that equal their reference."""

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}
