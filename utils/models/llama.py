"""Llama: a decoder with RMSNorm, rotary positions, grouped-query attention and SwiGLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from torch import Tensor, nn

from utils.models.attention import Rotation, SelfAttention
from utils.models.decoder import DecoderModel
from utils.models.layers import GatedFeedForward, TransformerLayer, init_normal
from utils.models.positions import RotaryPositions
from utils.models.weights import copy_weights, prefixed, require, sources_by_module

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a Llama; the defaults are those of SmolLM2-135M (Allal et al. 2025)."""

    vocab_size: int = 49_152  # V
    hidden_size: int = 576  # D
    intermediate_size: int = 1536  # inner width of the feed-forward layers
    num_layers: int = 30  # L
    num_heads: int = 9  # H, of queries
    num_kv_heads: int = 3  # K, of keys and values, shared by H / K query heads each
    head_dim: int = 64  # d
    max_positions: int = 8192  # longest text, in tokens
    rope_theta: float = 100_000.0  # base of the wavelengths of the rotations
    norm_eps: float = 1e-5  # added to the mean square
    tie_embeddings: bool = True  # whether the head shares the embedding's weight


class Llama(DecoderModel):
    """Llama with its language-modelling head (Touvron et al. 2023; Llama 2 for shared heads)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(
            nn.Embedding(config.vocab_size, config.hidden_size),
            [_layer(config) for _ in range(config.num_layers)],
            nn.RMSNorm(config.hidden_size, config.norm_eps),
            num_positions=config.max_positions,
            tie_embeddings=config.tie_embeddings,
        )
        self.config = config
        self.rotary = RotaryPositions(config.head_dim, config.max_positions, config.rope_theta)
        init_normal(self, std=0.02)

    def embed(self, input_ids: Tensor, positions: Tensor) -> tuple[Tensor, Rotation]:
        """Embeddings (B, T, D), and the rotation of queries and keys."""
        return self.embedding(input_ids), self.rotary(positions)

    @classmethod
    def from_library(cls, model: transformers.LlamaForCausalLM) -> Self:
        """The same model with the library's weights, in eval mode; ValueError if we cannot."""
        config = _config(model.config)
        llama = cls(config)
        sources = sources_by_module(llama, _modules(config))
        copy_weights(llama, dict(model.named_parameters()), sources)
        return llama.eval()


def _layer(config: LlamaConfig) -> TransformerLayer:
    attention = SelfAttention(
        config.hidden_size,
        config.num_heads,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        bias=False,
    )
    feed_forward = GatedFeedForward(config.hidden_size, config.intermediate_size)
    norm = partial(nn.RMSNorm, config.hidden_size, config.norm_eps)
    return TransformerLayer(attention, feed_forward, norm, norm_first=True)


def _config(config: transformers.LlamaConfig) -> LlamaConfig:
    theta = config.rope_parameters["rope_theta"]
    rope = {"rope_theta": theta, "rope_type": "default"}
    only = {"rope_parameters": rope, "hidden_act": "silu", "attention_dropout": 0.0}
    require(config, only | {"attention_bias": False, "mlp_bias": False})
    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_layers=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        max_positions=config.max_position_embeddings,
        rope_theta=theta,
        norm_eps=config.rms_norm_eps,
        tie_embeddings=config.tie_word_embeddings,
    )


def _modules(config: LlamaConfig) -> dict[str, Sequence[str]]:
    """The library's modules by ours."""
    modules = {"embedding": ["model.embed_tokens"], "norm": ["model.norm"], "output": ["lm_head"]}
    for index in range(config.num_layers):
        modules |= prefixed(LAYER_MODULES, f"layers.{index}.", f"model.layers.{index}.")
    return modules


LAYER_MODULES = {
    "attention.query_key_value": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "attention.output": ["self_attn.o_proj"],
    "attention_norm": ["input_layernorm"],
    "feed_forward.gate": ["mlp.gate_proj"],
    "feed_forward.up": ["mlp.up_proj"],
    "feed_forward.down": ["mlp.down_proj"],
    "feed_forward_norm": ["post_attention_layernorm"],
}
