"""Filters of the next token's logits against the library's processors, and by hand."""

import math

import pytest
import torch
from transformers.generation import logits_process as library

from utils.decoding import (
    Sampling,
    apply_temperature,
    ban_repeated_ngrams,
    min_p_filter,
    top_k_filter,
    top_p_filter,
    typical_filter,
)

FLAT = [0.16, 0.13, 0.11, 0.10, 0.09, 0.09, 0.085, 0.08, 0.08, 0.075]
SHARP = [0.55, 0.27, 0.13, 0.02, 0.012, 0.008, 0.004, 0.003, 0.002, 0.001]


def logits_of(kind):
    noise = torch.randn(12, 300, generator=torch.Generator().manual_seed(3))
    kinds = {
        "random": 3 * noise,
        "peaked": 12 * noise,
        "ties": noise.mul(2).round(),
        "all alike": torch.zeros(2, 300),
        "some out already": (3 * noise).masked_fill(noise < -0.5, -math.inf),
    }
    return kinds[kind]


KINDS = ["random", "peaked", "ties", "all alike", "some out already"]
SAME = [
    *[(top_k_filter, library.TopKLogitsWarper, k) for k in (1, 2, 50, 300, 1000)],
    *[(top_p_filter, library.TopPLogitsWarper, p) for p in (1e-9, 0.1, 0.5, 0.9, 0.999, 1.0)],
    *[(min_p_filter, library.MinPLogitsWarper, p) for p in (1e-3, 0.05, 0.3, 1.0)],
    *[(typical_filter, library.TypicalLogitsWarper, mass) for mass in (1e-9, 0.2, 0.9, 0.999)],
    *[(apply_temperature, library.TemperatureLogitsWarper, each) for each in (0.1, 1.0, 7.0)],
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("ours", "theirs", "setting"), SAME)
def test_the_same_tokens_stay_as_in_the_library(ours, theirs, setting, kind):
    logits = logits_of(kind)
    before = logits.clone()
    assert torch.equal(ours(logits, setting), theirs(setting)(None, logits))
    assert torch.equal(logits, before)


@pytest.mark.parametrize(("ours", "theirs", "setting"), SAME)
def test_any_leading_dimensions_will_do(ours, theirs, setting):
    logits = logits_of("ties")
    expected = theirs(setting)(None, logits)
    assert torch.equal(ours(logits.view(3, 4, 300), setting), expected.view(3, 4, 300))
    assert torch.equal(ours(logits[5], setting), expected[5])


@pytest.mark.parametrize(("probs", "mass"), [(FLAT, 0.68), (SHARP, 0.99)])
def test_top_k_keeps_six_of_ten_whatever_the_shape(probs, mass):
    probs = torch.tensor(probs)
    kept = top_k_filter(probs.log(), 6).isfinite()
    assert kept.tolist() == [True] * 6 + [False] * 4
    assert probs[kept].sum().item() == pytest.approx(mass)


@pytest.mark.parametrize(("probs", "size"), [(FLAT, 9), (SHARP, 3)])
def test_the_nucleus_follows_the_shape(probs, size):
    assert top_p_filter(torch.tensor(probs).log(), 0.92).isfinite().sum() == size


def test_min_p_is_relative_to_the_best_token():
    logits = torch.tensor([0.6, 0.25, 0.1, 0.05]).log()
    assert min_p_filter(logits, 0.16).isfinite().tolist() == [True, True, True, False]


def test_the_typical_set_can_miss_the_most_probable_token():
    """0.3 is a surprise of 1.2 nats, 0.01 one of 4.6; the entropy is 3.6."""
    kept = typical_filter(torch.tensor([0.3] + [0.01] * 70).log(), 0.5).isfinite()
    assert not kept[0]
    assert kept[1:].all()


def test_the_whole_mass_is_everything():
    logits = logits_of("peaked")
    assert torch.equal(typical_filter(logits, 1.0), logits)
    assert torch.equal(Sampling(top_k=300, typical_p=1.0)(logits), logits)


@pytest.mark.parametrize("n", [1, 2, 3, 6, 40])
def test_banned_ngrams_are_those_of_the_library(n):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, (20, 30), generator=generator)
    logits = torch.randn(20, 4, generator=generator)
    banned = ban_repeated_ngrams(logits, ids, n)
    assert torch.equal(banned, library.NoRepeatNGramLogitsProcessor(n)(ids, logits))
    assert banned.isinf().any() == (n < 6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7, "top_k": 40, "top_p": 0.9},
        {"temperature": 1.8, "top_p": 0.95, "min_p": 0.02},
        {"temperature": 1.3, "top_k": 30, "typical_p": 0.8},
        {"top_k": 100, "top_p": 0.8, "min_p": 0.05, "typical_p": 0.6},
    ],
)
def test_settings_combine_as_in_generate(kind, settings):
    warpers = {
        "temperature": library.TemperatureLogitsWarper,
        "top_k": library.TopKLogitsWarper,
        "top_p": library.TopPLogitsWarper,
        "min_p": library.MinPLogitsWarper,
        "typical_p": library.TypicalLogitsWarper,
    }
    expected = logits = logits_of(kind)
    for name, setting in settings.items():
        expected = warpers[name](setting)(None, expected)
    assert torch.equal(Sampling(**settings)(logits), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, r"^temperature is 0: choose a positive number"),
        ({"temperature": -0.5}, r"^temperature is -0.5: choose a positive number"),
        ({"temperature": math.nan}, r"^temperature is nan: choose a positive number"),
        ({"temperature": math.inf}, r"^temperature is inf: choose a positive number"),
        ({"top_k": 0}, r"^top_k is 0: choose 1 or more, or leave it out to keep all\.$"),
        ({"top_k": 2.5}, r"^top_k is 2.5: choose 1 or more, or leave it out to keep all\.$"),
        ({"top_p": 0.0}, r"^top_p is 0.0: choose a number above 0 and at most 1\.$"),
        ({"top_p": 1.1}, r"^top_p is 1.1: choose a number above 0 and at most 1\.$"),
        ({"top_p": math.nan}, r"^top_p is nan: choose a number above 0"),
        ({"min_p": -0.1}, r"^min_p is -0.1: choose a number above 0"),
        ({"typical_p": 2}, r"^typical_p is 2: choose a number above 0"),
    ],
)
def test_settings_out_of_range_get_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_ngrams_of_no_length_get_one_sentence(n):
    with pytest.raises(ValueError, match=rf"^no_repeat_ngram_size is {n}: choose a whole number"):
        ban_repeated_ngrams(torch.zeros(1, 5), torch.zeros(1, 3, dtype=torch.long), n)


@pytest.mark.parametrize("temperature", [1e-4, 1e-38, 1e-45, 1e-300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_limit_of_low_temperatures_is_greedy(temperature, dtype):
    logits = torch.tensor([[3.0, -math.inf, 30.0, 29.0]], dtype=dtype)
    probs = apply_temperature(logits, temperature).softmax(dim=-1)
    assert probs.tolist() == [[0, 0, 1, 0]]
