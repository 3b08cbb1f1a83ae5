"""GPT-2: a decoder with learned positions and layer norms before its sublayers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.attention import SelfAttention
from utils.models.decoder import DecoderModel
from utils.models.layers import FeedForward, TransformerLayer, init_normal
from utils.models.weights import copy_weights, prefixed, require, sources_by_module

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class GPT2Config:
    """Sizes of a GPT-2; the defaults are those of the smallest published one."""

    vocab_size: int = 50_257  # V
    hidden_size: int = 768  # D
    intermediate_size: int = 3072  # inner width of the feed-forward layers
    num_layers: int = 12  # L
    num_heads: int = 12  # H
    max_positions: int = 1024  # longest text, in tokens
    norm_eps: float = 1e-5  # added to the variance
    dropout: float = 0.1  # of embeddings and of sublayers
    attention_dropout: float = 0.1  # of attention weights


class GPT2(DecoderModel):
    """GPT-2 with its language-modelling head (Radford et al. 2019)."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(
            nn.Embedding(config.vocab_size, config.hidden_size),
            [_layer(config) for _ in range(config.num_layers)],
            nn.LayerNorm(config.hidden_size, config.norm_eps),
            num_positions=config.max_positions,
        )
        self.config = config
        self.position = nn.Embedding(config.max_positions, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        init_normal(self, std=0.02)
        self._scale_residual_projections()

    def embed(self, input_ids: Tensor, positions: Tensor) -> tuple[Tensor, None]:
        """The sum of a token's and a position's vector, (B, T, D); nothing is rotated."""
        return self.dropout(self.embedding(input_ids) + self.position(positions)), None

    @classmethod
    def from_library(cls, model: transformers.GPT2LMHeadModel) -> Self:
        """The same model with the library's weights, in eval mode; ValueError if we cannot."""
        gpt2 = cls(_config(model.config))
        # The library multiplies by its projections from the right, a Linear by its transpose.
        weights = {
            name: weight.T if name.endswith(PROJECTIONS) else weight
            for name, weight in model.named_parameters()
        }
        copy_weights(gpt2, weights, sources_by_module(gpt2, _modules(gpt2.config)))
        return gpt2.eval()

    def _scale_residual_projections(self) -> None:
        """Divide what 2 L sublayers add to the states by √(2 L) at the start (section 2.3)."""
        scale = 1 / math.sqrt(2 * len(self.layers))
        for layer in self.layers:
            layer.attention.output.weight.data *= scale
            layer.feed_forward.down.weight.data *= scale


def _layer(config: GPT2Config) -> TransformerLayer:
    attention = SelfAttention(
        config.hidden_size, config.num_heads, dropout=config.attention_dropout
    )
    gelu = partial(F.gelu, approximate="tanh")
    return TransformerLayer(
        attention,
        FeedForward(config.hidden_size, config.intermediate_size, gelu),
        partial(nn.LayerNorm, config.hidden_size, config.norm_eps),
        norm_first=True,
        dropout=config.dropout,
    )


def _config(config: transformers.GPT2Config) -> GPT2Config:
    only = {"activation_function": "gelu_new", "tie_word_embeddings": True}
    only |= {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
    require(config, only | {"add_cross_attention": False, "embd_pdrop": config.resid_pdrop})
    return GPT2Config(
        vocab_size=config.vocab_size,
        hidden_size=config.n_embd,
        intermediate_size=config.n_inner or 4 * config.n_embd,
        num_layers=config.n_layer,
        num_heads=config.n_head,
        max_positions=config.n_positions,
        norm_eps=config.layer_norm_epsilon,
        dropout=config.resid_pdrop,
        attention_dropout=config.attn_pdrop,
    )


def _modules(config: GPT2Config) -> dict[str, Sequence[str]]:
    """The library's modules by ours."""
    modules = {
        "embedding": ["transformer.wte"],
        "position": ["transformer.wpe"],
        "norm": ["transformer.ln_f"],
    }
    for index in range(config.num_layers):
        modules |= prefixed(LAYER_MODULES, f"layers.{index}.", f"transformer.h.{index}.")
    return modules


PROJECTIONS = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
LAYER_MODULES = {
    "attention.query_key_value": ["attn.c_attn"],
    "attention.output": ["attn.c_proj"],
    "attention_norm": ["ln_1"],
    "feed_forward.up": ["mlp.c_fc"],
    "feed_forward.down": ["mlp.c_proj"],
    "feed_forward_norm": ["ln_2"],
}
