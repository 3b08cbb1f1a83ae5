"""Sampling against the library's `generate`, and against the probabilities it should follow."""

import pytest
import scipy.stats
import torch
from small_models import (
    ARTICLE,
    NO_END,
    PAD,
    from_scratch,
    random_prompts,
    run,
    shapes_read,
    total_log_prob,
)

from utils.decoding import LibraryDecoder, Sampling, ToyLM, greedy, sample

NUM_DRAWS = 20_000


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def draw_words(steps, sampling=None, seed=0):
    toy = ToyLM(ARTICLE)
    prompt = {"input_ids": toy.encode(), "attention_mask": torch.ones_like(toy.encode())}
    options = {"max_new_tokens": steps, "num_samples": NUM_DRAWS, "generator": seeded(seed)}
    drawn = run(sample, toy, prompt, sampling or Sampling(), **options)
    return [toy.decode(ids) for ids in drawn.new_ids]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.6, "top_k": 20},
        {"temperature": 1.5, "top_p": 0.9},
        {"top_k": 30, "top_p": 0.8, "min_p": 0.02},
        {"typical_p": 0.7},
    ],
)
@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_the_same_random_numbers_give_the_same_tokens_as_generate(small, make, settings):
    """For three samples of each of four prompts, one of them padded."""
    prompts = random_prompts()
    torch.manual_seed(5)
    expected = small.generate(
        **prompts, do_sample=True, max_new_tokens=12, num_return_sequences=3,
        **{"top_k": 0} | settings | NO_END,
    )  # fmt: skip
    options = {"max_new_tokens": 12, "num_samples": 3, "generator": seeded(5)}
    ours = run(sample, make(small), prompts, Sampling(**settings), **options)
    assert torch.equal(ours.ids, expected)
    assert len(ours.ids.unique(dim=0)) == 12


def test_texts_end_and_are_padded_as_in_generate(small):
    prompts = random_prompts()
    lengths = set()
    for eos_id in range(0, 48, 4):
        torch.manual_seed(eos_id)
        expected = small.generate(
            **prompts, do_sample=True, top_k=0, max_new_tokens=12, num_return_sequences=5,
            eos_token_id=eos_id, pad_token_id=PAD, no_repeat_ngram_size=2,
        )  # fmt: skip
        options = {"max_new_tokens": 12, "num_samples": 5, "no_repeat_ngram_size": 2}
        options |= {"eos_id": eos_id, "pad_id": PAD, "generator": seeded(eos_id)}
        ours = run(sample, from_scratch(small), prompts, **options)
        assert torch.equal(ours.ids, expected)
        lengths |= set(ours.num_new.tolist())
    assert len(lengths) > 6


def test_frequencies_follow_the_softmax(small):
    decoder = from_scratch(small)
    prompt = {name: ids[:1] for name, ids in random_prompts().items()}
    cache = decoder.new_cache(prompt["attention_mask"], 1)
    probs = (decoder.step(prompt["input_ids"], cache)[0] / 0.8).softmax(dim=-1)
    options = {"max_new_tokens": 1, "num_samples": NUM_DRAWS, "generator": seeded(0)}
    drawn = run(sample, decoder, prompt, Sampling(temperature=0.8), **options)
    observed = drawn.ids[:, -1].bincount(minlength=len(probs))
    expected = NUM_DRAWS * probs.double() / probs.double().sum()
    assert expected.min() > 5  # or the statistic would not be chi-square
    assert scipy.stats.chisquare(observed, expected).pvalue > 0.01


def test_whole_texts_are_as_frequent_as_probable():
    words = draw_words(2)
    for continuation, prob in ToyLM(ARTICLE).exhaustive(2):
        assert words.count(continuation) / NUM_DRAWS == pytest.approx(prob, abs=0.01)


def test_low_temperature_makes_the_rare_rarer():
    """The shares are p ** (1 / T), renormalised: car falls from 0.1 to 0.003."""
    words = draw_words(1, Sampling(temperature=0.3))
    powers = {word: prob ** (1 / 0.3) for word, prob in ARTICLE[("The",)].items()}
    for word, power in powers.items():
        share = power / sum(powers.values())
        assert words.count((word,)) / NUM_DRAWS == pytest.approx(share, abs=0.01)
    assert words.count(("car",)) < 0.01 * NUM_DRAWS


def test_near_temperature_0_it_is_greedy(small):
    decoder, prompts = from_scratch(small), random_prompts()
    cold = run(sample, decoder, prompts, Sampling(temperature=1e-4), max_new_tokens=20)
    expected = run(greedy, decoder, prompts, max_new_tokens=20)
    assert torch.equal(cold.ids, expected.ids)
    torch.testing.assert_close(cold.log_probs, expected.log_probs)


def test_log_probs_are_those_of_the_model_however_it_is_drawn(small):
    ids = torch.tensor([[3, 1, 4]])
    prompt = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    options = {"max_new_tokens": 9, "num_samples": 4, "generator": seeded(1)}
    drawn = run(sample, from_scratch(small), prompt, Sampling(temperature=3, top_k=9), **options)
    expected = total_log_prob(small, drawn.ids, 3)
    torch.testing.assert_close(drawn.log_probs.sum(dim=1), expected)


def test_the_global_generator_is_the_default(small):
    decoder, prompts = from_scratch(small), random_prompts()
    options = {"max_new_tokens": 9}
    torch.manual_seed(7)
    drawn = run(sample, decoder, prompts, **options)
    expected = run(sample, decoder, prompts, generator=seeded(7), **options)
    assert torch.equal(drawn.ids, expected.ids)


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_samples_share_the_pass_over_the_prompt(small, make):
    assert shapes_read(sample, make(small), num_samples=2) == [(4, 5), (8, 1), (8, 1)]
