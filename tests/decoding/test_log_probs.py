"""Log-probabilities of tokens, by hand and by what they must sum to."""

import pytest
import torch

from utils.decoding import log_probs_from_logits


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


def test_ignored_labels_count_for_nothing():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, -100, 4], [-100, 0, 2]])
    losses = torch.nn.functional.cross_entropy(logits.mT, labels, reduction="none")
    torch.testing.assert_close(log_probs_from_logits(logits, labels), -losses)
