"""What strategies ask of a decoder, on our models and on the library's."""

import pytest
import torch
import transformers
from small_models import NO_END, from_scratch, random_prompts, run

from utils.decoding import LibraryDecoder, Sampling, greedy, speculative_sample

MAKERS = pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])


def outputs(library, ids, mask):
    """States after the last norm and logits, by one pass of the library without a cache."""
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        found = library(ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
    return found.hidden_states[-1], found.logits


@pytest.fixture
def texts():
    """(4, 12) ids and their mask: prompts of five tokens, some padding, and what follows them."""
    prompts = random_prompts()
    following = torch.randint(50, (4, 7), generator=torch.Generator().manual_seed(1))
    ids = torch.cat((prompts["input_ids"], following), dim=1)
    return ids, torch.cat((prompts["attention_mask"], torch.ones_like(following)), dim=1)


@MAKERS
def test_states_and_logits_of_each_token_equal_a_pass_without_a_cache(small, make, texts):
    ids, mask = texts
    states, logits = outputs(small, ids, mask)
    decoder = make(small)
    cache = decoder.new_cache(mask[:, :5], max_new_tokens=7)
    for start, end in [(0, 5), (5, 6), (6, 9), (9, 12)]:
        found = decoder.states(ids[:, start:end], cache)
        is_token = mask[:, start:end].bool()
        expected = states[:, start:end][is_token]
        torch.testing.assert_close(found[is_token], expected, atol=1e-5, rtol=0)
        expected = logits[:, start:end][is_token]
        torch.testing.assert_close(decoder.logits(found)[is_token], expected, atol=1e-5, rtol=0)
        assert cache.length == end


@MAKERS
def test_a_step_gives_the_logits_of_the_last_state(small, make, texts):
    ids, mask = texts
    decoder = make(small)
    caches = [decoder.new_cache(mask, max_new_tokens=1) for _ in range(2)]
    step = decoder.step(ids, caches[0])
    states = decoder.states(ids, caches[1])
    torch.testing.assert_close(step, decoder.logits(states[:, -1]), atol=1e-6, rtol=0)


@MAKERS
def test_a_cropped_cache_continues_as_if_it_had_seen_no_more(small, make, texts):
    ids, mask = texts
    decoder = make(small)
    cache, expected = (decoder.new_cache(mask[:, :5], max_new_tokens=7) for _ in range(2))
    decoder.step(torch.cat((ids[:, :6], torch.zeros_like(ids[:, :4])), dim=1), cache)
    cache.crop(6)
    decoder.step(ids[:, :6], expected)
    assert cache.length == 6
    for start, end in [(6, 8), (8, 9)]:
        step = decoder.step(ids[:, start:end], cache)
        torch.testing.assert_close(step, decoder.step(ids[:, start:end], expected))


@MAKERS
def test_cropping_to_the_present_length_or_to_nothing(small, make, texts):
    ids, mask = texts
    decoder = make(small)
    cache = decoder.new_cache(mask, max_new_tokens=0)
    expected = decoder.step(ids, cache)
    cache.crop(12)
    assert cache.length == 12
    cache.crop(0)
    torch.testing.assert_close(decoder.step(ids, cache), expected)


@MAKERS
@pytest.mark.parametrize("length", [-1, 13])
def test_a_cache_cannot_be_cropped_to_what_it_does_not_hold(small, make, texts, length):
    ids, mask = texts
    decoder = make(small)
    cache = decoder.new_cache(mask, max_new_tokens=4)
    decoder.step(ids, cache)
    message = rf"^A cache of 12 tokens cannot be cropped to {length}: keep 0 to 12\.$"
    with pytest.raises(ValueError, match=message):
        cache.crop(length)


@MAKERS
def test_caches_know_which_places_are_tokens(small, make):
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    cache = make(small).new_cache(mask, max_new_tokens=2)
    assert cache.is_token.tolist() == [[False, *4 * [True]], 5 * [True]]
    cache.reorder(torch.tensor([1, 0, 0]))
    assert cache.is_token[:, 0].tolist() == [True, False, False]


def test_a_model_that_changes_its_logits_after_the_head_takes_single_steps_only():
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=6, final_logit_softcapping=2.0,
        initializer_range=0.5, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    library = transformers.Gemma2ForCausalLM(config).eval()
    prompts = random_prompts()
    found = run(greedy, LibraryDecoder(library), prompts, max_new_tokens=6).ids
    expected = library.generate(**prompts, max_new_tokens=6, do_sample=False, **NO_END)
    assert torch.equal(found, expected)
    message = r"^This model changes its logits after the head \(final_logit_softcapping\): use a"
    with pytest.raises(ValueError, match=message):
        LibraryDecoder(library).logits(torch.zeros(1, 24))


@MAKERS
@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        ([[1, 1, 1, 0, 0]], r"^Each prompt must end with a token: pad on the left"),
        ([[0, 0, 0, 0, 0]], r"^Each prompt must end with a token: pad on the left"),
        ([[1, 0, 1, 1, 1]], r"^A prompt has padding between its tokens: pad on the left only\.$"),
    ],
)
def test_prompts_padded_elsewhere_get_one_sentence(small, make, mask, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(small).new_cache(torch.tensor(mask), max_new_tokens=1)


def test_a_sliding_window_writes_as_the_library_does():
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=6, initializer_range=0.3,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = transformers.MistralForCausalLM(config).eval()
    prompts = random_prompts()
    expected = model.generate(**prompts, max_new_tokens=20, do_sample=False, **NO_END)
    found = run(greedy, LibraryDecoder(model), prompts, max_new_tokens=20)
    assert torch.equal(found.ids, expected)
    for row in (0, 1, 3):
        ids, decoder = prompts["input_ids"][row : row + 1], LibraryDecoder(model)
        cache = decoder.new_cache(torch.ones_like(ids), 20)
        options = {"sampling": Sampling(top_k=1), "max_new_tokens": 20}
        assert torch.equal(
            speculative_sample(decoder, ids, cache, **options).ids, expected[row, None]
        )


def test_a_model_without_positions_has_no_limit():
    torch.manual_seed(0)
    config = transformers.BloomConfig(
        vocab_size=50, hidden_size=24, n_layer=2, n_head=4, bos_token_id=None, eos_token_id=None
    )
    model = transformers.BloomForCausalLM(config).eval()
    prompt = {name: ids[:1] for name, ids in random_prompts().items()}
    expected = model.generate(**prompt, max_new_tokens=20, do_sample=False, **NO_END)
    assert torch.equal(run(greedy, LibraryDecoder(model), prompt, max_new_tokens=20).ids, expected)
