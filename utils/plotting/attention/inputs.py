"""What figures and views of attention take: arrays or tensors that fit the tokens beside them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from utils.inputs import as_array

MAX_TOKENS = 48  # two columns of more tokens are longer than a screen
SUM_TOLERANCE = 0.02  # bf16 weights sum to 1 within about 0.01


def as_floats(values: ArrayLike) -> np.ndarray:
    """`values` as float64, of tensors as well."""
    return as_array(values).astype(np.float64)


def stack_layers(what: str, layers: Sequence[ArrayLike]) -> np.ndarray:
    """(L, H, T, ...) from an array, or from the L tensors (1, H, T, ...) that models return."""
    if len(layers) == 0 or any(layer is None for layer in layers):
        raise ValueError(
            f"{what} is empty: load the model with attn_implementation='eager' and call it with "
            "output_attentions=True."
        )
    stacked = np.stack([as_floats(layer) for layer in layers])
    if stacked.ndim == 5 and stacked.shape[1] == 1:
        stacked = stacked[:, 0]
    if stacked.ndim != 4:
        raise ValueError(
            f"{what} has shape {stacked.shape}, but a view shows one example: pass L layers "
            "(1, H, T, ...), sliced to [i : i + 1] from a batch, or one array (L, H, T, ...)."
        )
    return stacked


def checked_attention(attention: Sequence[ArrayLike], tokens: Sequence[str]) -> np.ndarray:
    """(L, H, T, T) weights of L layers and H heads that fit the T `tokens`, or ValueError."""
    weights = stack_layers("attention", attention)
    check_weights("attention", weights, tokens, tokens)
    return weights


def check_weights(
    what: str, weights: np.ndarray, queries: Sequence[str], keys: Sequence[str]
) -> None:
    """Raise ValueError unless `weights` (..., T, S) fit the tokens and each row sums to 1."""
    check_tokens(what, weights.shape[-2:], (len(queries), len(keys)))
    sums = weights.sum(-1)
    if not (weights.min() >= 0 and abs(sums - 1).max() <= SUM_TOLERANCE):  # NaN fails, too
        worst = sums.ravel()[abs(sums - 1).argmax()]
        raise ValueError(
            f"A row of {what} sums to {worst:.3f} instead of 1, or holds a negative weight: pass "
            "the weights of a model in eval mode, after the softmax over the keys."
        )


def checked_projections(
    queries: Sequence[ArrayLike], keys: Sequence[ArrayLike], tokens: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Queries and keys, each (L, H, T, head_dim) and finite, for the T `tokens`, or ValueError."""
    q, k = stack_layers("queries", queries), stack_layers("keys", keys)
    check_tokens("queries", q.shape[2:3], (len(tokens),))
    if q.shape != k.shape or not np.isfinite([q, k]).all():
        raise ValueError(
            f"queries {q.shape} and keys {k.shape} differ in shape or hold NaN: pass both of the "
            "same input."
        )
    return q, k


def check_tokens(what: str, shape: Sequence[int], counts: Sequence[int]) -> None:
    """Raise ValueError unless there is a token for each position, and not more than fit."""
    if tuple(shape) != tuple(counts) or max(counts) > MAX_TOKENS:
        raise ValueError(
            f"{what} has {tuple(shape)} positions for {tuple(counts)} tokens: pass the tokens of "
            f"the same input, special tokens included, at most {MAX_TOKENS}."
        )


def softmax_scores(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled dot products and their softmax, (..., T, S) each, of (..., T, d) and (..., S, d).

    Vaswani et al. (2017), "Attention Is All You Need", equation 1.
    """
    scores = queries @ np.swapaxes(keys, -1, -2) / np.sqrt(queries.shape[-1])
    return scores, softmax(scores, axis=-1)
