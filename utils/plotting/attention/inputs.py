"""Checks of attention weights, queries and keys: each failure is one sentence for the caller."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from utils.plotting.validation import not_empty

MAX_TOKENS = 48  # two columns of more tokens are longer than a screen
SUM_TOLERANCE = 0.02  # bf16 weights sum to 1 within about 0.01


def as_array(values: ArrayLike) -> np.ndarray:
    """`values` as float64; a torch tensor may need gradients, be bf16 or lie on a GPU."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def checked_attention(attention: Sequence[ArrayLike], tokens: Sequence[str]) -> np.ndarray:
    """(L, H, T, T) weights of L layers and H heads that fit the T `tokens`, or ValueError."""
    if len(attention) == 0 or any(layer is None for layer in attention):
        raise ValueError(
            "attention is empty: load the model with attn_implementation='eager' and call it with "
            "output_attentions=True."
        )
    weights = stack_layers("attention", attention)
    check_tokens(tokens)
    if weights.shape[2:] != (len(tokens), len(tokens)):
        raise ValueError(
            f"attention has shape {weights.shape} (layers, heads, queries, keys), but there are "
            f"{len(tokens)} tokens: pass the tokens of the same input, special tokens included."
        )
    check_rows("attention", weights)
    return weights


def stack_layers(what: str, layers: Sequence[ArrayLike]) -> np.ndarray:
    """(L, H, T, ...) from an array, or from the tuple of (1, H, T, ...) that models return."""
    arrays = [as_array(layer) for layer in layers]
    if any(array.ndim == 4 and len(array) != 1 for array in arrays):
        raise ValueError(
            f"{what} holds {len(arrays[0])} examples, but a view shows one: pass the layers "
            "sliced to [i : i + 1]."
        )
    arrays = [array[0] if array.ndim == 4 else array for array in arrays]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 3:
        raise ValueError(
            f"{what} has layers of shapes {sorted(shapes)}: pass one (1, H, T, ...) tensor per "
            "layer or one (L, H, T, ...) array."
        )
    return np.stack(arrays)


def check_tokens(tokens: Sequence[str]) -> None:
    """Raise ValueError unless `tokens` is a sequence of strings that fits a screen."""
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(
            "tokens must be a list of strings: pass tokenizer.convert_ids_to_tokens(input_ids)."
        )
    if not 1 <= len(tokens) <= MAX_TOKENS:
        raise ValueError(f"{len(tokens)} tokens: pass at least 1 and at most {MAX_TOKENS}.")


def check_rows(what: str, weights: np.ndarray) -> None:
    """Raise ValueError unless each row of `weights` (..., T, S) is a distribution over S keys."""
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(
            f"{what} holds negative values or NaN: pass weights after the softmax, not scores."
        )
    sums = weights.sum(-1)
    worst = sums.ravel()[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > SUM_TOLERANCE:
        raise ValueError(
            f"A row of {what} sums to {worst:.3f} instead of 1: pass the weights of a model in "
            "eval mode, after the softmax over the keys."
        )


def checked_panels(
    panels: Mapping[str, ArrayLike], queries: Sequence[str], keys: Sequence[str]
) -> dict[str, np.ndarray]:
    """Name -> (T, S) weights that fit the T `queries` and S `keys`, or ValueError."""
    not_empty("panels", panels)
    check_tokens(queries)
    check_tokens(keys)
    weights = {name: as_array(panel) for name, panel in panels.items()}
    for name, panel in weights.items():
        if panel.shape != (len(queries), len(keys)):
            raise ValueError(
                f"{name!r} has shape {panel.shape}, but there are {len(queries)} query and "
                f"{len(keys)} key tokens: pass one matrix (queries, keys) per panel."
            )
        check_rows(repr(name), panel)
    return weights


def checked_projections(
    queries: Sequence[ArrayLike], keys: Sequence[ArrayLike], tokens: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Queries and keys, each (L, H, T, head_dim) and finite, for the T `tokens`, or ValueError."""
    not_empty("queries", queries)
    q, k = stack_layers("queries", queries), stack_layers("keys", keys)
    check_tokens(tokens)
    if q.shape != k.shape or q.shape[2] != len(tokens):
        raise ValueError(
            f"queries have shape {q.shape} and keys {k.shape} (layers, heads, tokens, head "
            f"dimension), but there are {len(tokens)} tokens: pass both of the same input."
        )
    if not (np.isfinite(q).all() and np.isfinite(k).all()):
        raise ValueError("queries or keys hold NaN or infinity: repair the model's input first.")
    return q, k


def check_index(what: str, index: int, count: int) -> None:
    """Raise ValueError unless `index` counts one of `count` things from 0."""
    if not 0 <= index < count:
        raise ValueError(f"{what} {index} does not exist: choose 0 to {count - 1}.")


def softmax_scores(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled dot products and their softmax, (..., T, S) each, of (..., T, d) and (..., S, d).

    Vaswani et al. (2017), "Attention Is All You Need", equation 1.
    """
    scores = queries @ np.swapaxes(keys, -1, -2) / np.sqrt(queries.shape[-1])
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return scores, exponentials / exponentials.sum(-1, keepdims=True)
