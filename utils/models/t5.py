"""T5 (Raffel et al. 2020): an encoder-decoder whose scores know distances, not positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor, nn

from utils.models.attention import CrossAttention, SelfAttention
from utils.models.cache import KeyValueCache
from utils.models.encoder_decoder import EncoderDecoder, Memory
from utils.models.layers import FeedForward, GatedFeedForward, TransformerLayer
from utils.models.masks import causal_mask, padded_causal_mask, padding_mask
from utils.models.positions import RelativeBias
from utils.models.weights import copy_weights, prefixed, require, sources_by_module

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class T5Config:
    """Sizes of a T5; the defaults are those of t5-small."""

    vocab_size: int = 32_128  # V
    hidden_size: int = 512  # D
    head_dim: int = 64  # d; H · d need not be D
    num_heads: int = 8  # H
    num_encoder_layers: int = 6  # of the encoder
    num_decoder_layers: int = 6  # of the decoder
    intermediate_size: int = 2048  # inner width of the feed-forward layers
    feed_forward: Literal["relu", "gated-gelu"] = "relu"  # T5 1.1: gated-gelu
    num_buckets: int = 32  # of distances, each with a bias per head
    max_distance: int = 128  # in tokens, from which on distances share a bucket
    norm_eps: float = 1e-6  # added to the mean square
    dropout: float = 0.1  # of embeddings, attention weights, sublayers and inside them
    tie_embeddings: bool = True  # whether the head shares the embedding's weight; T5 1.1: no


class T5(EncoderDecoder):
    """Pre-LN with RMSNorm, no biases in linear maps, scores without the 1/√d.

    All layers of a side share one table of relative biases. There is no longest text.

    Raises:
        ValueError: an unknown kind of feed-forward layer.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__(
            [_layer(config, is_decoder=True) for _ in range(config.num_decoder_layers)],
            vocab_size=config.vocab_size,
        )
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder_layers = nn.ModuleList(
            _layer(config) for _ in range(config.num_encoder_layers)
        )
        bias = partial(RelativeBias, config.num_heads, config.num_buckets, config.max_distance)
        self.encoder_bias = bias(is_bidirectional=True)
        self.decoder_bias = bias(is_bidirectional=False)
        self.encoder_norm = _norm(config)
        self.decoder_norm = _norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.embedding.weight
        _init_weights(self, config)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, S, D) of the source, given (B, S) ids and their mask, 0 at padding."""
        self.check_inputs(input_ids, attention_mask)
        num_tokens = input_ids.shape[1]
        bias = self.encoder_bias(num_tokens, num_tokens)  # (1, H, S, S)
        if attention_mask is not None:
            bias = _forbid(bias, padding_mask(attention_mask))  # (B, H, S, S)
        hidden_states = self.dropout(self.embedding(input_ids))  # (B, S, D)
        for layer in self.encoder_layers:
            hidden_states = layer(hidden_states, bias)
        return self.dropout(self.encoder_norm(hidden_states))

    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Memory,
        attention_mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) of the target; see `EncoderDecoder.decode`."""
        num_tokens = decoder_input_ids.shape[1]
        num_keys = num_tokens if cache is None else cache.length + num_tokens
        if attention_mask is None:
            mask = causal_mask(num_tokens, num_keys, decoder_input_ids.device)  # (T, S)
        else:
            mask = padded_causal_mask(attention_mask, num_tokens)  # (B, 1, T, T)
        bias = _forbid(self.decoder_bias(num_tokens, num_keys), mask)
        hidden_states = self.dropout(self.embedding(decoder_input_ids))  # (B, T, D)
        hidden_states = self.run_decoder(hidden_states, memory, bias, cache=cache)
        return self.dropout(self.decoder_norm(hidden_states))

    def logits(self, hidden_states: Tensor) -> Tensor:
        """(…, D) states of the decoder -> (…, V) logits of the next token."""
        if self.config.tie_embeddings:  # whose variance is 1, not 1/D
            hidden_states = hidden_states * self.config.hidden_size**-0.5
        return self.output(hidden_states)

    @classmethod
    def from_library(cls, model: transformers.T5ForConditionalGeneration) -> Self:
        """Configuration and weights of a library T5 or T5 1.1, for use (eval mode).

        Raises:
            ValueError: an option that is not built here, such as another activation.
        """
        t5 = cls(_config(model.config))
        weights = dict(model.named_parameters())
        if not t5.config.tie_embeddings:
            weights["lm_head.weight"] = model.lm_head.weight
        copy_weights(t5, weights, sources_by_module(t5, _library_modules(t5.config)))
        return t5.eval()


def _forbid(bias: Tensor, mask: Tensor) -> Tensor:
    """Biases (…, T, S), -inf where the mask is False."""
    return bias.masked_fill(~mask, -torch.inf)


def _layer(config: T5Config, *, is_decoder: bool = False) -> TransformerLayer:
    sizes = (config.hidden_size, config.num_heads)
    options = {"head_dim": config.head_dim, "bias": False, "dropout": config.dropout, "scale": 1.0}
    return TransformerLayer(
        SelfAttention(*sizes, **options),
        _feed_forward(config),
        partial(_norm, config),
        norm_first=True,
        dropout=config.dropout,
        cross_attention=CrossAttention(*sizes, **options) if is_decoder else None,
    )


def _norm(config: T5Config) -> nn.RMSNorm:
    return nn.RMSNorm(config.hidden_size, eps=config.norm_eps)


def _feed_forward(config: T5Config) -> nn.Module:
    sizes = (config.hidden_size, config.intermediate_size)
    dropout = nn.Dropout(config.dropout)
    if config.feed_forward == "relu":
        return FeedForward(*sizes, nn.Sequential(nn.ReLU(), dropout), bias=False)
    if config.feed_forward == "gated-gelu":
        return GatedFeedForward(*sizes, nn.Sequential(nn.GELU(approximate="tanh"), dropout))
    raise ValueError(
        f"There is no feed-forward layer {config.feed_forward!r}: choose 'relu' or 'gated-gelu'."
    )


@torch.no_grad()
def _init_weights(model: T5, config: T5Config) -> None:
    """Normal distributions under which states keep their size: std 1/√(inputs of the map).

    Queries have std 1/√(D d) instead, which stands for the missing scale of the scores; embeddings
    have 1, relative biases 1/√D (Mesh TensorFlow, after Raffel et al. 2020).
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    for layer in [*model.encoder_layers, *model.decoder_layers]:
        width = config.num_heads * config.head_dim
        layer.attention.query_key_value.weight[:width] *= config.head_dim**-0.5
    for layer in model.decoder_layers:
        layer.cross_attention.query.weight *= config.head_dim**-0.5
    for relative in (model.encoder_bias, model.decoder_bias):
        nn.init.normal_(relative.bias.weight, std=config.hidden_size**-0.5)
    nn.init.normal_(model.embedding.weight)


def _config(config: transformers.T5Config) -> T5Config:
    require(config, {"model_type": "t5"})
    return T5Config(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        head_dim=config.d_kv,
        num_heads=config.num_heads,
        num_encoder_layers=config.num_layers,
        num_decoder_layers=config.num_decoder_layers,
        intermediate_size=config.d_ff,
        feed_forward=config.feed_forward_proj,
        num_buckets=config.relative_attention_num_buckets,
        max_distance=config.relative_attention_max_distance,
        norm_eps=config.layer_norm_epsilon,
        dropout=config.dropout_rate,
        tie_embeddings=config.scale_decoder_outputs,
    )


def _library_modules(config: T5Config) -> dict[str, list[str]]:
    """The library's modules by ours."""
    modules = {"embedding": ["shared"], "output": ["lm_head"]}
    feed_forward = {
        "feed_forward.gate": ["wi_0"],
        "feed_forward.up": ["wi" if config.feed_forward == "relu" else "wi_1"],
        "feed_forward.down": ["wo"],
    }
    sides = {
        "encoder": (config.num_encoder_layers, SELF_MODULES, "layer.1."),
        "decoder": (config.num_decoder_layers, SELF_MODULES | CROSS_MODULES, "layer.2."),
    }
    for side, (num_layers, layer_modules, last) in sides.items():
        layer_modules = layer_modules | prefixed(feed_forward, "", last + "DenseReluDense.")
        layer_modules["feed_forward_norm"] = [last + "layer_norm"]
        for index in range(num_layers):
            modules |= prefixed(layer_modules, f"{side}_layers.{index}.", f"{side}.block.{index}.")
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
        modules |= {f"{side}_bias.bias": [bias], f"{side}_norm": [f"{side}.final_layer_norm"]}
    return modules


SELF_MODULES = {
    "attention.query_key_value": [f"layer.0.SelfAttention.{name}" for name in "qkv"],
    "attention.output": ["layer.0.SelfAttention.o"],
    "attention_norm": ["layer.0.layer_norm"],
}
CROSS_MODULES = {
    "cross_attention.query": ["layer.1.EncDecAttention.q"],
    "cross_attention.key_value": ["layer.1.EncDecAttention.k", "layer.1.EncDecAttention.v"],
    "cross_attention.output": ["layer.1.EncDecAttention.o"],
    "cross_attention_norm": ["layer.1.layer_norm"],
}
