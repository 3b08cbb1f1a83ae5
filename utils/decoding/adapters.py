"""Models of the library as decoders, as our own models are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from utils.models.cache import check_crop, check_length, token_positions, whole_mask

if TYPE_CHECKING:
    import transformers

LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling")  # after the head


@dataclass
class LibraryCache:
    """What a library model keeps between steps.

    Attributes:
        attention_mask: (B, C) of prompts and continuation, 0 at padding.
        past: keys and values of all layers.
    """

    attention_mask: Tensor
    past: transformers.DynamicCache

    @property
    def length(self) -> int:
        """Tokens seen so far, padding included."""
        return self.past.get_seq_length()

    @property
    def is_token(self) -> Tensor:
        """(B, C), False at padding."""
        return self.attention_mask.bool()

    def reorder(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows of the batch, given indices (B',) into it."""
        self.attention_mask = self.attention_mask[rows]
        self.past.batch_select_indices(rows)

    def crop(self, length: int) -> None:
        """Forget what follows the first `length` tokens, padding counted."""
        check_crop(length, self.length)
        if length < self.length:  # the library takes how many to remove, below 0
            self.past.crop(length - self.length)


class LibraryDecoder:
    """A causal language model of the library with the methods that our own models have."""

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        self.model = model

    def new_cache(self, attention_mask: Tensor, max_new_tokens: int) -> LibraryCache:
        """An empty cache for prompts padded on the left, attention_mask (B, T) being 0 there."""
        import transformers

        capacity = attention_mask.shape[1] + max_new_tokens
        check_length(capacity, getattr(self.model.config, "max_position_embeddings", None))
        mask = whole_mask(attention_mask, capacity).long()
        # Without the model's config all is kept, so that a sliding window can be cropped.
        return LibraryCache(mask, transformers.DynamicCache())

    @torch.inference_mode()
    def step(self, ids: Tensor, cache: LibraryCache) -> Tensor:
        """Logits (B, V) after `ids` (B, T); the cache advances by T."""
        return self.model(**_inputs(ids, cache), logits_to_keep=1).logits[:, -1]

    @torch.inference_mode()
    def states(self, ids: Tensor, cache: LibraryCache) -> Tensor:
        """States (B, T, D) of `ids` (B, T) after the last norm; the cache advances by T."""
        return self.model.base_model(**_inputs(ids, cache)).last_hidden_state

    @torch.inference_mode()
    def logits(self, states: Tensor) -> Tensor:
        """(…, D) of `states` -> (…, V) logits of the token after each."""
        _check_head(self.model.config)
        return self.model.get_output_embeddings()(states)


def _inputs(ids: Tensor, cache: LibraryCache) -> dict[str, Any]:
    """What the library's models take for `ids` (B, T) that follow what the cache has seen."""
    start = cache.length
    mask = cache.attention_mask[:, : start + ids.shape[1]]
    positions = token_positions(mask)[:, start:]
    shared = {"attention_mask": mask, "past_key_values": cache.past, "use_cache": True}
    return {"input_ids": ids, "position_ids": positions} | shared


def _check_head(config: transformers.PretrainedConfig) -> None:
    for name in LOGIT_CHANGES:
        if getattr(config, name, None) not in (None, 1.0):
            raise ValueError(
                f"This model changes its logits after the head ({name}): use a strategy that "
                "takes single steps, as greedy search, beam search and sampling do."
            )
