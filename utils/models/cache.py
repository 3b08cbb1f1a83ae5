"""Keys and values of the tokens seen so far, in buffers that are allocated once."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.models.masks import padded_causal_mask


class ContextLengthError(ValueError):
    """A text is longer than the model, or the cache made for it, can hold."""


def check_length(num_tokens: int, num_positions: int | None) -> None:
    """Raise ContextLengthError if a text has more tokens than the model has positions, if any."""
    if num_positions is not None and num_tokens > num_positions:
        raise ContextLengthError(
            f"{num_tokens} tokens exceed the {num_positions} positions of the model: shorten the "
            "text, or ask for fewer new tokens."
        )


def check_crop(length: int, num_cached: int) -> None:
    """Raise ValueError unless `length` is among the lengths that a cache can go back to."""
    if not 0 <= length <= num_cached:
        raise ValueError(
            f"A cache of {num_cached} tokens cannot be cropped to {length}: keep 0 to {num_cached}."
        )


def token_positions(attention_mask: Tensor) -> Tensor:
    """(B, T) position of each token among the tokens of its row, given 0 at padding."""
    return (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)


class LayerCache:
    """Keys and values of one layer: buffers (B, H, C, d), of which `length` places are in use."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys = keys
        self.values = values
        self.length = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H, T, d) new keys and values; return all so far, (B, H, S, d) each."""
        end = self.length + keys.shape[2]
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KeyValueCache:
    """The cache of a decoder for a batch of prompts that may be padded on the left.

    The mask (B, T) of the prompts is 0 at padding; `capacity` counts a prompt and its continuation
    together. Keys and values live on the mask's device.

    Raises:
        ValueError: a prompt has no token, or is padded elsewhere than on the left.
        ContextLengthError: the prompts alone exceed the capacity.
    """

    def __init__(
        self,
        attention_mask: Tensor,
        capacity: int,
        *,
        num_layers: int,
        num_heads: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.is_token = whole_mask(attention_mask, capacity)  # (B, C)
        self.positions = token_positions(self.is_token)  # (B, C)
        self.has_padding = not bool(self.is_token.all())
        self.capacity = capacity
        shape = (len(attention_mask), num_heads, capacity, head_dim)
        new = {"dtype": dtype, "device": attention_mask.device}
        self.layers = [
            LayerCache(torch.zeros(shape, **new), torch.zeros(shape, **new))
            for _ in range(num_layers)
        ]

    @property
    def length(self) -> int:
        """Tokens seen so far, padding included."""
        return self.layers[0].length

    def next_positions(self, num_tokens: int) -> Tensor:
        """(B, T) positions of the next T tokens; ContextLengthError if they do not fit."""
        end = self.length + num_tokens
        if end > self.capacity:
            raise ContextLengthError(
                f"{end} tokens do not fit the cache of {self.capacity}: shorten the prompt, ask "
                "for fewer new tokens, or make the cache larger."
            )
        return self.positions[:, self.length : end]

    def next_mask(self, num_tokens: int) -> Tensor | None:
        """Mask (B, 1, T, S) for the next T tokens; None if they may see all S so far."""
        end = self.length + num_tokens
        if num_tokens == 1 and not self.has_padding:
            return None
        return padded_causal_mask(self.is_token[:, :end], num_tokens)

    def reorder(self, rows: Tensor) -> None:
        """Keep, drop or repeat rows, (B',) indices into the present batch, as beam search does."""
        self.is_token, self.positions = self.is_token[rows], self.positions[rows]
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]

    def crop(self, length: int) -> None:
        """Forget what follows the first `length` tokens, padding counted; see `check_crop`."""
        check_crop(length, self.length)
        for layer in self.layers:
            layer.length = length


def whole_mask(attention_mask: Tensor, capacity: int) -> Tensor:
    """(B, C): the mask of the prompts, then True for what follows; errors as of the cache."""
    is_token = attention_mask.bool()
    batch_size, length = is_token.shape
    if length > capacity:
        raise ContextLengthError(
            f"A prompt of {length} tokens does not fit the cache of {capacity}: shorten it."
        )
    if length == 0 or not bool(is_token[:, -1].all()):
        raise ValueError(
            "Each prompt must end with a token: pad on the left (padding_side='left') and give "
            "at least one token."
        )
    if bool((is_token[:, :-1] & ~is_token[:, 1:]).any()):
        raise ValueError("A prompt has padding between its tokens: pad on the left only.")
    generated = is_token.new_ones(batch_size, capacity - length)
    return torch.cat((is_token, generated), dim=1)
