"""What decoder-only language models share: the forward pass, and steps with a cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from utils.models.attention import Rotation
from utils.models.cache import KeyValueCache, LayerCache, check_length, token_positions
from utils.models.inputs import check_inputs
from utils.models.layers import TransformerLayer
from utils.models.masks import padded_causal_mask


class DecoderModel(nn.Module):
    """A stack of causal layers between an embedding and a head (Radford et al. 2018).

    A family makes these modules and says in `embed` how positions enter. `tie_embeddings` makes the
    embedding's weight the head's (Press & Wolf 2017).
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        layers: Sequence[TransformerLayer],
        norm: nn.Module,
        *,
        num_positions: int,
        tie_embeddings: bool = True,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.output = nn.Linear(embedding.embedding_dim, embedding.num_embeddings, bias=False)
        if tie_embeddings:
            self.output.weight = embedding.weight
        self.num_positions = num_positions

    def embed(self, input_ids: Tensor, positions: Tensor) -> tuple[Tensor, Rotation | None]:
        """States (B, T, D) that enter the first layer, and the rotation that all layers use."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of the token after each of `input_ids`; errors as of `check_inputs`.

        The mask (B, T) is 0 at padding, which may be on either side; logits there mean nothing.
        """
        check_inputs(input_ids, attention_mask, self.embedding.num_embeddings, self.num_positions)
        num_tokens = input_ids.shape[1]
        if attention_mask is None:
            positions, mask = torch.arange(num_tokens, device=input_ids.device)[None], None
        else:
            positions = token_positions(attention_mask)
            mask = padded_causal_mask(attention_mask, num_tokens)
        hidden_states = self._run_layers(input_ids, positions, mask, is_causal=mask is None)
        return self.output(self.norm(hidden_states))  # (B, T, V)

    def new_cache(self, attention_mask: Tensor, max_new_tokens: int) -> KeyValueCache:
        """An empty cache for prompts with this (B, T) mask, padded on the left, and what follows.

        Raises:
            ValueError: a prompt is empty or is padded elsewhere.
            ContextLengthError: prompts and new tokens together exceed the model's positions.
        """
        capacity = attention_mask.shape[1] + max_new_tokens
        check_length(capacity, self.num_positions)
        attention = self.layers[0].attention
        return KeyValueCache(
            attention_mask,
            capacity,
            num_layers=len(self.layers),
            num_heads=attention.num_kv_heads,
            head_dim=attention.head_dim,
            dtype=self.embedding.weight.dtype,
        )

    def step(self, ids: Tensor, cache: KeyValueCache) -> Tensor:
        """Logits (B, V) of the token after the last of `ids`; see `states`."""
        return self.logits(self.states(ids, cache)[:, -1])

    @torch.inference_mode()
    def states(self, ids: Tensor, cache: KeyValueCache) -> Tensor:
        """Hidden states (B, T, D) of `ids` after the last norm; the cache keeps what it has seen.

        `ids` (B, T) are the whole prompt first, then usually one new token per row. Raises
        ContextLengthError if they do not fit the cache; otherwise as `check_inputs`.
        """
        check_inputs(ids, None, self.embedding.num_embeddings)
        num_tokens = ids.shape[1]
        positions = cache.next_positions(num_tokens)
        is_causal = cache.length == 0 and not cache.has_padding
        mask = None if is_causal else cache.next_mask(num_tokens)
        hidden_states = self._run_layers(
            ids, positions, mask, is_causal=is_causal, caches=cache.layers
        )
        return self.norm(hidden_states)  # (B, T, D)

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """(…, D) of `states` -> (…, V) logits of the token after each."""
        return self.output(states)

    def _run_layers(
        self,
        input_ids: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        *,
        is_causal: bool,
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        """(B, T) -> (B, T, D)."""
        hidden_states, rotation = self.embed(input_ids, positions)
        for layer, cache in zip(self.layers, caches or [None] * len(self.layers), strict=True):
            hidden_states = layer(
                hidden_states, mask, is_causal=is_causal, rotation=rotation, cache=cache
            )
        return hidden_states
