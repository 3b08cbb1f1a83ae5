"""The look of the collection, and the figures that more than one notebook draws.

A figure that one notebook draws is matplotlib in its cell: `fig = new_figure(title, height)`, then
`ax = fig.subplots()`, with the colours of `PALETTE`.

Every `plot_*` function returns a `matplotlib.figure.Figure` made without pyplot: as the last value
of a cell it is shown once. `fig.axes` gives the axes to whoever wants to add something. The
`*_view` functions return what a notebook shows as an interactive view, or else as a picture.
"""

from utils.plotting.attention import head_view, model_view, neuron_view, plot_attention_heads
from utils.plotting.bars import plot_bars
from utils.plotting.classification import plot_confusion_matrix
from utils.plotting.curves import plot_curves
from utils.plotting.datasets import plot_lengths
from utils.plotting.diagrams import plot_flow
from utils.plotting.embeddings import plot_embedding_panels
from utils.plotting.grouped_bars import plot_grouped_bars
from utils.plotting.heatmaps import plot_heatmap
from utils.plotting.histograms import plot_histogram
from utils.plotting.legends import legend_below
from utils.plotting.next_tokens import plot_next_words
from utils.plotting.probability_tree import plot_probability_tree
from utils.plotting.scatter import plot_scatter
from utils.plotting.style import DARK_GREY, GREY, INK, PALETTE, lighten, new_figure, set_style
