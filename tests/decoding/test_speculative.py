"""Speculative sampling: exactly the model's distribution, whatever the draft, in fewer calls."""

import random
from collections import Counter, defaultdict
from itertools import product

import pytest
import torch
import transformers
from small_models import from_scratch, run, small_gpt2

from utils.decoding import LibraryDecoder, NgramDraft, Sampling, greedy, speculative_sample
from utils.decoding.speculative import accept

GREEDY = Sampling(top_k=1)
PROMPT = [0, 1, 2, 0, 1, 0, 1, 2, 0]
WARPERS = {
    Sampling(): [],
    Sampling(temperature=0.6): [transformers.TemperatureLogitsWarper(0.6)],
    Sampling(temperature=1.4, top_p=0.8): [
        transformers.TemperatureLogitsWarper(1.4),
        transformers.TopPLogitsWarper(0.8),
    ],
    Sampling(top_k=2): [transformers.TopKLogitsWarper(2)],
}


class TableDraft:
    """Draws from a distribution given the last token that has nothing to do with the model's."""

    table = torch.tensor([[0.0, 0.3, 0.7], [0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])

    def __call__(self, text, num_drafted, sampling, generator):
        length = len(text)
        for _ in range(num_drafted):
            new = torch.multinomial(self.table[text[-1]], 1, generator=generator)
            text = torch.cat((text, new))
        return text[length:], self.table[text[length - 1 : -1]]


class KnownText:
    """Proposes what stands at these places of a text that it knows, with certainty."""

    def __init__(self, text):
        self.text = text

    def __call__(self, text, num_drafted, sampling, generator):
        drafted = self.text[len(text) : len(text) + num_drafted]
        return drafted, torch.nn.functional.one_hot(drafted, 50).float()


def speculate(decoder, prompt, draft, *args, max_new_tokens, **options):
    ids = torch.as_tensor(prompt).reshape(1, -1)
    cache = decoder.new_cache(torch.ones_like(ids), max_new_tokens)
    options["max_new_tokens"] = max_new_tokens
    return speculative_sample(decoder, ids, cache, draft, *args, **options)


class Draws:
    """Takes the place of random numbers: makes the given choices, then the first possible ones.

    Attributes:
        probability: of all choices together.
        alternatives: the beginnings of other sequences of choices.
    """

    def __init__(self, choices):
        self.choices = choices
        self.made = ()
        self.probability = 1.0
        self.alternatives = []

    def choose(self, weights):
        options = [i for i, weight in enumerate(weights) if weight > 0]
        place = len(self.made)
        if place < len(self.choices):
            choice = self.choices[place]
        else:
            choice = options[0]
            self.alternatives += [(*self.made, other) for other in options[1:]]
        self.made += (choice,)
        self.probability *= weights[choice] / sum(weights)
        return choice

    def multinomial(self, weights, num_samples, generator=None):
        assert num_samples == 1
        return torch.tensor([self.choose(weights.double().tolist())])

    def bernoulli(self, probs, generator=None):
        return torch.tensor([self.choose([1 - p, p]) for p in probs.double().tolist()])


@pytest.fixture
def distribution(monkeypatch):
    """The probability of each outcome of a function, which is run with every possible draw."""

    def enumerate_outcomes(function):
        outcomes, pending = defaultdict(float), [()]
        while pending:
            draws = Draws(pending.pop())
            monkeypatch.setattr(torch, "multinomial", draws.multinomial)
            monkeypatch.setattr(torch, "bernoulli", draws.bernoulli)
            outcomes[function()] += draws.probability
            pending += draws.alternatives
        monkeypatch.undo()
        return dict(outcomes)

    return enumerate_outcomes


@pytest.fixture(scope="module")
def three_words():
    """A model of three words whose probabilities run from a tenth to three quarters."""
    return small_gpt2(vocab_size=3, n_layer=1, initializer_range=0.1)


@torch.no_grad()
def by_library(library, sampling, num_new, eos_id=None):
    """Each continuation with its probability, from one pass over all of them without a cache."""
    texts = torch.tensor([PROMPT + list(new) for new in product(range(3), repeat=num_new)])
    logits = library(texts).logits[:, len(PROMPT) - 1 : -1]  # (3 ** new, new, 3)
    for warper in WARPERS[sampling]:
        logits = warper(None, logits.flatten(0, 1)).view_as(logits)
    new = texts[:, len(PROMPT) :]
    probs = logits.softmax(dim=-1).gather(-1, new[..., None])[..., 0]  # (3 ** new, new)
    expected = {}
    for row, row_probs in zip(new.tolist(), probs.double(), strict=True):
        length = row.index(eos_id) + 1 if eos_id in row else num_new
        expected[tuple(row[:length])] = row_probs[:length].prod().item()
    return {text: probability for text, probability in expected.items() if probability > 0}


@pytest.mark.parametrize("sampling", WARPERS, ids=str)
@pytest.mark.parametrize("draft", [TableDraft(), NgramDraft()], ids=["table", "n-gram"])
def test_the_distribution_is_that_of_the_model_for_every_draw(
    three_words, distribution, draft, sampling
):
    decoder = from_scratch(three_words)
    options = {"num_drafted": 2, "max_new_tokens": 3}
    found = distribution(
        lambda: tuple(speculate(decoder, PROMPT, draft, sampling, **options).new_ids[0])
    )
    assert found == pytest.approx(by_library(three_words, sampling, 3), abs=1e-6)


@pytest.mark.parametrize("eos_id", [0, 1, 2])
def test_the_distribution_of_texts_that_end(three_words, distribution, eos_id):
    decoder = from_scratch(three_words)
    options = {"num_drafted": 3, "max_new_tokens": 3, "eos_id": eos_id}
    found = distribution(
        lambda: tuple(speculate(decoder, PROMPT, NgramDraft(), **options).new_ids[0])
    )
    expected = by_library(three_words, Sampling(), 3, eos_id)
    assert found == pytest.approx(expected, abs=1e-6)


def test_drawn_texts_have_the_frequencies_of_the_model(three_words):
    decoder = from_scratch(three_words)
    generator = torch.Generator().manual_seed(0)
    options = {"max_new_tokens": 2, "generator": generator}
    num_texts = 600
    counts = Counter(
        tuple(speculate(decoder, PROMPT, NgramDraft(), **options).new_ids[0])
        for _ in range(num_texts)
    )
    expected = by_library(three_words, Sampling(), 2)
    assert counts.keys() <= expected.keys()
    chi_square = sum(
        (counts[text] - num_texts * p) ** 2 / (num_texts * p) for text, p in expected.items()
    )
    assert chi_square < 26.1  # exceeded by one run in a thousand, of 8 degrees of freedom


def test_a_draft_that_differs_by_rounding_only_leaves_something_to_draw(distribution):
    drafted, probs = torch.tensor([0]), torch.full((2, 2), 0.5)
    draft_probs = torch.full((1, 2), 0.5).nextafter(torch.ones(()))
    found = distribution(lambda: accept(drafted, draft_probs, probs)[0].item())
    assert found == pytest.approx({0: 1.0, 1: 0.0}, abs=1e-6)


@pytest.fixture
def plain(small):
    """Sixteen tokens of greedy search after [3, 1, 4, 1, 5]."""
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    prompt = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return run(greedy, from_scratch(small), prompt, max_new_tokens=16)


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
@pytest.mark.parametrize("num_drafted", [1, 4, 20])
def test_at_the_greedy_limit_it_is_greedy_search(small, plain, make, num_drafted):
    options = {"num_drafted": num_drafted, "max_new_tokens": 16}
    found = speculate(make(small), plain.ids[0, :5], NgramDraft(), GREEDY, **options)
    assert torch.equal(found.ids, plain.ids)
    assert torch.equal(found.num_new, plain.num_new)
    torch.testing.assert_close(found.log_probs, plain.log_probs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_drafted", [1, 3, 4, 20])
def test_right_guesses_save_calls(small, plain, num_drafted):
    options = {"num_drafted": num_drafted, "max_new_tokens": 16}
    draft = KnownText(plain.ids[0])
    found = speculate(from_scratch(small), plain.ids[0, :5], draft, GREEDY, **options)
    assert torch.equal(found.ids, plain.ids)
    num_calls = -(-16 // (num_drafted + 1))  # each gives one token more than were drafted
    assert found.num_calls == num_calls
    assert found.num_drafted == found.num_accepted == 16 - num_calls


def test_wrong_guesses_cost_calls_and_nothing_else(small, plain):
    draft = KnownText((plain.ids[0] + 1) % 50)
    found = speculate(
        from_scratch(small), plain.ids[0, :5], draft, GREEDY, num_drafted=2, max_new_tokens=16
    )
    assert torch.equal(found.ids, plain.ids)
    assert found.num_calls == 16
    assert found.num_accepted == 0
    assert found.num_drafted == 14 * 2 + 1 + 0  # no more than there is room for


def test_a_guess_is_kept_up_to_its_first_mistake(small, plain):
    text = plain.ids[0].clone()
    text[5 + 2] += 1
    found = speculate(
        from_scratch(small),
        plain.ids[0, :5],
        KnownText(text % 50),
        GREEDY,
        num_drafted=15,
        max_new_tokens=16,
    )
    assert torch.equal(found.ids, plain.ids)
    assert (found.num_calls, found.num_drafted, found.num_accepted) == (2, 15 + 12, 2 + 12)


def test_it_stops_at_the_end_token_also_among_accepted_ones(small, plain):
    decoder, draft = from_scratch(small), KnownText(plain.ids[0])
    new = plain.new_ids[0]
    options = {"num_drafted": 4, "max_new_tokens": 16}
    for eos_id in set(new):
        heard = []
        found = speculate(
            decoder, plain.ids[0, :5], draft, GREEDY, **options, eos_id=eos_id,
            on_token=lambda token, heard=heard: heard.extend(token.tolist()),
        )  # fmt: skip
        expected = new[: new.index(eos_id) + 1]
        assert found.new_ids[0] == heard == expected
        assert found.num_new.tolist() == [len(expected)]
        expected_log_probs = plain.log_probs[:, : len(expected)]
        torch.testing.assert_close(found.log_probs, expected_log_probs, atol=1e-5, rtol=0)


def test_an_end_token_in_the_prompt_ends_nothing(small):
    decoder = from_scratch(small)
    ids = torch.tensor([[3, 1, 4]])
    prompt = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    options = {"max_new_tokens": 9, "eos_id": 4}
    expected = run(greedy, decoder, prompt, **options)
    assert speculate(decoder, ids, NgramDraft(), GREEDY, **options).new_ids == expected.new_ids


def test_a_real_model_repeats_itself_in_fewer_calls(smollm2):
    text = "red, green, blue, red, green, blue, red,"
    prompt = smollm2.tokenizer(text, return_tensors="pt")
    plain = run(greedy, smollm2.ours, prompt, max_new_tokens=12)
    ids = prompt["input_ids"]
    found = speculate(smollm2.ours, ids, NgramDraft(), GREEDY, max_new_tokens=12)
    assert torch.equal(found.ids, plain.ids)
    assert found.num_calls <= 4


def followers_by_counting(text, max_context):
    """Counts of what followed the longest suffix that occurred before, on lists."""
    for size in range(max_context, 0, -1):
        counts = Counter(
            text[i + size] for i in range(len(text) - size) if text[i : i + size] == text[-size:]
        )
        if counts:
            return counts
    return Counter()


@pytest.mark.parametrize("max_context", [1, 2, 3])
def test_an_ngram_draft_proposes_what_followed_before(max_context):
    randomness = random.Random(0)
    draft, generator = NgramDraft(max_context), torch.Generator().manual_seed(0)
    for length in range(1, 41):
        text = randomness.choices(range(6), k=length)
        drafted, probs = draft(torch.tensor(text), 3, Sampling(), generator)
        assert len(drafted) == len(probs) <= 3
        for token, row in zip(drafted.tolist(), probs, strict=True):
            counts = followers_by_counting(text, max_context)
            shares = [counts[other] / counts.total() for other in range(len(row))]
            assert row.tolist() == pytest.approx(shares)
            assert counts[token] > 0
            text.append(token)
        if len(drafted) < 3:
            assert not followers_by_counting(text, max_context)


def test_an_ngram_draft_draws_as_the_model_will():
    text = torch.tensor([7, 1, 7, 2, 7, 2, 7])
    drafted, probs = NgramDraft(1)(text, 1, GREEDY, None)
    assert drafted.tolist() == [2]
    assert probs.tolist() == [[0, 0, 1, 0, 0, 0, 0, 0]]
    _, probs = NgramDraft(1)(text, 1, Sampling(temperature=0.5), None)
    torch.testing.assert_close(probs[0, :3], torch.tensor([0, 0.2, 0.8]))


class Overlong(KnownText):
    """Knows more ids than the model does."""

    def __call__(self, text, num_drafted, sampling, generator):
        return torch.tensor([1]), torch.full((1, 51), 1 / 51)


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        (
            [[1, 2], [3, 4]],
            {},
            r"^There are 2 prompts: speculative sampling takes one at a time\.$",
        ),
        ([[]], {}, r"^Prompts have shape \(1, 0\): give"),
        ([[1]], {"num_drafted": 0}, r"^num_drafted is 0: choose a whole number of 1 or more\.$"),
        ([[1]], {"draft": Overlong(None)}, r"^The draft has 51 token ids and the model 50: both"),
    ],
)
def test_bad_requests_get_one_sentence(small, prompt, options, message):
    ids = torch.tensor(prompt, dtype=torch.long)
    decoder = from_scratch(small)
    cache = decoder.new_cache(torch.ones(len(ids), 2), max_new_tokens=4)
    options = {"draft": NgramDraft(), "max_new_tokens": 4} | options
    with pytest.raises(ValueError, match=message):
        speculative_sample(decoder, ids, cache, **options)


@pytest.mark.parametrize("size", [0, 1.5])
def test_a_context_of_no_tokens_is_refused(size):
    with pytest.raises(ValueError, match=rf"^max_context is {size}: choose a whole number of 1"):
        NgramDraft(size)
