"""Draw continuations at random, as the model's probabilities say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.decoding.filters import PLAIN, Sampling
from utils.decoding.steps import Continuations, OnToken, Step, extend


def sample(
    step: Step,
    ids: Tensor,
    cache: Any,
    sampling: Sampling = PLAIN,
    *,
    max_new_tokens: int,
    num_samples: int = 1,
    no_repeat_ngram_size: int | None = None,
    generator: torch.Generator | None = None,
    eos_id: int | None = None,
    pad_id: int | None = None,
    on_token: OnToken | None = None,
) -> Continuations:
    """Continue each text with tokens drawn from the model's distribution.

    Args:
        step: the model.
        ids: (B, T) prompts; their padding, on the left, is known to the cache.
        cache: a new one for these prompts, with room for the new tokens.
        sampling: temperature and filters; the model's own distribution by default.
        max_new_tokens: at most so many; fewer if all texts are finished earlier.
        num_samples: continuations of each prompt; they share the pass over it.
        no_repeat_ngram_size: n if no n-gram may occur twice, see `ban_repeated_ngrams`.
        generator: of random numbers, on the device of `ids`; torch's global one by default.
        eos_id: the token that finishes a text; none by default.
        pad_id: fills the row of a finished text, `eos_id` by default.
        on_token: gets the newest tokens (B * num_samples,) after each step.

    Returns:
        B * num_samples rows, those of a prompt one after the other.

    Raises:
        ValueError: the prompts are empty, no token or no sample is asked for, or n is below 1.
        ContextLengthError: prompts and new tokens do not fit the cache.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}: ask for 1 or more.")

    def draw(logits: Tensor) -> Tensor:
        probs = sampling(logits).softmax(dim=-1)
        return torch.multinomial(probs, num_samples=1, generator=generator)[:, 0]

    return extend(
        step,
        ids,
        cache,
        draw,
        max_new_tokens=max_new_tokens,
        copies=num_samples,
        no_repeat_ngram_size=no_repeat_ngram_size,
        eos_id=eos_id,
        pad_id=pad_id,
        on_token=on_token,
    )
