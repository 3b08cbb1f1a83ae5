"""Draw continuations at random, as the model's probabilities say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.decoding.filters import PLAIN, Sampling, check_count
from utils.decoding.steps import Continuations, Limits, Step, extend


def sample(
    step: Step,
    ids: Tensor,
    cache: Any,
    sampling: Sampling = PLAIN,
    *,
    num_samples: int = 1,
    no_repeat_ngram_size: int | None = None,
    generator: torch.Generator | None = None,
    **limits: Any,
) -> Continuations:
    """Continue each text with tokens drawn from the model's distribution.

    Args:
        ids: (B, T) prompts; their padding, on the left, is known to the cache.
        cache: a new one for these prompts, with room for the new tokens.
        sampling: temperature and filters; the model's own distribution by default.
        num_samples: continuations of each prompt; they share the pass over it.
        no_repeat_ngram_size: n if no n-gram may occur twice, see `ban_repeated_ngrams`.
        generator: of random numbers, on the device of `ids`; torch's global one by default.
        limits: those of `Limits`: `max_new_tokens`, and if need be `eos_id`, `pad_id`, `on_token`.

    Returns:
        B * num_samples rows, those of a prompt one after the other.

    Raises:
        ValueError: the prompts are empty, or a number is out of its range.
        ContextLengthError: prompts and new tokens do not fit the cache.
    """
    check_count("num_samples", num_samples)

    def draw(logits: Tensor) -> Tensor:
        probs = sampling(logits).softmax(dim=-1)
        return torch.multinomial(probs, num_samples=1, generator=generator)[:, 0]

    options = {"copies": num_samples, "no_repeat_ngram_size": no_repeat_ngram_size}
    return extend(step, ids, cache, draw, Limits(**limits), **options)
