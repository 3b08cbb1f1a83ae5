"""GPT-2 against the library, with random weights."""

import math

import pytest
import torch
import transformers
from torch.nn import functional as F

from utils.models.gpt2 import GPT2, GPT2Config

SMALL = {"vocab_size": 50, "n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 32}


@pytest.fixture
def library():
    """Random weights that are larger than at the start, also in norms and biases."""
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**SMALL)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def padded(padding_side):
    ids = torch.randint(50, (3, 10))
    mask = torch.ones_like(ids)
    columns = slice(0, 4) if padding_side == "left" else slice(6, 10)
    mask[1, columns] = 0
    return ids, mask


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_logits_of_real_tokens_equal_the_library(library, padding_side):
    ids, mask = padded(padding_side)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    theirs = library(ids, attention_mask=mask, position_ids=positions).logits
    ours = GPT2.from_library(library)(ids, mask)
    is_token = mask.bool()
    torch.testing.assert_close(ours[is_token], theirs[is_token], atol=1e-5, rtol=1e-5)


def test_without_a_mask_nothing_is_padding(library):
    ids, _ = padded("left")
    ours = GPT2.from_library(library)
    torch.testing.assert_close(ours(ids), library(ids).logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(ids), ours(ids, torch.ones_like(ids)), atol=1e-5, rtol=1e-5)


def test_padding_does_not_change_the_logits_of_a_text(library):
    ids, mask = padded("left")
    ours = GPT2.from_library(library)
    alone = ours(ids[1:2, 4:])
    torch.testing.assert_close(ours(ids, mask)[1:2, 4:], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_padding", [0, 3])
def test_steps_with_a_cache_equal_the_full_forward_at_every_position(library, num_padding):
    ours = GPT2.from_library(library)
    ids = torch.randint(50, (2, 12))
    mask = torch.ones_like(ids)
    mask[0, :num_padding] = 0
    expected = ours(ids, mask)
    cache = ours.new_cache(mask[:, :4], max_new_tokens=8)
    logits = [
        ours.step(ids[:, :4], cache),
        *(ours.step(ids[:, i : i + 1], cache) for i in range(4, 12)),
    ]
    torch.testing.assert_close(torch.stack(logits, 1), expected[:, 3:], atol=1e-5, rtol=1e-5)


def test_a_training_step_equals_the_library(library):
    ids = torch.randint(50, (2, 12))
    ours = GPT2.from_library(library)
    for logits in (ours(ids), library(ids).logits):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    layer, reference = ours.layers[0], library.transformer.h[0]
    gradients = [
        (ours.embedding.weight.grad, library.transformer.wte.weight.grad),
        (layer.attention.query_key_value.weight.grad, reference.attn.c_attn.weight.grad.T),
        (layer.attention.query_key_value.bias.grad, reference.attn.c_attn.bias.grad),
        (layer.feed_forward.down.weight.grad, reference.mlp.c_proj.weight.grad.T),
    ]
    for gradient, expected in gradients:
        torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_dropout_is_that_of_the_configuration(library):
    library.config.resid_pdrop = library.config.embd_pdrop = 0.3
    library.config.attn_pdrop = 0.2
    ours = GPT2.from_library(library)
    assert not ours.training
    assert (ours.dropout.p, ours.layers[0].dropout.p) == (0.3, 0.3)
    assert ours.layers[0].attention.dropout == 0.2


def test_weights_start_as_published():
    torch.manual_seed(0)
    model = GPT2(GPT2Config(vocab_size=1000, num_layers=2))
    residual = 0.02 / math.sqrt(4)
    layer = model.layers[1]
    expected = {
        model.embedding: 0.02,
        model.position: 0.02,
        layer.attention.query_key_value: 0.02,
        layer.attention.output: residual,
        layer.feed_forward.up: 0.02,
        layer.feed_forward.down: residual,
    }
    for module, std in expected.items():
        assert module.weight.std().item() == pytest.approx(std, rel=0.02)
    assert not layer.feed_forward.up.bias.any()
    with torch.device("meta"):
        assert sum(p.numel() for p in GPT2(GPT2Config()).parameters()) == 124_439_808


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"activation_function": "relu"}, "^This model has no activation_function='relu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=False"),
        ({"embd_pdrop": 0.5}, "^This model has no embd_pdrop=0.5"),
    ],
)
def test_options_that_we_do_not_have_are_refused(option, message):
    library = transformers.GPT2LMHeadModel(transformers.GPT2Config(**SMALL, **option))
    with pytest.raises(ValueError, match=message):
        GPT2.from_library(library)
