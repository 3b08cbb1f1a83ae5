"""Llama against the library, with the weights of SmolLM2-135M and with random ones."""

import pytest
import torch
import transformers

from utils.models.cache import ContextLengthError
from utils.models.llama import Llama, LlamaConfig

TEXTS = ["The capital of France is", "Once upon a time, in a small village near the sea, lived"]
SMALL = {
    "vocab_size": 50,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
}


@pytest.fixture
def small():
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL)).eval()


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_logits_of_real_tokens_equal_the_library(smollm2, padding_side):
    batch = smollm2.tokenizer(TEXTS, return_tensors="pt", padding=True, padding_side=padding_side)
    is_token = batch["attention_mask"].bool()
    assert not is_token.all()
    with torch.inference_mode():
        ours = smollm2.ours(**batch)
        theirs = smollm2.reference(**batch).logits
    torch.testing.assert_close(ours[is_token], theirs[is_token], atol=1e-4, rtol=0)


@pytest.mark.parametrize("tie_word_embeddings", [True, False])
def test_random_weights_with_and_without_a_tied_head(small, tie_word_embeddings):
    config = transformers.LlamaConfig(**SMALL, tie_word_embeddings=tie_word_embeddings)
    library = transformers.LlamaForCausalLM(config).eval()
    ours = Llama.from_library(library)
    ids = torch.randint(50, (3, 16))
    torch.testing.assert_close(ours(ids), library(ids).logits, atol=1e-5, rtol=0)
    assert (ours.output.weight is ours.embedding.weight) == tie_word_embeddings
    assert not ours.training


def test_gradients_equal_the_library(small):
    ids = torch.randint(50, (2, 12))
    ours = Llama.from_library(small)
    for logits in (ours(ids), small(ids).logits):
        torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        ).backward()
    theirs = small.model
    pairs = [(ours.embedding.weight, theirs.embed_tokens.weight)]
    for layer, reference in zip(ours.layers, theirs.layers, strict=True):
        pairs += [
            (layer.feed_forward.down.weight, reference.mlp.down_proj.weight),
            (layer.attention_norm.weight, reference.input_layernorm.weight),
            (layer.attention.output.weight, reference.self_attn.o_proj.weight),
        ]
    for parameter, reference in pairs:
        torch.testing.assert_close(parameter.grad, reference.grad, atol=1e-6, rtol=1e-3)


def test_weights_start_as_published():
    torch.manual_seed(0)
    model = Llama(LlamaConfig(vocab_size=1000, num_layers=1))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert parameter.unique().tolist() == [1]
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.02)
            assert parameter.mean().item() == pytest.approx(0, abs=2e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "rope"),
        (
            {"mlp_bias": True},
            r"^This model has no mlp_bias=True: take a checkpoint with .*False\.$",
        ),
        ({"hidden_act": "gelu"}, "^This model has no hidden_act='gelu'"),
    ],
)
def test_options_that_we_do_not_have_are_refused(option, message):
    library = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, **option))
    with pytest.raises(ValueError, match=message):
        Llama.from_library(library)


def test_texts_longer_than_the_model_are_refused(small):
    ours = Llama.from_library(small)
    with pytest.raises(ContextLengthError, match="17 tokens"):
        ours(torch.zeros(1, 17, dtype=torch.long))
    with pytest.raises(ContextLengthError, match=r"^17 tokens exceed the 16 positions"):
        ours.new_cache(torch.ones(1, 10), max_new_tokens=7)


@pytest.mark.parametrize("num_padding", [0, 3])
def test_steps_with_a_cache_equal_the_full_forward_at_every_position(small, num_padding):
    ours = Llama.from_library(small)
    ids = torch.randint(50, (2, 16))
    attention_mask = torch.ones_like(ids)
    attention_mask[0, :num_padding] = 0
    expected = ours(ids, attention_mask)
    cache = ours.new_cache(attention_mask[:, :5], max_new_tokens=11)
    torch.testing.assert_close(ours.step(ids[:, :5], cache), expected[:, 4], atol=1e-5, rtol=0)
    for start, end in [(5, 8), *((i, i + 1) for i in range(8, 16))]:  # several at once, then one
        logits = ours.step(ids[:, start:end], cache)
        torch.testing.assert_close(logits, expected[:, end - 1], atol=1e-5, rtol=0)
    with pytest.raises(ContextLengthError, match=r"^17 tokens do not fit the cache of 16"):
        ours.step(ids[:, :1], cache)
