"""What all encoder-decoders promise, on library weights: logits, steps, memory, bad input."""

import pytest
import torch
import transformers
from library_models import bart

from utils.decoding import greedy
from utils.models.cache import ContextLengthError
from utils.models.transformer import Transformer

NEW = 14
START = 2


@pytest.fixture
def pair():
    """A library BART and ours with its weights."""
    library = bart()
    return library, Transformer.from_library(library)


@pytest.fixture
def inputs():
    """Sources padded on the right, on the left, and not at all."""
    torch.manual_seed(1)
    mask = torch.ones(3, 9, dtype=torch.long)
    mask[0, 5:] = 0
    mask[1, :3] = 0
    return {
        "input_ids": torch.randint(3, 60, (3, 9)),
        "attention_mask": mask,
        "decoder_input_ids": torch.randint(3, 60, (3, 12)),
    }


def start_tokens(batch_size):
    return torch.full((batch_size, 1), START)


@torch.no_grad()
def test_logits_equal_the_librarys(pair, inputs):
    library, ours = pair
    expected = library(**inputs).logits
    assert expected.std() > 0.3
    torch.testing.assert_close(ours(**inputs), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_padded_targets_equal_the_librarys(pair, inputs, side):
    library, ours = pair
    is_token = torch.ones(3, 12, dtype=torch.long)
    is_token[1, slice(0, 4) if side == "left" else slice(8, 12)] = 0
    inputs["decoder_attention_mask"] = is_token
    expected = library(**inputs).logits[is_token.bool()]
    torch.testing.assert_close(ours(**inputs)[is_token.bool()], expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_encoder_states_equal_the_librarys(pair, inputs):
    library, ours = pair
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    expected = library.get_encoder()(ids, attention_mask=mask).last_hidden_state[mask.bool()]
    torch.testing.assert_close(ours.encode(ids, mask)[mask.bool()], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_cross_attentions_equal_the_librarys(pair, inputs):
    library, ours = pair
    library.set_attn_implementation("eager")
    expected = library(**inputs, output_attentions=True).cross_attentions
    weights = ours.cross_attentions(**inputs)
    assert len(weights) == len(expected)
    for actual, layer in zip(weights, expected, strict=True):
        assert actual.shape == (3, 4, 12, 9)
        torch.testing.assert_close(actual, layer, atol=1e-5, rtol=0)
        assert (actual[0, :, :, 5:] == 0).all()


@torch.no_grad()
def test_padding_of_the_source_changes_nothing(pair, inputs):
    _, ours = pair
    states = ours.encode(inputs["input_ids"], inputs["attention_mask"])
    alone = ours.encode(inputs["input_ids"][:1, :5])
    torch.testing.assert_close(states[:1, :5], alone, atol=1e-5, rtol=0)
    alone = ours(inputs["input_ids"][:1, :5], inputs["decoder_input_ids"][:1])
    torch.testing.assert_close(ours(**inputs)[:1], alone, atol=1e-4, rtol=0)


@torch.no_grad()
def test_later_tokens_of_the_target_change_nothing_before_them(pair, inputs):
    _, ours = pair
    before = ours(**inputs)
    inputs["decoder_input_ids"][:, 7:] = 5
    after = ours(**inputs)
    torch.testing.assert_close(before[:, :7], after[:, :7], atol=1e-4, rtol=0)
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("sizes", [[1] * 12, [5, 1, 6]])
def test_steps_of_any_size_give_the_logits_of_the_whole(pair, inputs, sizes):
    _, ours = pair
    expected = ours(**inputs)
    cache = ours.new_cache(inputs["input_ids"], inputs["attention_mask"], max_new_tokens=11)
    end = 0
    for ids in inputs["decoder_input_ids"].split(sizes, dim=1):
        end += ids.shape[1]
        logits = ours.step(ids, cache)
        torch.testing.assert_close(logits, expected[:, end - 1], atol=1e-4, rtol=0)
    assert cache.length == 12


def test_greedy_ids_equal_generate_and_stop_at_the_end_token(pair, inputs):
    """Every token that occurs is the end token once."""
    library, ours = pair
    source = {name: inputs[name] for name in ("input_ids", "attention_mask")}

    def both(eos_id):
        expected = library.generate(
            **source, max_new_tokens=NEW, num_beams=1, do_sample=False, pad_token_id=1,
            decoder_start_token_id=START, eos_token_id=eos_id, forced_eos_token_id=None,
        )  # fmt: skip
        cache = ours.new_cache(**source, max_new_tokens=NEW)
        options = {"max_new_tokens": NEW, "eos_id": eos_id, "pad_id": 1}
        return greedy(ours.step, start_tokens(3), cache, **options).ids, expected

    ids, expected = both(None)
    assert torch.equal(ids, expected)
    assert len(ids[:, 1:].unique()) > 5
    assert len({tuple(row) for row in ids.tolist()}) == 3
    for eos_id in ids[:, 1:].unique().tolist():
        assert torch.equal(*both(eos_id))


def test_the_source_is_projected_once(pair, inputs):
    _, ours = pair
    calls = []
    for layer in ours.decoder_layers:
        layer.cross_attention.key_value.register_forward_hook(lambda *_: calls.append(1))
    cache = ours.new_cache(inputs["input_ids"], None, max_new_tokens=NEW)
    greedy(ours.step, start_tokens(3), cache, max_new_tokens=NEW)
    assert len(calls) == len(ours.decoder_layers)


@torch.no_grad()
def test_a_reordered_cache_continues_the_chosen_rows(pair, inputs):
    _, ours = pair
    rows = torch.tensor([2, 0, 0, 1])
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    cache = ours.new_cache(ids, mask, max_new_tokens=5)
    ours.step(inputs["decoder_input_ids"][:, :3], cache)
    cache.reorder(rows)
    new = torch.tensor([[7], [8], [9], [10]])
    target = torch.cat((inputs["decoder_input_ids"][rows, :3], new), dim=1)
    expected = ours(ids[rows], target, mask[rows])[:, -1]
    torch.testing.assert_close(ours.step(new, cache), expected, atol=1e-4, rtol=0)


def test_training_reaches_every_weight(pair, inputs):
    _, ours = pair
    logits = ours.train()(**inputs)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(60, (36,))).backward()
    without = [name for name, weight in ours.named_parameters() if not weight.grad.abs().sum() > 0]
    assert not without


def test_more_than_the_cache_can_hold_gets_one_sentence(pair, inputs):
    _, ours = pair
    cache = ours.new_cache(inputs["input_ids"], None, max_new_tokens=3)
    with pytest.raises(ContextLengthError, match=r"^5 tokens do not fit the cache of 4"):
        greedy(ours.step, start_tokens(3), cache, max_new_tokens=5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_mask": torch.ones(3, 8)}, r"\(3, 8\), but input_ids have \(3, 9\)"),
        ({"decoder_attention_mask": torch.ones(3, 9)}, r"\(3, 9\), but input_ids have \(3, 12\)"),
        ({"input_ids": torch.full((3, 9), 60)}, "from 0 to 59, but these run from 60"),
        ({"decoder_input_ids": torch.ones(3, 0).long()}, r"both above 0, not \(3, 0\)"),
    ],
)
def test_bad_input_gets_one_sentence(pair, inputs, changes, message):
    _, ours = pair
    with pytest.raises(ValueError, match=message):
        ours(**inputs | changes)


def test_bad_sources_are_refused_before_decoding(pair):
    _, ours = pair
    with pytest.raises(ValueError, match="from 0 to 59, but these run from -1"):
        ours.new_cache(torch.tensor([[-1, 5]]), None, max_new_tokens=3)


def test_other_library_models_are_refused():
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 8, "vocab_size": 20}
    config = transformers.MarianConfig(
        **sizes, encoder_attention_heads=1, decoder_attention_heads=1, pad_token_id=0,
        decoder_start_token_id=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="model_type='marian'"):
        Transformer.from_library(transformers.MarianModel(config))
