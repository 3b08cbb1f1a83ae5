"""The look of the collection, and the figures that more than one notebook draws.

Every `plot_*` function returns a `matplotlib.figure.Figure` made without pyplot: as the last value
of a cell it is shown once. `fig.axes` gives the axes to whoever wants to add something. The
`*_view` functions return what a notebook shows as an interactive view, or else as a picture.
"""

from utils.plotting.attention import (
    head_view,
    model_view,
    neuron_view,
    plot_attention_grid,
    plot_attention_heads,
    plot_attention_lines,
    plot_query_and_keys,
)
from utils.plotting.bars import plot_bars
from utils.plotting.calibration import expected_calibration_error, plot_reliability
from utils.plotting.classification import plot_class_probabilities, plot_confusion_matrix
from utils.plotting.classification_heads import plot_classification_heads
from utils.plotting.contours import plot_contours
from utils.plotting.curves import plot_curves
from utils.plotting.datasets import plot_class_balance, plot_lengths
from utils.plotting.diagrams import plot_flow
from utils.plotting.embeddings import plot_embedding_panels
from utils.plotting.family_tree import plot_family_tree
from utils.plotting.grouped_bars import plot_grouped_bars
from utils.plotting.heatmaps import plot_heatmap
from utils.plotting.histograms import plot_histogram
from utils.plotting.matrices import plot_attention_patterns, plot_positions
from utils.plotting.model_sizes import plot_model_sizes
from utils.plotting.next_tokens import plot_next_words, plot_token_distribution
from utils.plotting.number_formats import plot_affine_map, plot_float_bits
from utils.plotting.probability_tree import plot_probability_tree
from utils.plotting.pruning import plot_pruned_network, plot_weight_planes
from utils.plotting.scatter import plot_scatter
from utils.plotting.soft_targets import plot_soft_targets
from utils.plotting.speedups import plot_speedups
from utils.plotting.style import PALETTE, set_style
from utils.plotting.token_stages import plot_token_stages
from utils.plotting.tokens import plot_padding
from utils.plotting.trials import plot_trials

__all__ = [
    "PALETTE",
    "expected_calibration_error",
    "head_view",
    "model_view",
    "neuron_view",
    "plot_affine_map",
    "plot_attention_grid",
    "plot_attention_heads",
    "plot_attention_lines",
    "plot_attention_patterns",
    "plot_bars",
    "plot_class_balance",
    "plot_class_probabilities",
    "plot_classification_heads",
    "plot_confusion_matrix",
    "plot_contours",
    "plot_curves",
    "plot_embedding_panels",
    "plot_family_tree",
    "plot_float_bits",
    "plot_flow",
    "plot_grouped_bars",
    "plot_heatmap",
    "plot_histogram",
    "plot_lengths",
    "plot_model_sizes",
    "plot_next_words",
    "plot_padding",
    "plot_positions",
    "plot_probability_tree",
    "plot_pruned_network",
    "plot_query_and_keys",
    "plot_reliability",
    "plot_scatter",
    "plot_soft_targets",
    "plot_speedups",
    "plot_token_distribution",
    "plot_token_stages",
    "plot_trials",
    "plot_weight_planes",
    "set_style",
]
