"""The encoder-decoder of Vaswani et al. (2017), up to BART's choices (Lewis et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor, nn

from utils.models.attention import CrossAttention, SelfAttention
from utils.models.cache import KeyValueCache
from utils.models.encoder_decoder import EncoderDecoder, Memory
from utils.models.layers import FeedForward, TransformerLayer, init_normal
from utils.models.masks import padded_causal_mask, padding_mask
from utils.models.positions import SinusoidalPositions
from utils.models.weights import copy_weights, prefixed, require, sources_by_module

if TYPE_CHECKING:
    import transformers

POSITIONS = {"sinusoidal": SinusoidalPositions, "learned": nn.Embedding}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and choices; the defaults are those of the base model of Vaswani et al."""

    vocab_size: int = 37_000  # V, of source and target together
    hidden_size: int = 512  # D
    num_encoder_layers: int = 6  # of the encoder
    num_decoder_layers: int = 6  # of the decoder
    num_heads: int = 8  # H
    intermediate_size: int = 2048  # inner width of the feed-forward layers
    max_positions: int = 512  # the longest source and the longest target, in tokens
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"  # BART: learned
    activation: Literal["relu", "gelu"] = "relu"  # BART: gelu
    norm_first: bool = False  # pre-LN with a last norm on both sides, instead of post-LN
    norm_embeddings: bool = False  # a norm after positions are added, as in BART
    scale_embeddings: bool = True  # embeddings times √D before positions are added
    dropout: float = 0.1  # of embeddings and sublayers
    attention_dropout: float = 0.0  # of attention weights
    activation_dropout: float = 0.0  # inside the feed-forward layers
    init_std: float | None = None  # of all weights at the start (BART: 0.02); None: Xavier's


class Transformer(EncoderDecoder):
    """Reads a source on both sides of each token, writes a target from left to right.

    One matrix embeds source and target and makes the logits (section 3.4).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(
            [_layer(config, is_decoder=True) for _ in range(config.num_decoder_layers)],
            vocab_size=config.vocab_size,
            max_positions=config.max_positions,
        )
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder_input = LayerInput(config)
        self.encoder_layers = nn.ModuleList(
            _layer(config) for _ in range(config.num_encoder_layers)
        )
        self.encoder_norm = _last_norm(config)
        self.decoder_input = LayerInput(config)
        self.decoder_norm = _last_norm(config)
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        self.output.weight = self.embedding.weight
        _init_weights(self, config)

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, S, D) of the source, given (B, S) ids and their mask, 0 at padding."""
        self.check_inputs(input_ids, attention_mask)
        mask = None if attention_mask is None else padding_mask(attention_mask)
        hidden_states = self.encoder_input(self._embed(input_ids))  # (B, S, D)
        for layer in self.encoder_layers:
            hidden_states = layer(hidden_states, mask)
        return self.encoder_norm(hidden_states)

    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Memory,
        attention_mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) of the target; see `EncoderDecoder.decode`."""
        num_tokens = decoder_input_ids.shape[1]
        start, mask = 0, None
        if cache is not None:
            start, mask = cache.length, cache.next_mask(num_tokens)
        elif attention_mask is not None:
            mask = padded_causal_mask(attention_mask, num_tokens)
        hidden_states = self.decoder_input(self._embed(decoder_input_ids), start)  # (B, T, D)
        is_causal = cache is None and mask is None
        hidden_states = self.run_decoder(
            hidden_states, memory, mask, is_causal=is_causal, cache=cache
        )
        return self.decoder_norm(hidden_states)

    def logits(self, hidden_states: Tensor) -> Tensor:
        """(…, D) states of the decoder -> (…, V) logits of the next token."""
        return self.output(hidden_states)

    def _embed(self, ids: Tensor) -> Tensor:
        embeddings = self.embedding(ids)  # (B, T, D)
        if self.config.scale_embeddings:
            return embeddings * math.sqrt(self.config.hidden_size)
        return embeddings

    @classmethod
    def from_library(
        cls, model: transformers.BartModel | transformers.BartForConditionalGeneration
    ) -> Self:
        """The same model as a library BART, in eval mode; ValueError if we cannot."""
        transformer = cls(_config(model.config))
        modules = _library_modules(transformer.config)
        sources = sources_by_module(transformer, modules)
        copy_weights(transformer, _library_weights(model), sources)
        return transformer.eval()


class LayerInput(nn.Module):
    """What enters the first layer of either side: embeddings with positions added."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.positions = POSITIONS[config.positions](config.max_positions, config.hidden_size)
        has_norm = config.norm_embeddings
        self.norm = nn.LayerNorm(config.hidden_size) if has_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, embeddings: Tensor, start: int = 0) -> Tensor:
        """(B, T, D) -> (B, T, D), the first token being at position `start`."""
        end = start + embeddings.shape[1]
        positions = torch.arange(start, end, device=embeddings.device)  # (T,)
        return self.dropout(self.norm(embeddings + self.positions(positions)))


def _layer(config: TransformerConfig, *, is_decoder: bool = False) -> TransformerLayer:
    sizes = (config.hidden_size, config.num_heads)
    rate = config.attention_dropout
    activation = nn.Sequential(
        ACTIVATIONS[config.activation](), nn.Dropout(config.activation_dropout)
    )
    return TransformerLayer(
        SelfAttention(*sizes, dropout=rate),
        FeedForward(config.hidden_size, config.intermediate_size, activation),
        partial(nn.LayerNorm, config.hidden_size),
        norm_first=config.norm_first,
        dropout=config.dropout,
        cross_attention=CrossAttention(*sizes, dropout=rate) if is_decoder else None,
    )


def _last_norm(config: TransformerConfig) -> nn.Module:
    return nn.LayerNorm(config.hidden_size) if config.norm_first else nn.Identity()


def _init_weights(model: Transformer, config: TransformerConfig) -> None:
    """BART's normal distribution, or that of Glorot & Bengio (2010), fused matrices as one.

    In the latter case embeddings have the variance 1/D, so that times √D it is 1.
    """
    init_normal(model, config.init_std or config.hidden_size**-0.5)
    if config.init_std is None:
        for module in model.modules():
            if isinstance(module, nn.Linear) and module is not model.output:
                nn.init.xavier_uniform_(module.weight)


def _config(config: transformers.BartConfig) -> TransformerConfig:
    same = {"decoder_attention_heads": config.encoder_attention_heads}
    same |= {"decoder_ffn_dim": config.encoder_ffn_dim, "tie_word_embeddings": True}
    require(config, {"model_type": "bart", "activation_function": "gelu"} | same)
    return TransformerConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        num_encoder_layers=config.encoder_layers,
        num_decoder_layers=config.decoder_layers,
        num_heads=config.encoder_attention_heads,
        intermediate_size=config.encoder_ffn_dim,
        max_positions=config.max_position_embeddings,
        positions="learned",
        activation="gelu",
        norm_embeddings=True,
        scale_embeddings=config.scale_embedding,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        activation_dropout=config.activation_dropout,
        init_std=config.init_std,
    )


def _library_weights(
    model: transformers.BartModel | transformers.BartForConditionalGeneration,
) -> dict[str, Tensor]:
    """By name as in BartModel; positions without the first two, which BART never uses."""
    weights = {
        name.removeprefix("model."): weight.detach() for name, weight in model.named_parameters()
    }
    for side in ("encoder", "decoder"):
        weights[f"{side}.embed_positions.weight"] = weights[f"{side}.embed_positions.weight"][2:]
    bias = getattr(model, "final_logits_bias", torch.zeros(1, model.config.vocab_size))
    return weights | {"lm_head.bias": bias[0]}


def _library_modules(config: TransformerConfig) -> dict[str, list[str]]:
    """The library's modules by ours."""
    modules = {"embedding": ["shared"], "output": ["lm_head"]}
    layers = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    for side, num_layers in layers.items():
        modules |= prefixed(INPUT_MODULES, f"{side}_input.", f"{side}.")
        for index in range(num_layers):
            modules |= prefixed(LAYER_MODULES, f"{side}_layers.{index}.", f"{side}.layers.{index}.")
    return modules


INPUT_MODULES = {"positions": ["embed_positions"], "norm": ["layernorm_embedding"]}
LAYER_MODULES = {
    "attention.query_key_value": [f"self_attn.{name}_proj" for name in "qkv"],
    "attention.output": ["self_attn.out_proj"],
    "attention_norm": ["self_attn_layer_norm"],
    "cross_attention.query": ["encoder_attn.q_proj"],
    "cross_attention.key_value": ["encoder_attn.k_proj", "encoder_attn.v_proj"],
    "cross_attention.output": ["encoder_attn.out_proj"],
    "cross_attention_norm": ["encoder_attn_layer_norm"],
    "feed_forward.up": ["fc1"],
    "feed_forward.down": ["fc2"],
    "feed_forward_norm": ["final_layer_norm"],
}
