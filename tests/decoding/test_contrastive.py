"""Contrastive search against the formula of its paper, without a cache, and by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from small_models import PAD, from_scratch, random_prompts, run
from torch.nn import functional as F

from utils.decoding import LibraryDecoder, contrastive_search, greedy

MAKERS = pytest.mark.parametrize("make", [from_scratch, LibraryDecoder])


def search(decoder, prompts, max_new_tokens, **options):
    cache = decoder.new_cache(prompts["attention_mask"], max_new_tokens)
    ids = prompts["input_ids"]
    return contrastive_search(decoder, ids, cache, max_new_tokens=max_new_tokens, **options)


@torch.no_grad()
def by_formula(library, text, k, penalty, max_new_tokens):
    """Su et al. 2022, equation 5, for one text (T,), which is read anew each time."""
    length = len(text)
    for _ in range(max_new_tokens):
        now = library(text[None], output_hidden_states=True)
        probs, seen = now.logits[0, -1].softmax(dim=-1), now.hidden_states[-1][0]
        tokens = probs.topk(k).indices
        longer = torch.cat((text.expand(k, -1), tokens[:, None]), dim=1)
        states = library(longer, output_hidden_states=True).hidden_states[-1][:, -1]
        scores = []
        for token, state in zip(tokens, states, strict=True):
            degeneration = max(F.cosine_similarity(state, other, dim=0).item() for other in seen)
            scores.append((1 - penalty) * probs[token].item() - penalty * degeneration)
        best = max(range(k), key=scores.__getitem__)
        text = longer[best]
    return text[length:].tolist()


def unpadded(prompts):
    masks = prompts["attention_mask"].bool()
    return [ids[mask] for ids, mask in zip(prompts["input_ids"], masks, strict=True)]


@MAKERS
@pytest.mark.parametrize(("k", "penalty"), [(4, 0.6), (3, 0.2), (6, 1.0), (2, 0.4)])
def test_texts_follow_the_formula_for_padded_prompts_in_a_batch(small, make, k, penalty):
    prompts = random_prompts()
    expected = [by_formula(small, text, k, penalty, 10) for text in unpadded(prompts)]
    assert search(make(small), prompts, 10, k=k, penalty=penalty).new_ids == expected
    greedy_ids = run(greedy, make(small), prompts, max_new_tokens=10).new_ids
    assert greedy_ids != expected


@MAKERS
@pytest.mark.parametrize("options", [{"k": 1}, {"penalty": 0.0}, {"k": 1, "penalty": 1.0}])
def test_without_a_choice_or_a_penalty_it_is_greedy(small, make, options):
    prompts = random_prompts()
    found = search(make(small), prompts, 12, **options)
    expected = run(greedy, make(small), prompts, max_new_tokens=12)
    assert torch.equal(found.ids, expected.ids)
    torch.testing.assert_close(found.log_probs, expected.log_probs, atol=1e-5, rtol=0)


@MAKERS
def test_finished_rows_are_padded_and_change_no_other(small, make):
    prompts = random_prompts()
    free = search(make(small), prompts, 12)
    for eos_id in free.ids[:, 5:].unique().tolist():
        ended = search(make(small), prompts, 12, eos_id=eos_id, pad_id=PAD)
        for row, texts in enumerate(zip(ended.new_ids, free.new_ids, strict=True)):
            found, whole = texts
            length = whole.index(eos_id) + 1 if eos_id in whole else 12
            assert found == whole[:length]
            assert (ended.ids[row, 5 + length :] == PAD).all()


STATES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
HEAD = torch.tensor([[5.0, 3.0, 2.0], [1.0, 1.0, 1.0]]).log()


class TwoDimensions:
    """Three tokens whose states are points; after (1, 0) they have .5, .3, .2, after (0, 1) 1/3."""

    def states(self, ids, cache):
        cache.length += ids.shape[1]
        return STATES[ids]

    def logits(self, states):
        return states @ HEAD


@pytest.mark.parametrize(
    ("k", "penalty", "new", "probabilities"),
    [
        # Scores of the first step -.25, .15, -.2; of the second -.33, -.33, -.23.
        (3, 0.5, [1, 2], [0.3, 1 / 3]),
        (9, 0.5, [1, 2], [0.3, 1 / 3]),  # no more candidates than tokens
        (3, 0.1, [0, 0], [0.5, 0.5]),  # .35, .27, .12, each time
        (2, 0.5, [1], [0.3]),  # the third token is no candidate
    ],
)
def test_a_case_by_hand(k, penalty, new, probabilities):
    is_token = torch.ones(1, 3, dtype=torch.bool)
    cache = SimpleNamespace(length=0, is_token=is_token, reorder=lambda rows: None)
    found = contrastive_search(
        TwoDimensions(), torch.tensor([[0]]), cache, k=k, penalty=penalty, max_new_tokens=len(new)
    )
    assert found.new_ids == [new]
    assert found.log_probs[0].tolist() == pytest.approx(list(map(math.log, probabilities)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, r"^k is 0: choose a whole number of 1 or more\.$"),
        ({"penalty": -0.1}, r"^penalty is -0\.1: choose a number from 0 to 1\.$"),
        ({"penalty": 1.1}, r"^penalty is 1\.1: choose a number from 0 to 1\.$"),
        ({"penalty": math.nan}, r"^penalty is nan: choose a number from 0 to 1\.$"),
    ],
)
def test_bad_settings_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        contrastive_search(
            TwoDimensions(), torch.tensor([[0]]), None, **{"max_new_tokens": 1} | options
        )
