"""Probabilities of texts against the library's own account of them."""

import pytest
import torch
from small_models import NO_END, from_scratch, random_prompts

from utils.decoding import log_probs_from_logits, sequence_logprob


@pytest.fixture
def generated(small):
    """Texts (B, L), and the log-probability (B, new) that `generate` gave each new token."""
    ids = random_prompts()["input_ids"][:2]
    found = small.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False,
        return_dict_in_generate=True, output_logits=True, **NO_END,
    )  # fmt: skip
    steps = small.compute_transition_scores(found.sequences, found.logits, normalize_logits=True)
    return found.sequences, steps


@pytest.mark.parametrize("make", [from_scratch, lambda library: library])
def test_the_sum_is_that_of_the_librarys_steps(small, generated, make):
    ids, steps = generated
    torch.testing.assert_close(sequence_logprob(make(small), ids, 5), steps.sum(dim=1))


@torch.no_grad()
def test_a_slice_one_further_on_misses_the_first_new_token(small, generated):
    """As the book has it; its sum lacks one term."""
    ids, steps = generated
    log_probs = log_probs_from_logits(small(ids).logits[:, :-1], ids[:, 1:])
    missing = sequence_logprob(small, ids, 5) - log_probs[:, 5:].sum(dim=1)
    torch.testing.assert_close(missing, steps[:, 0])


def test_probabilities_of_all_labels_sum_to_1():
    logits = 5 * torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7)[:, None, None].expand(7, 2, 3)
    log_probs = torch.stack([log_probs_from_logits(logits, each) for each in labels])
    torch.testing.assert_close(log_probs.exp().sum(dim=0), torch.ones(2, 3))


def test_log_probs_by_hand():
    logits = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]]).log() + 4
    log_probs = log_probs_from_logits(logits, torch.tensor([[1, 2]]))
    torch.testing.assert_close(log_probs.exp(), torch.tensor([[0.3, 0.8]]))


def test_half_precision_logits_are_summed_in_full():
    logits = torch.randn(1, 4, 1000, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.tensor([[1, 2, 3, 4]])
    assert log_probs_from_logits(logits, labels).dtype == torch.float32


def test_labels_of_another_shape_get_one_sentence():
    with pytest.raises(
        ValueError, match=r"^labels have shape \(1, 2\), but the logits \(1, 3, 5\)"
    ):
        log_probs_from_logits(torch.zeros(1, 3, 5), torch.zeros(1, 2, dtype=torch.long))


@pytest.mark.parametrize("input_len", [0, 3, 9])
def test_a_text_without_prompt_or_continuation_gets_one_sentence(input_len):
    message = rf"^input_len is {input_len}, but of 3 tokens from 1 to 2 can be the prompt\.$"
    with pytest.raises(ValueError, match=message):
        sequence_logprob(None, torch.zeros(1, 3, dtype=torch.long), input_len)
