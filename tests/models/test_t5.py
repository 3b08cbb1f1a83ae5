"""What only T5 has; the rest is tested with the other encoder-decoders."""

import pytest
import torch
import transformers
from library_models import t5

from utils.models.t5 import T5, T5Config


@torch.no_grad()
def test_long_texts_and_layers_of_unequal_number_equal_the_librarys():
    """Far distances share buckets, and there is no longest text."""
    library = t5(num_layers=1, num_decoder_layers=2)
    ids, decoder_ids = torch.randint(60, (1, 90)), torch.randint(60, (1, 70))
    expected = library(ids, decoder_input_ids=decoder_ids).logits
    ours = T5.from_library(library)
    torch.testing.assert_close(ours(ids, decoder_ids), expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_head_of_its_own_is_taken_over():
    library = t5(tie_word_embeddings=False)
    library.lm_head.weight = torch.nn.Parameter(torch.randn(60, 32))
    ids = torch.randint(60, (2, 8))
    expected = library(ids, decoder_input_ids=ids).logits
    torch.testing.assert_close(T5.from_library(library)(ids, ids), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("feed_forward", ["relu", "gated-gelu"])
def test_weights_start_as_in_the_library(feed_forward):
    """Standard deviations of the library's own initialisation, matrix by matrix."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 500, "num_heads": 3}
    config = transformers.T5Config(
        **sizes, d_model=96, d_kv=16, d_ff=200, num_layers=1, feed_forward_proj=feed_forward
    )
    library = T5.from_library(transformers.T5ForConditionalGeneration(config))
    ours = T5(
        T5Config(
            **sizes, hidden_size=96, head_dim=16, intermediate_size=200, num_encoder_layers=1,
            num_decoder_layers=1, feed_forward=feed_forward,
        )
    )  # fmt: skip
    expected = dict(library.named_parameters())
    for name, weight in ours.named_parameters():
        rows = [weight]
        if "query_key_value" in name:
            rows = weight.split(3 * 16)
        theirs = expected[name].split(len(rows[0]))
        for actual, reference in zip(rows, theirs, strict=True):
            std = reference.std().item()
            assert actual.std().item() == pytest.approx(std, rel=0.25, abs=1e-6), name


def test_all_dropouts_work_in_training_only():
    config = T5Config(
        vocab_size=20, hidden_size=16, head_dim=4, num_heads=4, num_encoder_layers=1,
        num_decoder_layers=1, intermediate_size=32,
    )  # fmt: skip
    model, ids = T5(config).eval(), torch.ones(1, 4, dtype=torch.long)
    assert torch.equal(model(ids, ids), model(ids, ids))
    model.train()
    assert not torch.equal(model(ids, ids), model(ids, ids))


def test_an_unknown_feed_forward_layer_is_refused():
    with pytest.raises(ValueError, match="no feed-forward layer 'silu': choose 'relu' or 'gated"):
        T5(T5Config(feed_forward="silu"))
    with pytest.raises(ValueError, match="no feed-forward layer 'gated-silu'"):
        T5.from_library(t5(feed_forward_proj="gated-silu"))
