"""Which query may attend to which key: boolean masks, True where it may."""

import torch
from torch import Tensor


def causal_mask(
    num_queries: int, num_keys: int | None = None, device: torch.device | None = None
) -> Tensor:
    """(T, S) mask under which each query sees its own position and everything before it.

    The T queries are the last positions of the S keys, as in a step with a cache; by default
    S = T, the lower triangle (Vaswani et al. 2017, section 3.2.3).
    """
    num_keys = num_queries if num_keys is None else num_keys
    if num_keys < num_queries:
        raise ValueError(f"{num_queries} queries need at least as many keys, not {num_keys}.")
    everything = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    return everything.tril(diagonal=num_keys - num_queries)


def padding_mask(attention_mask: Tensor) -> Tensor:
    """(B, 1, 1, S) mask for all heads and queries from a tokenizer's (B, S) mask of 0 and 1."""
    if attention_mask.ndim != 2:
        shape = tuple(attention_mask.shape)
        raise ValueError(f"The attention mask must have shape (batch, tokens), not {shape}.")
    return attention_mask.bool()[:, None, None, :]


def padded_causal_mask(is_token: Tensor, num_queries: int) -> Tensor:
    """(B, 1, T, S) mask: causal, and no key that is padding.

    A padding query would see nothing, and a softmax over nothing is NaN: therefore every query may
    see its own position. No real token ever looks at the outputs of padding. `is_token` (B, S) is 0
    at padding; the T queries are the last positions of the S.
    """
    num_keys = is_token.shape[1]
    causal = causal_mask(num_queries, num_keys, is_token.device)  # (T, S)
    itself = causal.triu(num_keys - num_queries)  # (T, S), the last True of each row
    return (causal & is_token.bool()[:, None, None, :]) | itself  # (B, 1, T, S)
