"""Where a transformer looks: figures for the page, and views to explore that need no network.

The views follow BertViz: Vig (2019), "A Multiscale Visualization of Attention in the Transformer
Model". Each is one self-contained piece of HTML beside a static picture for places without scripts.
"""

from utils.plotting.attention.figures import plot_attention_heads
from utils.plotting.attention.views import AttentionView, head_view, model_view, neuron_view
