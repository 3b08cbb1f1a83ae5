"""Greedy and beam search against the library's `generate`, on our models and on the library's."""

import math

import pytest
import torch
from small_models import (
    ARTICLE,
    NO_END,
    PAD,
    VOCABULARY,
    from_scratch,
    random_prompts,
    run,
    shapes_read,
    small_gpt2,
)

from utils.decoding import LibraryDecoder, ToyLM, beam_search, greedy
from utils.models.cache import ContextLengthError

PROMPTS = ["The capital of France is", "My cat"]
NEW = 16


@pytest.fixture(scope="module")
def prompts(smollm2):
    return smollm2.tokenizer(PROMPTS, return_tensors="pt", padding=True)


def generate(model, prompts, max_new_tokens, **options):
    return model.generate(**prompts, max_new_tokens=max_new_tokens, do_sample=False, **options)


def decode(decoder, prompts, max_new_tokens, **options):
    return run(greedy, decoder, prompts, max_new_tokens=max_new_tokens, **options).ids


def test_ids_equal_generate_for_padded_prompts(smollm2, prompts):
    assert not prompts["attention_mask"].all()
    expected = generate(smollm2.reference, prompts, NEW)
    assert torch.equal(decode(smollm2.ours, prompts, NEW, eos_id=2), expected)


def test_ids_equal_generate_without_a_cache(small):
    prompt = {name: ids[:1] for name, ids in random_prompts().items()}
    decoder = from_scratch(small)

    def full_forward(ids, seen):
        seen.append(ids)
        return decoder(torch.cat(seen, dim=1))[:, -1]

    ids = greedy(full_forward, prompt["input_ids"], [], max_new_tokens=20).ids
    assert torch.equal(ids, generate(small, prompt, 20, **NO_END))


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_finished_rows_are_padded_until_all_are_finished(small, make):
    prompts = random_prompts()
    free = decode(make(small), prompts, 20)
    assert torch.equal(free, generate(small, prompts, 20, **NO_END))
    for eos_id in free[:, 5:].unique().tolist():
        expected = generate(small, prompts, 20, **NO_END | {"eos_token_id": eos_id})
        assert torch.equal(decode(make(small), prompts, 20, eos_id=eos_id, pad_id=PAD), expected)


def test_finished_rows_are_filled_with_the_end_token_by_default(small):
    """One row ends at its first new token, the other goes on."""
    ids = torch.tensor([[1, 2], [3, 4]])
    steps = iter([[7, 5], [9, 6], [9, 7]])

    def step(ids, cache):
        return torch.nn.functional.one_hot(torch.tensor(next(steps)), 10)

    continued = greedy(step, ids, None, max_new_tokens=9, eos_id=7)
    assert continued.ids.tolist() == [[1, 2, 7, 7, 7], [3, 4, 5, 6, 7]]
    assert continued.num_new.tolist() == [1, 3]
    assert continued.new_ids == [[7], [5, 6, 7]]
    assert continued.log_probs[0, 1:].tolist() == [0, 0]
    assert (continued.log_probs != 0).sum(dim=1).tolist() == [1, 3]


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_a_reordered_cache_continues_the_chosen_rows(small, make):
    ids = torch.randint(50, (3, 6))
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    rows = torch.tensor([1, 1, 2, 0])
    decoder = make(small)
    cache, expected = decoder.new_cache(mask, 2), decoder.new_cache(mask[rows], 2)
    decoder.step(ids, cache)
    cache.reorder(rows)
    decoder.step(ids[rows], expected)
    new = torch.randint(50, (4, 1))
    torch.testing.assert_close(decoder.step(new, cache), decoder.step(new, expected))


@pytest.mark.parametrize(
    ("ids", "max_new_tokens", "message"),
    [
        (torch.ones(1, 3, dtype=torch.long), 0, r"^max_new_tokens is 0: ask for 1 or more\.$"),
        (torch.ones(1, 0, dtype=torch.long), 5, r"^Prompts have shape \(1, 0\): give"),
        (torch.ones(3, dtype=torch.long), 5, r"^Prompts have shape \(3,\): give"),
    ],
)
def test_requests_that_make_no_sense_get_one_sentence(ids, max_new_tokens, message):
    with pytest.raises(ValueError, match=message):
        greedy(None, ids, None, max_new_tokens=max_new_tokens)


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_more_than_the_model_can_hold_gets_one_sentence(small, make):
    with pytest.raises(ContextLengthError, match=r"^35 tokens exceed the 32 positions"):
        make(small).new_cache(torch.ones(1, 30, dtype=torch.long), max_new_tokens=5)


def test_more_than_the_cache_can_hold_gets_one_sentence(small):
    decoder = from_scratch(small)
    ids = torch.ones(1, 3, dtype=torch.long)
    cache = decoder.new_cache(torch.ones_like(ids), max_new_tokens=2)
    with pytest.raises(ContextLengthError, match=r"^6 tokens do not fit the cache of 5"):
        greedy(decoder.step, ids, cache, max_new_tokens=4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_greedy_without_repeated_ngrams_equals_generate(small, n):
    prompts = random_prompts()
    expected = generate(small, prompts, 12, no_repeat_ngram_size=n, **NO_END)
    assert not torch.equal(expected, generate(small, prompts, 12, **NO_END))
    ids = decode(from_scratch(small), prompts, 12, no_repeat_ngram_size=n)
    assert torch.equal(ids, expected)


def test_greedy_log_probs_are_those_of_the_model(small):
    """They stay so where the choice is restricted."""
    prompts = random_prompts()
    options = {"output_logits": True, "return_dict_in_generate": True, "no_repeat_ngram_size": 1}
    expected = generate(small, prompts, 8, **options, **NO_END)
    log_probs = torch.stack(expected.logits, dim=1).log_softmax(dim=-1)  # (B, new, V)
    expected = log_probs.gather(-1, expected.sequences[:, 5:, None])[..., 0]
    ours = run(greedy, from_scratch(small), prompts, max_new_tokens=8, no_repeat_ngram_size=1)
    torch.testing.assert_close(ours.log_probs, expected)


def test_new_tokens_are_told_as_they_come(small):
    told = []
    found = run(
        greedy, from_scratch(small), random_prompts(), max_new_tokens=6, on_token=told.append
    )
    assert torch.equal(torch.stack(told, dim=1), found.ids[:, 5:])


def check_beams(library, decoder, prompts, max_new_tokens, eos_id, **options):
    """Ids, scores, log-probabilities and lengths are those of the library."""
    ours = run(
        beam_search, decoder, prompts, max_new_tokens=max_new_tokens,
        eos_id=eos_id, pad_id=PAD, **options,
    )  # fmt: skip
    expected = generate(
        library, prompts, max_new_tokens, eos_token_id=eos_id, pad_token_id=PAD,
        return_dict_in_generate=True, output_scores=True, **options,
    )  # fmt: skip
    assert torch.equal(ours.ids, expected.sequences)
    torch.testing.assert_close(ours.scores, expected.sequences_scores)
    steps = library.compute_transition_scores(
        expected.sequences, expected.scores, expected.beam_indices, normalize_logits=False
    )
    torch.testing.assert_close(ours.log_probs, steps)
    assert ours.num_new.tolist() == (expected.beam_indices >= 0).sum(dim=1).tolist()
    return ours


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -1.0])
@pytest.mark.parametrize("num_beams", [2, 5])
def test_beams_equal_generate(small, num_beams, length_penalty, early_stopping):
    """With an end that some texts reach early, for all texts that are returned."""
    check_beams(
        small, from_scratch(small), random_prompts(), 8, eos_id=often_second(small),
        num_beams=num_beams, length_penalty=length_penalty, early_stopping=early_stopping,
        num_return_sequences=num_beams,
    )  # fmt: skip


def often_second(library):
    """The token that most often is the runner-up after one token."""
    logits = library(torch.arange(VOCABULARY)[:, None]).logits[:, 0]
    return int(logits.topk(2).indices[:, 1].mode().values)


@pytest.mark.parametrize(
    ("early_stopping", "length_penalty"),
    [(False, 1.0), (True, 1.0), ("never", 2.0), ("never", -1.0), (False, -0.5)],
)
def test_beams_equal_generate_whatever_ends_a_text(early_stopping, length_penalty):
    library = small_gpt2(vocab_size=20)
    prompts = random_prompts()
    prompts["input_ids"] %= 20
    lengths = set()
    for eos_id in range(20):
        ours = check_beams(
            library, LibraryDecoder(library), prompts, 7, eos_id=eos_id,
            num_beams=3, num_return_sequences=2, early_stopping=early_stopping,
            length_penalty=length_penalty,
        )  # fmt: skip
        lengths |= set(ours.num_new.tolist())
    assert (len(lengths) > 1) == (length_penalty < 2)  # 2 favours the longest


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_beams_without_repeated_ngrams_equal_generate(small, make, n):
    options = {"num_beams": 4, "no_repeat_ngram_size": n, "num_return_sequences": 3}
    ours = check_beams(small, make(small), random_prompts(), 12, eos_id=None, **options)
    for text in ours.ids.tolist():
        ngrams = list(zip(*(text[start:] for start in range(n)), strict=False))
        new = ngrams[5:]  # padding of the prompt repeats itself
        assert len(new) == len(set(new))


def test_beams_on_a_real_model_equal_generate(smollm2, prompts):
    options = {"num_beams": 3, "no_repeat_ngram_size": 2, "num_return_sequences": 2}
    check_beams(smollm2.reference, smollm2.ours, prompts, 8, eos_id=2, **options)


def test_one_beam_is_greedy(small):
    decoder, prompts = from_scratch(small), random_prompts()
    beams = run(beam_search, decoder, prompts, max_new_tokens=9, num_beams=1)
    assert torch.equal(beams.ids, decode(decoder, prompts, 9))


@pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])
def test_the_prompts_go_through_the_model_once(small, make):
    """Each once, and after that one token per beam."""
    assert shapes_read(beam_search, make(small), num_beams=2) == [(4, 5), (8, 1), (8, 1)]


def search(toy, steps, **options):
    prompt = {"input_ids": toy.encode(), "attention_mask": torch.ones_like(toy.encode())}
    return run(beam_search, toy, prompt, max_new_tokens=steps, **options)


def test_as_many_beams_as_texts_are_an_exhaustive_search():
    toy = ToyLM(ARTICLE)
    found = search(toy, 2, num_beams=9, num_return_sequences=9, length_penalty=0.0)
    probs = [prob for _, prob in toy.exhaustive(2)]
    assert found.scores.exp().tolist() == pytest.approx(probs)


def test_texts_that_do_not_exist_score_minus_infinity():
    toy = ToyLM({("The",): {"dog": 1.0}, ("The", "dog"): {"has": 0.9, "runs": 0.1}})
    found = search(toy, 2, num_beams=3, num_return_sequences=3, length_penalty=0.0)
    assert found.scores.exp().tolist() == pytest.approx([0.9, 0.1, 0.0])


def test_a_step_tells_what_was_kept():
    toy, steps = ToyLM(ARTICLE), []
    search(toy, 2, num_beams=2, on_step=steps.append)
    first, second = steps
    assert [toy.decode(text) for text in first.prefixes[0]] == [("The",)] * 2
    assert toy.decode(first.tokens[0, :3]) == ("nice", "dog", "car")
    assert first.log_probs[0].exp().tolist() == pytest.approx([0.5, 0.4, 0.1, 0.0])
    assert first.is_kept.tolist() == [[True, True, False, False]]
    assert not first.is_finished.any()
    assert [toy.decode(text) for text in second.prefixes[0]] == [("The", "nice"), ("The", "dog")]
    assert second.parents[0, :2].tolist() == [1, 0]
    assert toy.decode(second.tokens[0, :2]) == ("has", "woman")
    assert second.log_probs[0, :2].exp().tolist() == pytest.approx([0.36, 0.2])
    assert second.is_kept.tolist() == second.is_finished.tolist() == [[True, True, False, False]]


def test_a_step_tells_what_ended():
    """ "stop" ends a text, and "dog" and "car" go on as the two beams."""
    toy = ToyLM({("The",): {"stop": 0.5, "dog": 0.3, "car": 0.2}})
    steps = []
    stop = int(toy.encode("stop"))
    search(toy, 2, num_beams=2, eos_id=stop, on_step=steps.append)
    assert toy.decode(steps[0].tokens[0, :3]) == ("stop", "dog", "car")
    assert steps[0].is_finished[0].tolist() == [True, False, False, False]
    assert steps[0].is_kept[0].tolist() == [True, True, True, False]


@pytest.mark.parametrize(("early_stopping", "num_steps"), [(True, 2), (False, 5)])
def test_early_stopping_ends_the_search_with_the_last_text_needed(early_stopping, num_steps):
    """After two steps there are two texts; "dog runs" could still surpass the second."""
    tree = {("The",): {"stop": 0.6, "dog": 0.4}, ("The", "dog"): {"stop": 0.4, "runs": 0.6}}
    toy, steps = ToyLM(tree), []
    options = {"num_beams": 2, "eos_id": int(toy.encode("stop")), "on_step": steps.append}
    search(toy, 5, early_stopping=early_stopping, **options)
    assert len(steps) == num_steps


def test_never_stopping_early_finds_the_better_text_where_length_costs():
    """ "car stop" scores 2 log 0.1, and "dog runs stop", one step later, 3 log 0.36."""
    tree = {
        ("The",): {"stop": 0.5, "dog": 0.4, "car": 0.1},
        ("The", "dog"): {"runs": 0.9, "is": 0.1},
        ("The", "car"): {"stop": 1.0},
        ("The", "dog", "runs"): {"stop": 1.0},
    }
    toy = ToyLM(tree)
    options = {"num_beams": 2, "num_return_sequences": 2, "eos_id": int(toy.encode("stop"))}
    found = search(toy, 9, early_stopping="never", length_penalty=-1.0, **options)
    assert [toy.decode(ids) for ids in found.new_ids] == [("stop",), ("dog", "runs", "stop")]
    assert found.scores.tolist() == pytest.approx([math.log(0.5), 3 * math.log(0.36)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, r"^num_beams is 0: choose a whole number"),
        (
            {"num_beams": 2, "num_return_sequences": 3},
            r"^num_return_sequences is 3, but with num_beams=2 it can be from 1 to 2\.$",
        ),
        ({"num_beams": 2, "num_return_sequences": 0}, r"^num_return_sequences is 0, but with"),
        ({"num_beams": 2, "early_stopping": "soon"}, r"^early_stopping is 'soon': give True"),
        ({"num_beams": 2, "no_repeat_ngram_size": 0}, r"^no_repeat_ngram_size is 0: choose"),
        ({"num_beams": 2, "on_token": print}, r"^Beams have no on_token, as .*: use on_step\.$"),
    ],
)
def test_beams_that_make_no_sense_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        search(ToyLM(ARTICLE), 2, **options)
