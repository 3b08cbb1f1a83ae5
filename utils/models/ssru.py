"""A translator with a Transformer encoder and a recurrent decoder, as Marian's small students have.

The decoder has SSRUs in place of self-attention (Kim et al. 2019, "From Research to Production and
Back: Ludicrously Fast Neural Machine Translation"): each step costs the same, however long the
text. Marian is Junczys-Dowmunt et al. 2018. The Auto classes of transformers know the model once
this module is imported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from utils.models.attention import CrossAttention, SelfAttention
from utils.models.layers import FeedForward, TransformerLayer
from utils.models.masks import padding_mask

IGNORED = -100  # a label that counts for nothing
EPSILON = 1e-6  # of Marian's layer norms


class SsruTranslatorConfig(PreTrainedConfig):
    """Sizes; the defaults are those of Firefox's students."""

    model_type = "ssru-translator"

    def __init__(
        self,
        vocab_size: int = 32_000,
        hidden_size: int = 256,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 2,
        num_attention_heads: int = 8,
        intermediate_size: int = 1536,
        **kwargs: Any,
    ) -> None:
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.num_encoder_layers, self.num_decoder_layers = num_encoder_layers, num_decoder_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        usual = {"is_encoder_decoder": True, "eos_token_id": 0, "pad_token_id": 0}
        super().__init__(**usual | {"decoder_start_token_id": 0} | kwargs)

    @property
    def num_hidden_layers(self) -> int:
        return self.num_encoder_layers


class Ssru(nn.Module):
    """The simpler simple recurrent unit: c = f c' + (1 - f) W x, f = sigmoid(W_f x + b_f)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.candidate = nn.Linear(hidden_size, hidden_size, bias=False)
        self.forget = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> (B, T, D), the positive parts of the T states, and the last state (B, D).

        The first state follows `state` (B, D), by default zeros.
        """
        forget = self.forget(hidden_states).sigmoid()
        new = (1 - forget) * self.candidate(hidden_states)
        state, states = torch.zeros_like(new[:, 0]) if state is None else state, []
        for f, x in zip(forget.unbind(dim=1), new.unbind(dim=1), strict=True):
            state = f * state + x
            states.append(state)
        return torch.stack(states, dim=1).relu(), state


@dataclass
class SsruCache:
    """What a decoder keeps between steps, for each layer: its state, and what it reads."""

    memory: list[tuple[Tensor, Tensor]]  # keys and values of the source, (B, H, S, d) each
    states: list[Tensor | None]  # (B, D)
    length: int = 0  # tokens decoded

    def reorder_cache(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows of the batch, as beam search does."""
        self.memory = [(keys[rows], values[rows]) for keys, values in self.memory]
        self.states = [None if state is None else state[rows] for state in self.states]


class SsruLayer(nn.Module):
    """SSRU, cross-attention and a feed-forward layer, each with a skip connection and a norm."""

    def __init__(self, config: SsruTranslatorConfig) -> None:
        super().__init__()
        width, norm = config.hidden_size, partial(nn.LayerNorm, config.hidden_size, eps=EPSILON)
        self.recurrence, self.recurrence_norm = Ssru(width), norm()
        self.cross_attention = CrossAttention(width, config.num_attention_heads)
        self.cross_attention_norm = norm()
        self.feed_forward = FeedForward(width, config.intermediate_size, F.relu)
        self.feed_forward_norm = norm()

    def forward(
        self,
        hidden_states: Tensor,
        state: Tensor | None,
        memory: tuple[Tensor, Tensor],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> (B, T, D), the last state, and the states (B, T, D) that look at the source.

        `memory` is what `cross_attention.project_memory` made of the source.
        """
        remembered, state = self.recurrence(hidden_states, state)
        queries = self.recurrence_norm(hidden_states + remembered)
        attended = self.cross_attention(queries, memory, mask)
        hidden_states = self.cross_attention_norm(queries + attended)
        hidden_states = self.feed_forward_norm(hidden_states + self.feed_forward(hidden_states))
        return hidden_states, state, queries


class SsruEncoder(nn.Module):
    """Post-LN layers over embeddings with sinusoidal positions; it shares the model's embedding."""

    main_input_name = "input_ids"

    def __init__(self, config: SsruTranslatorConfig, embedding: nn.Embedding) -> None:
        super().__init__()
        width, norm = config.hidden_size, partial(nn.LayerNorm, config.hidden_size, eps=EPSILON)
        self.embedding = embedding
        self.layers = nn.ModuleList(
            TransformerLayer(
                SelfAttention(width, config.num_attention_heads),
                FeedForward(width, config.intermediate_size, F.relu),
                norm,
                norm_first=False,
            )
            for _ in range(config.num_encoder_layers)
        )

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> BaseModelOutput:
        """States (B, S, D) of a source (B, S), whose mask is 0 at padding."""
        mask = None if attention_mask is None else padding_mask(attention_mask)
        hidden_states = scaled(self.embedding(input_ids))  # (B, S, D)
        hidden_states += positions(hidden_states.shape[-1], input_ids)
        for layer in self.layers:
            hidden_states = layer(hidden_states, mask)
        return BaseModelOutput(last_hidden_state=hidden_states)


class SsruTranslator(PreTrainedModel, GenerationMixin):
    """One embedding for source, target and logits, an encoder, and SSRU layers.

    The first token of a target is nothing but a place: it is embedded as zeros.
    """

    config_class = SsruTranslatorConfig
    main_input_name = "input_ids"
    _tied_weights_keys = {"encoder.embedding.weight": "embedding.weight"}  # noqa: RUF012

    def __init__(self, config: SsruTranslatorConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.encoder = SsruEncoder(config, self.embedding)
        self.decoder_layers = nn.ModuleList(
            SsruLayer(config) for _ in range(config.num_decoder_layers)
        )
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def get_encoder(self, *_: Any, **__: Any) -> SsruEncoder:
        return self.encoder

    def _supports_default_dynamic_cache(self) -> bool:
        return False  # an `SsruCache` is made in the first step

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        labels: Tensor | None = None,
        past_key_values: SsruCache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> Seq2SeqLMOutput:
        """Logits (B, T, V) of the token after each of `decoder_input_ids` (B, T), or the last ones.

        With a cache, these tokens follow those that it has seen.

        With labels (B, T) these are shifted to the right as the decoder's input, and the loss is
        the mean cross-entropy where they are not -100. `cross_attentions` has (B, H, T, S) a layer.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask)
        if labels is not None and decoder_input_ids is None:
            shifted = labels.masked_fill(labels == IGNORED, self.config.pad_token_id)
            decoder_input_ids = F.pad(shifted[:, :-1], (1, 0), value=self.config.pad_token_id)
        mask = None if attention_mask is None else padding_mask(attention_mask)
        cache = past_key_values or self._new_cache(encoder_outputs[0])
        hidden_states = scaled(self.embedding(decoder_input_ids))  # (B, T, D)
        if cache.length == 0:
            hidden_states[:, 0] = 0
        hidden_states += positions(self.config.hidden_size, decoder_input_ids, cache.length)
        weights = []
        for place, layer in enumerate(self.decoder_layers):
            memory = cache.memory[place]
            hidden_states, cache.states[place], queries = layer(
                hidden_states, cache.states[place], memory, mask
            )
            if output_attentions:
                weights.append(layer.cross_attention.weights(queries, memory, mask))
        cache.length += decoder_input_ids.shape[1]
        hidden_states = hidden_states[:, -logits_to_keep:]  # 0: all
        logits = F.linear(hidden_states, self.embedding.weight, self.output_bias)  # (B, T, V)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=cache if use_cache else None,
            cross_attentions=tuple(weights) if output_attentions else None,
            encoder_last_hidden_state=encoder_outputs[0],
        )

    def _new_cache(self, memory: Tensor) -> SsruCache:
        """Before the first token, given the states (B, S, D) of the source."""
        pairs = [layer.cross_attention.project_memory(memory) for layer in self.decoder_layers]
        return SsruCache(pairs, [None] * len(pairs))


def scaled(embeddings: Tensor) -> Tensor:
    """Embeddings (..., D) times √D, which makes them as large as positions."""
    return embeddings * math.sqrt(embeddings.shape[-1])


def positions(hidden_size: int, ids: Tensor, start: int = 0) -> Tensor:
    """(T, D) sinusoids for ids (B, T) from place `start`: sines in the first half, then cosines.

    Column i turns with 10000^(-i / (D/2 - 1)), as in tensor2tensor and Marian.
    """
    half = hidden_size // 2
    exponents = torch.arange(half, device=ids.device) / (half - 1)
    places = torch.arange(start, start + ids.shape[1], device=ids.device)
    angles = places[:, None] * 10_000.0**-exponents  # (T, D/2)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


AutoConfig.register(SsruTranslatorConfig.model_type, SsruTranslatorConfig)
AutoModelForSeq2SeqLM.register(SsruTranslatorConfig, SsruTranslator)
