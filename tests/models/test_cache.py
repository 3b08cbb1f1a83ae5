"""The key-value cache: what it returns, what it refuses."""

import pytest
import torch

from utils.models.attention import SelfAttention
from utils.models.cache import ContextLengthError, KeyValueCache, LayerCache, check_length
from utils.models.masks import causal_mask

PADDED = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
SIZES = {"num_layers": 2, "num_heads": 3, "head_dim": 4}


def test_a_layer_returns_all_it_was_given():
    torch.manual_seed(0)
    keys, values = torch.randn(2, 2, 3, 5, 4)
    layer = LayerCache(torch.zeros(2, 3, 7, 4), torch.zeros(2, 3, 7, 4))
    for start, end in [(0, 3), (3, 4), (4, 5)]:
        found = layer.append(keys[:, :, start:end], values[:, :, start:end])
        assert torch.equal(found[0], keys[:, :, :end])
        assert torch.equal(found[1], values[:, :, :end])
    assert layer.length == 5


def test_attention_by_steps_equals_attention_at_once():
    torch.manual_seed(0)
    attention = SelfAttention(24, 6, num_kv_heads=2)
    states = torch.randn(2, 7, 24)
    expected = attention(states, is_causal=True)
    layer = LayerCache(torch.zeros(2, 2, 7, 4), torch.zeros(2, 2, 7, 4))
    with torch.no_grad():
        first = attention(states[:, :3], is_causal=True, cache=layer)
        second = attention(states[:, 3:6], causal_mask(3, 6), cache=layer)
        third = attention(states[:, 6:], cache=layer)
    found = torch.cat((first, second, third), dim=1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_positions_count_tokens_not_padding():
    cache = KeyValueCache(PADDED, 6, **SIZES)
    assert cache.next_positions(4).tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    fill(cache, 4)
    assert cache.length == 4
    assert cache.next_positions(2).tolist() == [[2, 3], [4, 5]]


def test_masks_hide_padding_from_tokens():
    cache = KeyValueCache(PADDED, 6, **SIZES)
    assert cache.has_padding
    prompt = cache.next_mask(4)
    assert prompt.shape == (2, 1, 4, 4)
    assert prompt[0, 0].tolist() == [
        [True, False, False, False],
        [False, True, False, False],
        [False, False, True, False],
        [False, False, True, True],
    ]
    assert torch.equal(prompt[1, 0], causal_mask(4))
    fill(cache, 4)
    assert cache.next_mask(1)[:, 0, 0].tolist() == [[False, False, *3 * [True]], 5 * [True]]


def test_one_token_after_unpadded_prompts_needs_no_mask():
    cache = KeyValueCache(torch.ones(2, 3), 6, **SIZES)
    assert not cache.has_padding
    fill(cache, 3)
    assert cache.next_mask(1) is None
    assert torch.equal(cache.next_mask(2)[1, 0], causal_mask(2, 5))


def test_reordering_takes_everything_of_a_row_along():
    cache = KeyValueCache(PADDED, 6, **SIZES)
    states = fill(cache, 4)
    cache.reorder(torch.tensor([1, 0, 0]))
    for layer in cache.layers:
        assert torch.equal(layer.keys[:, :, :4], states[[1, 0, 0]])
        assert torch.equal(layer.values[:, :, :4], -states[[1, 0, 0]])
    assert cache.next_positions(1).tolist() == [[4], [2], [2]]
    assert cache.next_mask(1)[:, 0, 0, 0].tolist() == [True, False, False]
    assert cache.length == 4


def test_cropping_forgets_the_last_tokens():
    cache = KeyValueCache(PADDED, 6, **SIZES)
    states = fill(cache, 4)
    fill(cache, 2)
    cache.crop(4)
    assert cache.length == 4
    assert cache.next_positions(2).tolist() == [[2, 3], [4, 5]]
    new = fill(cache, 1)
    for layer in cache.layers:
        keys, values = layer.append(new[:, :, :0], new[:, :, :0])
        assert torch.equal(keys, torch.cat((states, new), dim=2))
        assert torch.equal(values, -keys)


@pytest.mark.parametrize("length", [-1, 5])
def test_cropping_to_what_was_never_seen_is_refused(length):
    cache = KeyValueCache(PADDED, 6, **SIZES)
    fill(cache, 4)
    message = rf"^A cache of 4 tokens cannot be cropped to {length}: keep 0 to 4\.$"
    with pytest.raises(ValueError, match=message):
        cache.crop(length)


def test_keys_and_values_have_the_dtype_asked_for():
    cache = KeyValueCache(PADDED, 6, **SIZES, dtype=torch.bfloat16)
    assert {layer.keys.dtype for layer in cache.layers} == {torch.bfloat16}


def test_overlong_is_refused():
    with pytest.raises(ContextLengthError, match=r"^A prompt of 4 tokens does not fit"):
        KeyValueCache(PADDED, 3, **SIZES)
    cache = KeyValueCache(PADDED, 5, **SIZES)
    fill(cache, 4)
    assert cache.next_positions(1).tolist() == [[2], [4]]
    with pytest.raises(ContextLengthError, match=r"^6 tokens do not fit the cache of 5"):
        cache.next_positions(2)


def test_length_of_a_model_is_inclusive():
    check_length(8, 8)
    with pytest.raises(ContextLengthError, match=r"^9 tokens exceed the 8 positions"):
        check_length(9, 8)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[1, 1, 0]], r"^Each prompt must end with a token: pad on the left"),
        ([[1, 1], [0, 0]], r"^Each prompt must end with a token: pad on the left"),
        ([[]], r"^Each prompt must end with a token: pad on the left"),
        ([[0, 1, 0, 1]], r"^A prompt has padding between its tokens: pad on the left only\.$"),
    ],
    ids=["on the right", "only padding", "empty", "in between"],
)
def test_other_padding_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        KeyValueCache(torch.tensor(mask), 8, **SIZES)


def fill(cache, num_tokens):
    """Random keys, and values that are their negatives."""
    states = torch.randn(2, SIZES["num_heads"], num_tokens, SIZES["head_dim"])
    for layer in cache.layers:
        layer.append(states, -states)
    return states
