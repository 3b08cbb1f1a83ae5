"""What encoder-decoder models share: the memory of a source, training, and steps with a cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.models.cache import KeyValueCache, check_length
from utils.models.inputs import check_inputs
from utils.models.layers import TransformerLayer
from utils.models.masks import padding_mask


@dataclass(frozen=True)
class Memory:
    """The encoded source as the decoder reads it, computed once however many tokens follow."""

    keys_values: list[tuple[Tensor, Tensor]]  # of each decoder layer, (B, H, S, d) each
    mask: Tensor | None  # (B, 1, 1, S), False at padding

    def select(self, rows: Tensor) -> Memory:
        """The memory of a batch made of these rows, (B',) indices into the present batch."""
        keys_values = [(keys[rows], values[rows]) for keys, values in self.keys_values]
        return Memory(keys_values, None if self.mask is None else self.mask[rows])


class EncoderDecoderCache(KeyValueCache):
    """The keys and values of the tokens decoded so far, and the memory of their sources."""

    def __init__(self, memory: Memory, capacity: int) -> None:
        keys, _ = memory.keys_values[0]  # (B, H, S, d)
        super().__init__(
            torch.ones(len(keys), 1, dtype=torch.bool, device=keys.device),
            capacity,
            num_layers=len(memory.keys_values),
            num_heads=keys.shape[1],
            head_dim=keys.shape[3],
            dtype=keys.dtype,
        )
        self.memory = memory

    def reorder(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows of the batch with their sources, as beam search does."""
        super().reorder(rows)
        self.memory = self.memory.select(rows)


class EncoderDecoder(nn.Module, ABC):
    """A model that reads a source and writes a target.

    A family brings the layers and says how it encodes, decodes, and makes logits of states.
    `max_positions` limits the source and the target.
    """

    def __init__(
        self, decoder_layers: list[TransformerLayer], *, vocab_size: int, max_positions: int
    ) -> None:
        super().__init__()
        self.decoder_layers = nn.ModuleList(decoder_layers)
        self.vocab_size = vocab_size
        self.max_positions = max_positions

    @abstractmethod
    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, S, D) of the source, given (B, S) ids and their mask, 0 at padding."""

    @abstractmethod
    def decode(
        self,
        decoder_input_ids: Tensor,
        memory: Memory,
        attention_mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Hidden states (B, T, D) of the target; with a cache, of what follows what it has seen.

        The mask (B, T) is 0 at padding, and not to be given together with a cache.
        """

    @abstractmethod
    def logits(self, hidden_states: Tensor) -> Tensor:
        """(…, D) states of the decoder -> (…, V) logits of the next token."""

    def forward(
        self,
        input_ids: Tensor,
        decoder_input_ids: Tensor,
        attention_mask: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, T, V) of the token after each of `decoder_input_ids`; errors: `check_inputs`.

        Args:
            input_ids: (B, S), the source.
            decoder_input_ids: (B, T), a start token and the target so far.
            attention_mask: (B, S), 0 at padding.
            decoder_attention_mask: (B, T), 0 at padding. Padding on the right needs none, as no
                token sees what comes after it.
        """
        self.check_inputs(decoder_input_ids, decoder_attention_mask)
        memory = self.remember(input_ids, attention_mask)
        return self.logits(self.decode(decoder_input_ids, memory, decoder_attention_mask))

    def remember(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Memory:
        """Encode (B, S) sources and project them to the keys and values of each decoder layer."""
        hidden_states = self.encode(input_ids, attention_mask)  # (B, S, D)
        keys_values = [
            layer.cross_attention.project_memory(hidden_states) for layer in self.decoder_layers
        ]
        return Memory(keys_values, None if attention_mask is None else padding_mask(attention_mask))

    @torch.no_grad()
    def cross_attentions(
        self,
        input_ids: Tensor,
        decoder_input_ids: Tensor,
        attention_mask: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Weights of target on source in each layer, (B, H, T, S) each; see `forward`."""
        weights = []
        hooks = [
            layer.cross_attention.register_forward_pre_hook(
                lambda module, inputs: weights.append(module.weights(*inputs))
            )
            for layer in self.decoder_layers
        ]
        try:
            self(input_ids, decoder_input_ids, attention_mask, decoder_attention_mask)
        finally:
            for hook in hooks:
                hook.remove()
        return tuple(weights)

    @torch.inference_mode()
    def new_cache(
        self, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int
    ) -> EncoderDecoderCache:
        """Encode (B, S) sources, and make room for a start token and `max_new_tokens` after it.

        Raises ContextLengthError if sources or targets are above the positions of the model.
        """
        check_length(1 + max_new_tokens, self.max_positions)
        return EncoderDecoderCache(self.remember(input_ids, attention_mask), 1 + max_new_tokens)

    @torch.inference_mode()
    def step(self, ids: Tensor, cache: EncoderDecoderCache) -> Tensor:
        """Logits (B, V) of the token after the last of `ids`; the cache keeps what it has seen.

        `ids` (B, T) are the start token first, then usually one new token per row. Raises
        ContextLengthError if they do not fit the cache.
        """
        cache.next_positions(ids.shape[1])
        return self.logits(self.decode(ids, cache.memory, cache=cache)[:, -1])

    def check_inputs(self, input_ids: Tensor, attention_mask: Tensor | None) -> None:
        """`inputs.check_inputs` for the limits of this model."""
        check_inputs(input_ids, attention_mask, self.vocab_size, self.max_positions)

    def run_decoder(
        self,
        hidden_states: Tensor,
        memory: Memory,
        mask: Tensor | None,
        *,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """(B, T, D) through all decoder layers, each with its own memory and cache."""
        caches = [None] * len(self.decoder_layers) if cache is None else cache.layers
        for layer, keys_values, layer_cache in zip(
            self.decoder_layers, memory.keys_values, caches, strict=True
        ):
            hidden_states = layer(
                hidden_states,
                mask,
                is_causal=is_causal,
                cache=layer_cache,
                memory=keys_values,
                memory_mask=memory.mask,
            )
        return hidden_states
