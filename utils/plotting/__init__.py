"""The look of the collection, and the figures that more than one notebook draws.

Every `plot_*` function returns a `matplotlib.figure.Figure` made without pyplot: as the last value
of a cell it is shown once. `fig.axes` gives the axes to whoever wants to add something.
"""

from utils.plotting.bars import plot_bars
from utils.plotting.calibration import expected_calibration_error, plot_reliability
from utils.plotting.classification import plot_class_probabilities, plot_confusion_matrix
from utils.plotting.curves import plot_curves
from utils.plotting.datasets import plot_class_balance, plot_lengths
from utils.plotting.diagrams import plot_flow
from utils.plotting.embeddings import plot_embedding_panels
from utils.plotting.style import PALETTE, set_style
from utils.plotting.tokens import plot_padding

__all__ = [
    "PALETTE",
    "expected_calibration_error",
    "plot_bars",
    "plot_class_balance",
    "plot_class_probabilities",
    "plot_confusion_matrix",
    "plot_curves",
    "plot_embedding_panels",
    "plot_flow",
    "plot_lengths",
    "plot_padding",
    "plot_reliability",
    "set_style",
]
