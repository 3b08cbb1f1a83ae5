"""BigBird's mask has its three parts, the number of cells that they make, and linear growth."""

import numpy as np
import pytest
import torch

from utils.models.sparse import bigbird_mask


def window_and_global(num_tokens: int, window: int, num_global: int) -> np.ndarray:
    """The part without randomness, cell by cell."""
    return np.array(
        [
            [
                abs(i - j) <= window // 2 or i < num_global or j < num_global
                for j in range(num_tokens)
            ]
            for i in range(num_tokens)
        ]
    )


@pytest.mark.parametrize(("window", "num_global"), [(1, 0), (3, 2), (7, 1)])
def test_without_random_tokens_it_is_window_and_global(window, num_global):
    mask = bigbird_mask(20, window=window, num_global=num_global, num_random=0)
    np.testing.assert_array_equal(mask.numpy(), window_and_global(20, window, num_global))


def test_every_other_token_sees_as_many_random_ones_as_asked():
    regular = window_and_global(40, 3, 2)
    mask = bigbird_mask(40, window=3, num_global=2, num_random=4).numpy()
    assert (mask >= regular).all()
    assert set((mask & ~regular).sum(axis=1)[2:]) == {4}
    assert (mask & ~regular).any(axis=0)[2:].sum() > 20  # spread over the keys


def test_number_of_cells_has_a_closed_form_that_grows_linearly():
    def cells(T: int, w: int = 3, g: int = 2, r: int = 2) -> int:
        inner = T - g  # tokens that are not global
        band = inner * w - 2 * sum(range(1, w // 2 + 1))  # the window of those, cut at both ends
        return 2 * g * T - g * g + band + inner * r

    for num_tokens in (32, 64, 512):
        assert bigbird_mask(num_tokens).sum() == cells(num_tokens)
    assert bigbird_mask(512).float().mean() < 0.02


def test_a_short_text_is_seen_whole():
    assert bigbird_mask(5, num_random=9).all()
    assert bigbird_mask(1).tolist() == [[True]]


def test_seed_decides_the_random_tokens():
    assert torch.equal(bigbird_mask(30, seed=1), bigbird_mask(30, seed=1))
    assert not torch.equal(bigbird_mask(30, seed=1), bigbird_mask(30, seed=2))


@pytest.mark.parametrize(("training", "num_random"), [(False, 0), (True, 2)])
def test_it_is_the_pattern_of_the_library_with_blocks_of_one_token(training, num_random):
    # The library's global tokens are the first and the last, and it draws random ones in training.
    length = 24
    seen = seen_by_the_library(length, training)
    ours = bigbird_mask(length, window=3, num_global=2, num_random=num_random).roll(
        (-1, -1), (0, 1)
    )
    regular = bigbird_mask(length, window=3, num_global=2, num_random=0).roll((-1, -1), (0, 1))
    assert (seen >= regular.numpy()).all()
    np.testing.assert_array_equal(seen.sum(axis=1), ours.sum(dim=1))


def seen_by_the_library(length: int, training: bool) -> np.ndarray:
    """(T, T) where one block-sparse layer of transformers puts weight, with two random tokens."""
    from transformers import BigBirdConfig, BigBirdModel

    config = BigBirdConfig(
        vocab_size=length,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        sep_token_id=None,
        block_size=1,
        num_random_blocks=2,
    )
    tokens = torch.arange(length)[None]
    model = BigBirdModel(config).train(training)
    output = model(tokens, attention_mask=torch.ones_like(tokens), output_attentions=True)
    return output.attentions[0][0, 0].detach().numpy() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tokens": 0}, "num_tokens must be positive"),
        ({"num_tokens": 8, "num_random": -1}, "not negative"),
        ({"num_tokens": 8, "window": 4}, "window must be odd"),
        ({"num_tokens": 8, "window": -1}, "window must be odd"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        bigbird_mask(**options)
