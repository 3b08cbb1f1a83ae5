"""The original transformer against PyTorch's, and BART's choices against the library's."""

import math

import pytest
import torch
import transformers
from library_models import bart
from torch import nn

from utils.models.cache import ContextLengthError
from utils.models.masks import causal_mask
from utils.models.transformer import Transformer, TransformerConfig

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_encoder_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "intermediate_size": 48,
    "max_positions": 16,
}


def make(**options):
    torch.manual_seed(0)
    return Transformer(TransformerConfig(**SIZES | options)).eval()


@pytest.fixture
def inputs():
    """(ids, decoder ids, mask): a source of the three is shorter."""
    torch.manual_seed(1)
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[1, 6:] = 0
    return torch.randint(50, (3, 9)), torch.randint(50, (3, 7)), mask


def pytorchs(ours):
    """Encoder and decoder with our weights; without last norms if post-LN, as published."""
    config = ours.config
    layer = (config.hidden_size, config.num_heads, config.intermediate_size, 0.0, config.activation)
    options = {"batch_first": True, "norm_first": config.norm_first}
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(*layer, **options),
        config.num_encoder_layers,
        norm=ours.encoder_norm,
        enable_nested_tensor=False,
    )
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(*layer, **options),
        config.num_decoder_layers,
        norm=ours.decoder_norm,
    )
    for target, source in zip(encoder.layers, ours.encoder_layers, strict=True):
        norms = {"norm1": source.attention_norm, "norm2": source.feed_forward_norm}
        copy_layer(target, source, norms)
    for target, source in zip(decoder.layers, ours.decoder_layers, strict=True):
        norms = {"norm1": source.attention_norm, "norm2": source.cross_attention_norm}
        copy_layer(target, source, norms | {"norm3": source.feed_forward_norm})
        cross = source.cross_attention
        copy_attention(target.multihead_attn, [cross.query, cross.key_value], cross.output)
    return encoder.eval(), decoder.eval()


def copy_layer(target, source, norms):
    for name, norm in norms.items():
        getattr(target, name).load_state_dict(norm.state_dict())
    target.linear1.load_state_dict(source.feed_forward.up.state_dict())
    target.linear2.load_state_dict(source.feed_forward.down.state_dict())
    attention = source.attention
    copy_attention(target.self_attn, [attention.query_key_value], attention.output)


def copy_attention(target, projections, output):
    target.in_proj_weight.data = torch.cat([linear.weight.data for linear in projections])
    target.in_proj_bias.data = torch.cat([linear.bias.data for linear in projections])
    target.out_proj.load_state_dict(output.state_dict())


def embed(ours, ids):
    """Scaled embeddings and sinusoids, by the formulas of sections 3.4 and 3.5."""
    width = ours.config.hidden_size
    table = torch.zeros(ids.shape[1], width)
    for position in range(ids.shape[1]):
        for pair in range(width // 2):
            angle = position / 10_000 ** (2 * pair / width)
            table[position, 2 * pair] = math.sin(angle)
            table[position, 2 * pair + 1] = math.cos(angle)
    return ours.embedding.weight[ids] * math.sqrt(width) + table


@torch.no_grad()
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_logits_equal_pytorchs(inputs, norm_first, activation):
    ours = make(norm_first=norm_first, activation=activation)
    for name, weight in ours.named_parameters():
        if weight.ndim == 1:
            weight.normal_(float(name.endswith("norm.weight")), 0.3)
    ids, decoder_ids, mask = inputs
    encoder, decoder = pytorchs(ours)
    is_padding = ~mask.bool()
    memory = encoder(embed(ours, ids), src_key_padding_mask=is_padding)
    states = decoder(
        embed(ours, decoder_ids),
        memory,
        tgt_mask=~causal_mask(7),
        memory_key_padding_mask=is_padding,
    )
    expected = states @ ours.embedding.weight.T + ours.output.bias
    torch.testing.assert_close(ours(ids, decoder_ids, mask), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("scale_embedding", [False, True])
def test_the_body_of_a_library_bart_is_enough(inputs, scale_embedding):
    body = bart(transformers.BartModel, scale_embedding=scale_embedding)
    ids, decoder_ids, mask = inputs
    states = body(ids, attention_mask=mask, decoder_input_ids=decoder_ids).last_hidden_state
    logits = Transformer.from_library(body)(ids, decoder_ids, mask)
    torch.testing.assert_close(logits, states @ body.shared.weight.T, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_positions_count_in_steps_too(inputs, positions):
    ours = make(positions=positions, init_std=0.3)
    ids, decoder_ids, mask = inputs
    cache = ours.new_cache(ids, mask, max_new_tokens=6)
    steps = [ours.step(decoder_ids[:, i : i + 1], cache) for i in range(7)]
    expected = ours(ids, decoder_ids, mask)
    torch.testing.assert_close(torch.stack(steps, dim=1), expected, atol=1e-5, rtol=0)


def test_source_target_and_output_share_one_matrix():
    ours = make()
    names = [name for name, weight in ours.named_parameters() if 50 in weight.shape]
    assert names == ["embedding.weight", "output.bias"]
    assert ours.output.weight is ours.embedding.weight


def test_xavier_weights_and_embeddings_of_variance_1_over_d_at_the_start():
    ours = make(hidden_size=128, intermediate_size=512, vocab_size=1000)
    reference = nn.MultiheadAttention(128, 4)
    layer = ours.decoder_layers[0]
    limits = {
        layer.attention.query_key_value: reference.in_proj_weight.abs().max().item(),
        layer.feed_forward.up: math.sqrt(6 / (128 + 512)),
        layer.cross_attention.output: math.sqrt(6 / (128 + 128)),
    }
    for linear, limit in limits.items():
        assert linear.weight.abs().max().item() == pytest.approx(limit, rel=0.01)
        assert not linear.bias.any()
    assert ours.embedding.weight.std().item() == pytest.approx(128**-0.5, rel=0.05)


def test_normal_weights_at_the_start_as_in_bart():
    ours = make(positions="learned", init_std=0.02, hidden_size=128, vocab_size=1000)
    weights = [weight for weight in ours.parameters() if weight.ndim > 1]
    for weight in weights:
        assert weight.std().item() == pytest.approx(0.02, rel=0.06)


def test_dropout_works_in_training_only(inputs):
    ours = make(dropout=0.5)
    assert torch.equal(ours(*inputs), ours(*inputs))
    ours.train()
    assert not torch.equal(ours(*inputs), ours(*inputs))


@pytest.mark.parametrize(
    "options",
    [
        {"activation_function": "relu"},
        {"decoder_attention_heads": 2},
        {"decoder_ffn_dim": 32},
        {"tie_word_embeddings": False},
    ],
)
def test_library_options_that_are_not_built_are_refused(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        Transformer.from_library(bart(**options))


def test_too_long_texts_get_one_sentence(inputs):
    ours, long = make(), torch.ones(3, 17, dtype=torch.long)
    ids, decoder_ids, _ = inputs
    for source, target in ((long, decoder_ids), (ids, long)):
        with pytest.raises(ContextLengthError, match=r"^17 tokens exceed the 16 positions"):
            ours(source, target)
    with pytest.raises(ContextLengthError, match=r"^17 tokens exceed the 16 positions"):
        ours.new_cache(ids, None, max_new_tokens=16)
    assert ours.new_cache(ids, None, max_new_tokens=15).capacity == 16
