"""Positions against their formulas and against the library's."""

import math

import pytest
import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb
from transformers.models.t5.modeling_t5 import T5Attention

from utils.models.positions import (
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
    rotate,
    sinusoidal_positions,
)


def test_sinusoids_follow_the_formula():
    table = sinusoidal_positions(50, 8)
    for position in (0, 1, 7, 49):
        for column in range(8):
            angle = position / 10_000 ** (column // 2 * 2 / 8)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert table[position, column].item() == pytest.approx(expected, abs=1e-5)


def test_products_of_sinusoids_depend_on_the_distance_only():
    table = sinusoidal_positions(120, 32)
    products = table @ table.T
    for distance in (0, 1, 5, 40):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[0].expand_as(diagonal), atol=1e-4, rtol=0)
    assert products[0, 0] - products[0, 5] > 1


def test_sinusoids_take_the_place_of_a_learned_embedding():
    positions = torch.tensor([3, 4, 5])
    module = SinusoidalPositions(10, 6)
    torch.testing.assert_close(module(positions), sinusoidal_positions(10, 6)[3:6])
    assert not list(module.parameters())
    assert not module.state_dict()


@pytest.mark.parametrize("theta", [10_000.0, 500.0])
def test_rotations_equal_llamas(theta):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=64, num_attention_heads=4, max_position_embeddings=80,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )  # fmt: skip
    query, key = torch.randn(2, 4, 5, 16), torch.randn(2, 4, 5, 16)
    positions = torch.randint(80, (2, 5))
    cos, sin = LlamaRotaryEmbedding(config)(query, positions)
    rotation = RotaryPositions(16, 80, theta)(positions)
    expected = apply_rotary_pos_emb(query, key, cos, sin)
    torch.testing.assert_close(rotate(query, rotation), expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(rotate(key, rotation), expected[1], atol=1e-5, rtol=0)


def test_scores_of_rotated_features_depend_on_the_distance_only():
    torch.manual_seed(0)
    query, key = (torch.nn.functional.normalize(torch.randn(16), dim=0) for _ in range(2))
    rotation = RotaryPositions(16, 60)(torch.arange(60)[None])
    queries, keys = (rotate(x.expand(1, 1, 60, 16), rotation)[0, 0] for x in (query, key))
    scores = queries @ keys.T  # (60, 60)
    for distance in (-20, -1, 0, 3, 30):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[0].expand_as(diagonal), atol=1e-5, rtol=0)
    assert (scores[0] - scores[0, 0]).abs().max() > 0.1


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20)])
def test_buckets_equal_t5s(num_buckets, max_distance):
    """Seen through biases that are the numbers of their buckets."""
    bias = RelativeBias(1, num_buckets, max_distance)
    with torch.no_grad():
        bias.bias.weight[:, 0] = torch.arange(num_buckets)
    offsets = torch.arange(300)[None, :] - torch.arange(300)[:, None]
    expected = T5Attention._relative_position_bucket(offsets, True, num_buckets, max_distance)
    assert torch.equal(bias(300)[0, 0].long(), expected)
