"""The common layer against PyTorch's."""

from functools import partial

import pytest
import torch
import transformers
from torch import nn
from transformers.models.llama.modeling_llama import LlamaMLP

from utils.models.attention import CrossAttention, SelfAttention
from utils.models.layers import FeedForward, GatedFeedForward, TransformerLayer, init_normal
from utils.models.masks import causal_mask, padding_mask

D, H, INNER = 24, 4, 40


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def states():
    return torch.randn(2, 7, D)


def layer(*, norm_first=False, cross_attention=False, dropout=0.0):
    return TransformerLayer(
        SelfAttention(D, H),
        FeedForward(D, INNER),
        partial(nn.LayerNorm, D),
        norm_first=norm_first,
        dropout=dropout,
        cross_attention=CrossAttention(D, H) if cross_attention else None,
    ).eval()


def stir_norms(module):
    """Weights unlike 1 and biases unlike 0, so that the place of a norm matters."""
    for name, weight in module.named_parameters():
        if "norm" in name:
            nn.init.normal_(weight, mean=float(name.endswith("weight")), std=0.5)


def copy_sublayers(ours, torchs, norms):
    """From one of our layers to one of PyTorch's, whose norms are numbered."""
    pairs = [
        (ours.attention.output, torchs.self_attn.out_proj),
        (ours.feed_forward.up, torchs.linear1),
        (ours.feed_forward.down, torchs.linear2),
        *((getattr(ours, f"{name}_norm"), norm) for name, norm in norms.items()),
    ]
    for source, target in pairs:
        target.load_state_dict(source.state_dict())
    projection = ours.attention.query_key_value
    torchs.self_attn.in_proj_weight.data = projection.weight.data
    torchs.self_attn.in_proj_bias.data = projection.bias.data


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_encoder_layer_equals_pytorchs(states, norm_first):
    ours = layer(norm_first=norm_first)
    stir_norms(ours)
    torchs = nn.TransformerEncoderLayer(
        D, H, INNER, activation="gelu", batch_first=True, norm_first=norm_first
    ).eval()
    copy_sublayers(ours, torchs, {"attention": torchs.norm1, "feed_forward": torchs.norm2})
    is_padding = torch.zeros(2, 7, dtype=torch.bool)
    is_padding[1, 5:] = True
    expected = torchs(states, src_key_padding_mask=is_padding)
    actual = ours(states, padding_mask(~is_padding))
    torch.testing.assert_close(actual[~is_padding], expected[~is_padding], atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_decoder_layer_equals_pytorchs(states, norm_first):
    ours, memory = layer(norm_first=norm_first, cross_attention=True), torch.randn(2, 5, D)
    stir_norms(ours)
    torchs = nn.TransformerDecoderLayer(
        D, H, INNER, activation="gelu", batch_first=True, norm_first=norm_first
    ).eval()
    norms = {"attention": torchs.norm1, "cross_attention": torchs.norm2}
    copy_sublayers(ours, torchs, norms | {"feed_forward": torchs.norm3})
    cross, theirs = ours.cross_attention, torchs.multihead_attn
    theirs.in_proj_weight.data = torch.cat((cross.query.weight, cross.key_value.weight)).detach()
    theirs.in_proj_bias.data = torch.cat((cross.query.bias, cross.key_value.bias)).detach()
    theirs.out_proj.load_state_dict(cross.output.state_dict())
    expected = torchs(states, memory, tgt_mask=~causal_mask(7))
    keys_values = cross.project_memory(memory)
    actual = ours(states, is_causal=True, memory=keys_values)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_the_gated_feed_forward_layer_equals_llamas(states):
    config = transformers.LlamaConfig(hidden_size=D, intermediate_size=INNER, num_attention_heads=4)
    theirs, ours = LlamaMLP(config), GatedFeedForward(D, INNER)
    weights = theirs.state_dict()
    ours.load_state_dict({name.replace("_proj", ""): weight for name, weight in weights.items()})
    torch.testing.assert_close(ours(states), theirs(states), atol=1e-5, rtol=0)


def test_dropout_scales_what_a_sublayer_adds_in_training_only(states):
    module = layer(norm_first=True, dropout=0.5)
    nn.init.zeros_(module.feed_forward.down.weight)
    nn.init.zeros_(module.feed_forward.down.bias)
    added = module(states) - states
    dropped = module.train()(states) - states
    is_zero = dropped.abs() < 1e-6
    assert 0.3 < is_zero.float().mean() < 0.7
    torch.testing.assert_close(dropped[~is_zero], 2 * added[~is_zero], atol=1e-5, rtol=0)


def test_normal_weights_and_no_biases_at_the_start():
    module = nn.Sequential(nn.Embedding(500, 40), nn.Linear(40, 500), nn.LayerNorm(500))
    init_normal(module, std=0.1)
    assert module[0].weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert module[1].weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert not module[1].bias.any()
    assert (module[2].weight == 1).all()
