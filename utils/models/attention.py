"""Multi-head attention over one fused kernel: self-attention and cross-attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.models.cache import LayerCache
from utils.models.positions import rotate

Rotation = tuple[Tensor, Tensor]  # cosines and sines, (B, 1, T, d) each


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(q kᵀ / √d) v by PyTorch's fused kernel (Vaswani et al. 2017, section 3.2.1).

    Queries (B, H, T, d), keys and values (B, K, S, d) -> (B, H, T, d). If K < H, groups of
    neighbouring query heads share keys and values (grouped-query attention, Ainslie et al. 2023).

    Args:
        mask: broadcast to (B, H, T, S); True where a query sees a key, or floats to be added.
        is_causal: lower triangle of T = S, instead of a mask.
    """
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        mask,
        dropout_p=dropout,
        is_causal=is_causal,
        enable_gqa=key.shape[1] < query.shape[1],
    )


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, H, T, S) weights that the fused kernel never keeps, for looking at; see `attend`."""
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (B, H, T, S)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1)


class SelfAttention(nn.Module):
    """Queries, keys and values from the same states, by one matrix product for the three.

    Each of H heads has D / H features unless `head_dim` says otherwise. K = `num_kv_heads` heads of
    keys and values, H by default, must divide H. `dropout` drops attention weights in training.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.head_dim = head_dim or head_size(hidden_size, num_heads)
        if num_heads % self.num_kv_heads:
            raise ValueError(
                f"{num_heads} query heads cannot share {self.num_kv_heads} key-value heads "
                "evenly: num_kv_heads must divide num_heads."
            )
        width = num_heads * self.head_dim
        kv_width = self.num_kv_heads * self.head_dim
        self.query_key_value = nn.Linear(hidden_size, width + 2 * kv_width, bias=bias)
        self.output = nn.Linear(width, hidden_size, bias=bias)
        self.dropout = dropout

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); see `attend`. With a cache, keys and values join its own."""
        query, key, value = self.project(hidden_states, rotation)  # (B, H or K, T, d)
        if cache is not None:
            key, value = cache.append(key, value)  # (B, K, S, d)
        dropout = self.dropout if self.training else 0.0
        heads = attend(query, key, value, mask, is_causal=is_causal, dropout=dropout)
        return self.output(heads.transpose(1, 2).flatten(2))  # (B, T, D)

    def project(
        self, hidden_states: Tensor, rotation: Rotation | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, d), keys and values (B, K, T, d), rotated where there is a rotation."""
        states = split_heads(self.query_key_value(hidden_states), self.head_dim)
        turned, value = states.tensor_split((-self.num_kv_heads,), dim=1)
        if rotation is not None:
            turned = rotate(turned, rotation)  # (B, H + K, T, d)
        query, key = turned.tensor_split((self.num_heads,), dim=1)
        return query, key, value


class CrossAttention(nn.Module):
    """Queries from a decoder, keys and values from the encoder's output, called the memory."""

    def __init__(self, hidden_size: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.head_dim = head_size(hidden_size, num_heads)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key_value = nn.Linear(hidden_size, 2 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        self.dropout = dropout

    def forward(
        self, hidden_states: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """(B, T, D) -> (B, T, D), given `project_memory` of (B, S, D); mask as in `attend`."""
        query = split_heads(self.query(hidden_states), self.head_dim)  # (B, H, T, d)
        dropout = self.dropout if self.training else 0.0
        heads = attend(query, *memory, mask, dropout=dropout)  # (B, H, T, d)
        return self.output(heads.transpose(1, 2).flatten(2))  # (B, T, D)

    def project_memory(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, (B, H, S, d) each, of (B, S, D): once per source, not once per step."""
        key, value = split_heads(self.key_value(memory), self.head_dim).chunk(2, dim=1)
        return key, value

    def weights(
        self, hidden_states: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """(B, H, T, S) attention weights that `forward` uses, for looking at alignments."""
        query = split_heads(self.query(hidden_states), self.head_dim)  # (B, H, T, d)
        return attention_weights(query, memory[0], mask)


def split_heads(states: Tensor, head_dim: int) -> Tensor:
    """(B, T, H·d) -> (B, H, T, d)."""
    return states.unflatten(-1, (-1, head_dim)).transpose(1, 2)


def head_size(hidden_size: int, num_heads: int) -> int:
    """Features per head; ValueError unless the heads divide the width evenly."""
    if hidden_size % num_heads:
        raise ValueError(
            f"hidden_size {hidden_size} cannot be split among {num_heads} heads: num_heads must "
            "divide it."
        )
    return hidden_size // num_heads
