"""Decoding strategies over any model that continues a text one step at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from utils.models.cache import check_length, token_positions

if TYPE_CHECKING:
    import transformers


class Step(Protocol):
    """Continues a batch of texts: `step` of our models, or of a `LibraryDecoder`."""

    def __call__(self, ids: Tensor, cache: Any) -> Tensor:
        """Logits (B, V) after the tokens `ids` (B, T), which the cache then holds too."""


@torch.inference_mode()
def greedy(
    step: Step,
    ids: Tensor,
    cache: Any,
    *,
    max_new_tokens: int,
    eos_id: int | None = None,
    pad_id: int | None = None,
) -> Tensor:
    """Continue each text with its most probable token, again and again.

    Args:
        step: the model.
        ids: (B, T) prompts; their padding, on the left, is known to the cache.
        cache: a new one for these prompts, with room for the new tokens.
        max_new_tokens: at most so many; fewer if all texts are finished earlier.
        eos_id: the token that finishes a text; none by default.
        pad_id: fills the row of a finished text, `eos_id` by default.

    Returns:
        (B, T + new): prompts and their continuations.

    Raises:
        ValueError: the prompts are empty, or no token is asked for.
        ContextLengthError: prompts and new tokens do not fit the cache.
    """
    _check(ids, max_new_tokens)
    pad_id = eos_id if pad_id is None else pad_id
    is_finished = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    tokens = [ids]
    for _ in range(max_new_tokens):
        new = step(tokens[-1], cache).argmax(dim=-1)  # (B,)
        if eos_id is not None:
            new = new.masked_fill(is_finished, pad_id)
            is_finished |= new == eos_id
        tokens.append(new[:, None])
        if is_finished.all():
            break
    return torch.cat(tokens, dim=1)


def _check(ids: Tensor, max_new_tokens: int) -> None:
    if ids.ndim != 2 or ids.numel() == 0:
        shape = tuple(ids.shape)
        raise ValueError(f"Prompts have shape {shape}: give (batch, tokens), at least one each.")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}: ask for 1 or more.")


@dataclass
class LibraryCache:
    """What a library model keeps between steps.

    Attributes:
        attention_mask: (B, C) of prompts and continuation, 0 at padding.
        past: keys and values of all layers.
    """

    attention_mask: Tensor
    past: transformers.DynamicCache

    def reorder(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows of the batch, given indices (B',) into it."""
        self.attention_mask = self.attention_mask[rows]
        self.past.batch_select_indices(rows)


class LibraryDecoder:
    """`new_cache` and `step` for a decoder of the library, as our own models have them.

    Args:
        model: a causal language model.
    """

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        self.model = model

    def new_cache(self, attention_mask: Tensor, max_new_tokens: int) -> LibraryCache:
        """An empty cache for prompts padded on the left, attention_mask (B, T) being 0 there.

        Raises:
            ContextLengthError: prompts and new tokens together exceed the model's positions.
        """
        import transformers

        batch_size, length = attention_mask.shape
        check_length(length + max_new_tokens, self.model.config.max_position_embeddings)
        generated = attention_mask.new_ones(batch_size, max_new_tokens)
        mask = torch.cat((attention_mask, generated), dim=1)
        return LibraryCache(mask, transformers.DynamicCache(config=self.model.config))

    @torch.inference_mode()
    def step(self, ids: Tensor, cache: LibraryCache) -> Tensor:
        """Logits (B, V) after `ids` (B, T); the cache advances by T."""
        start = cache.past.get_seq_length()
        end = start + ids.shape[1]
        mask = cache.attention_mask[:, :end]
        return self.model(
            ids,
            attention_mask=mask,
            position_ids=token_positions(mask)[:, start:],
            past_key_values=cache.past,
            logits_to_keep=1,
        ).logits[:, -1]
