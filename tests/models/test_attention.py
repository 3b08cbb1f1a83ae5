"""Attention against PyTorch's own and against the formula."""

import math

import pytest
import torch
from torch.nn import functional as F

from utils.models.attention import CrossAttention, SelfAttention, attend, attention_weights
from utils.models.masks import causal_mask, padded_causal_mask, padding_mask

IS_TOKEN = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]])
MASKS = {
    "none": None,
    "causal": causal_mask(6),
    "padding": padding_mask(IS_TOKEN),
    "causal and padding": padded_causal_mask(IS_TOKEN, 6),
    "added": torch.linspace(-3, 3, 4 * 36).view(1, 4, 6, 6),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def by_the_formula(query, key, value, mask):
    """Weights and output, head by head and row by row of the batch, in double precision."""
    added = torch.zeros(3, 4, 6, 6, dtype=torch.double)
    if mask is not None and mask.dtype == torch.bool:
        added = added.masked_fill(~mask, -math.inf)
    elif mask is not None:
        added = added + mask
    weights = torch.empty_like(added)
    for row in range(3):
        for head in range(4):
            scores = query[row, head].double() @ key[row, head].double().T / math.sqrt(8)
            exponentials = (scores + added[row, head]).exp()
            weights[row, head] = exponentials / exponentials.sum(dim=1, keepdim=True)
    return weights.float(), (weights @ value.double()).float()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_attention_equals_the_formula(mask):
    query, key, value = torch.randn(3, 3, 4, 6, 8)
    weights, output = by_the_formula(query, key, value, mask)
    close(attend(query, key, value, mask), output)
    close(attention_weights(query, key, mask), weights)


def test_causal_attention_needs_no_mask():
    query, key, value = torch.randn(3, 3, 4, 6, 8)
    expected = attend(query, key, value, causal_mask(6))
    close(attend(query, key, value, is_causal=True), expected)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("num_queries", [1, 6])
def test_shared_key_value_heads_equal_repeated_ones(mask, num_queries):
    query, key, value = torch.randn(3, 4, 6, 8), torch.randn(3, 2, 6, 8), torch.randn(3, 2, 6, 8)
    query = query[:, :, -num_queries:]
    if mask is not None and mask.shape[-2] > 1:
        mask = mask[..., -num_queries:, :]
    repeated = [x[:, [0, 0, 1, 1]] for x in (key, value)]
    close(attend(query, key, value, mask), F.scaled_dot_product_attention(query, *repeated, mask))
    weights = attention_weights(query, key, mask)
    close(weights, attention_weights(query, repeated[0], mask))


def test_weights_sum_to_one_and_are_zero_above_the_diagonal():
    query, key = torch.randn(2, 3, 4, 6, 8)
    weights = attention_weights(query, key, causal_mask(6))
    close(weights.sum(dim=-1), torch.ones(3, 4, 6))
    assert torch.equal(weights, weights.tril())
    assert (weights.tril() > 0).sum() == 3 * 4 * 21


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", ["none", "causal", "padding"])
def test_self_attention_equals_pytorchs_layer(bias, mask):
    ours = SelfAttention(32, 4, bias=bias)
    theirs = torch.nn.MultiheadAttention(32, 4, bias=bias, batch_first=True)
    copy_to_pytorch(ours.query_key_value, ours.output, theirs)
    states = torch.randn(3, 6, 32)
    options = {"attn_mask": ~MASKS["causal"]} if mask == "causal" else {}
    if mask == "padding":
        options = {"key_padding_mask": IS_TOKEN == 0}
    expected, weights = theirs(states, states, states, average_attn_weights=False, **options)
    close(ours(states, MASKS[mask]), expected)
    query, key, _ = ours.project(states)
    close(attention_weights(query, key, MASKS[mask]), weights)


def test_cross_attention_equals_pytorchs_layer():
    ours = CrossAttention(32, 4)
    theirs = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    projections = torch.nn.Linear(32, 96)
    projections.weight.data = torch.cat((ours.query.weight, ours.key_value.weight))
    projections.bias.data = torch.cat((ours.query.bias, ours.key_value.bias))
    copy_to_pytorch(projections, ours.output, theirs)
    states, memory = torch.randn(3, 5, 32), torch.randn(3, 6, 32)
    expected, weights = theirs(
        states, memory, memory, key_padding_mask=IS_TOKEN == 0, average_attn_weights=False
    )
    memory = ours.project_memory(memory)
    close(ours(states, memory, MASKS["padding"]), expected)
    close(ours.weights(states, memory, MASKS["padding"]), weights)


def copy_to_pytorch(projections, output, theirs):
    theirs.in_proj_weight.data = projections.weight.data
    theirs.out_proj.weight.data = output.weight.data
    if projections.bias is not None:
        theirs.in_proj_bias.data = projections.bias.data
        theirs.out_proj.bias.data = output.bias.data


def test_dropout_acts_in_training_only():
    attention = SelfAttention(32, 4, dropout=0.5)
    states = torch.randn(3, 6, 32)
    assert not torch.equal(attention(states), attention(states))
    attention.eval()
    assert torch.equal(attention(states), attention(states))


def test_number_of_parameters_does_not_depend_on_the_number_of_heads():
    counts = {
        sum(p.numel() for p in layer(96, num_heads).parameters())
        for layer in (SelfAttention, CrossAttention)
        for num_heads in (1, 2, 6, 12)
    }
    assert counts == {4 * 96 * 96 + 4 * 96}


def test_fewer_key_value_heads_save_parameters():
    attention = SelfAttention(96, 6, num_kv_heads=2, bias=False)
    assert sum(p.numel() for p in attention.parameters()) == 2 * 96 * 96 + 2 * 96 * 32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 10, "num_heads": 3}, "^hidden_size 10 cannot be split among 3 heads: "),
        (
            {"hidden_size": 12, "num_heads": 4, "num_kv_heads": 3},
            "^4 query heads cannot share 3 key-value heads evenly: num_kv_heads must divide",
        ),
    ],
)
def test_sizes_that_do_not_divide_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(**options)
