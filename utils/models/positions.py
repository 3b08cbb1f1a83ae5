"""Positions: sinusoids to add to embeddings, biases to add to scores, rotations of queries, keys.

Learned absolute positions are an `nn.Embedding` and need no code of their own.
"""

import math

import torch
from torch import Tensor, nn


def sinusoidal_positions(num_positions: int, hidden_size: int) -> Tensor:
    """(num_positions, hidden_size) table, sines in the even and cosines in the odd columns.

    Columns 2i and 2i+1 turn with the angle p / 10000^(2i/d) at position p (Vaswani et al. 2017,
    section 3.5).
    """
    angles = _angles(torch.arange(num_positions), hidden_size, theta=10_000.0)  # (P, D/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)  # (P, D)


class SinusoidalPositions(nn.Module):
    """`sinusoidal_positions` in the place of a learned `nn.Embedding`: (T,) -> (T, D)."""

    def __init__(self, num_positions: int, hidden_size: int) -> None:
        super().__init__()
        table = sinusoidal_positions(num_positions, hidden_size)  # (P, D)
        self.register_buffer("table", table, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """Rows of the table."""
        return self.table[positions]


class RotaryPositions(nn.Module):
    """Rotates queries and keys by their position, so that scores depend on distances only.

    Feature i is paired with i + d/2, as in Llama and GPT-NeoX (Su et al. 2021, RoFormer, section
    3.4.2, pairs neighbours instead: the same model up to a permutation of features).

    `theta` is the base of the wavelengths.
    """

    def __init__(self, head_dim: int, num_positions: int, theta: float = 10_000.0) -> None:
        super().__init__()
        angles = _angles(torch.arange(num_positions), head_dim, theta)  # (P, d/2)
        cos, sin = angles.cos(), angles.sin()
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)  # (P, d)
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)  # (P, d)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines for `rotate`, each (B, 1, T, d), of positions (B, T)."""
        return self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)


def rotate(features: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (B, H, T, d), each pair of features turned by its angle."""
    cos, sin = rotation
    partners = features.roll(features.shape[-1] // 2, dims=-1)  # (B, H, T, d)
    return features * cos.to(features.dtype) + partners * sin.to(features.dtype)


class RelativeBias(nn.Module):
    """A learned number per head and distance, added to the scores (Raffel et al. 2020, T5).

    Near distances have a bucket each; farther ones share buckets that widen logarithmically.

    Half of the buckets are for keys after the query, as in an encoder; beyond `max_distance` all
    distances share the last bucket of their side.
    """

    def __init__(self, num_heads: int, num_buckets: int, max_distance: int) -> None:
        super().__init__()
        self.bias = nn.Embedding(num_buckets, num_heads)
        self.max_distance = max_distance

    def forward(self, num_tokens: int) -> Tensor:
        """(1, H, T, T) biases."""
        positions = torch.arange(num_tokens, device=self.bias.weight.device)
        buckets = self._buckets(positions - positions[:, None])  # (T, T)
        return self.bias(buckets).permute(2, 0, 1).unsqueeze(0)  # (1, H, T, T)

    def _buckets(self, offsets: Tensor) -> Tensor:
        """Bucket of each key position minus query position."""
        half = self.bias.num_embeddings // 2
        exact = half // 2
        distances = offsets.abs()
        growth = math.log(self.max_distance / exact)
        far = torch.log(distances.clamp(min=1) / exact) / growth * (half - exact)
        far = (exact + far.long()).clamp(max=half - 1)
        return half * (offsets > 0) + torch.where(distances < exact, distances, far)


def _angles(positions: Tensor, dim: int, theta: float) -> Tensor:
    """(P, dim/2) angles: position over theta^(2i/dim)."""
    frequencies = 1 / theta ** (torch.arange(0, dim, 2) / dim)
    return positions[:, None] * frequencies
