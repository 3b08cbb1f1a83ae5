"""Masks, written out by hand."""

import pytest
import torch

from utils.models.masks import causal_mask, padded_causal_mask, padding_mask


def test_causal_mask_is_the_lower_triangle():
    assert causal_mask(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_queries_of_a_step_are_the_last_positions():
    assert causal_mask(2, 4).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert causal_mask(1, 3).int().tolist() == [[1, 1, 1]]


def test_padding_mask_hides_padding_from_all_queries():
    mask = padding_mask(torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].int().tolist() == [[1, 1, 0], [1, 1, 1]]


def test_padding_hides_keys_but_padding_queries_see_themselves():
    left, right = padded_causal_mask(torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]]), 4).squeeze(1).int()
    assert left.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    assert right.tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_a_step_after_padding_sees_the_tokens_so_far():
    mask = padded_causal_mask(torch.tensor([[False, True, True, True]]), 2)
    assert mask.shape == (1, 1, 2, 4)
    assert mask[0, 0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 1]]


def test_fewer_keys_than_queries_are_refused():
    with pytest.raises(ValueError, match=r"^4 queries need at least as many keys, not 3"):
        causal_mask(4, 3)


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"^The attention mask must have shape .* not \(3,\)"):
        padding_mask(torch.ones(3))
