"""Draw continuations at random, as the model's probabilities say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.decoding.filters import PLAIN, Sampling
from utils.decoding.steps import Continuations, Limits, Step, extend
from utils.inputs import check_count


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
        num_samples: continuations of each prompt; they share the pass over it.
        generator: of random numbers, on the device of `ids`; torch's global one by default.

    Returns:
        B * num_samples rows, those of a prompt one after the other.
    """
    check_count(num_samples=num_samples)

    def draw(logits: Tensor) -> Tensor:
        probs = sampling(logits).softmax(dim=-1)
        return torch.multinomial(probs, num_samples=1, generator=generator)[:, 0]

    options = {"copies": num_samples, "no_repeat_ngram_size": no_repeat_ngram_size}
    return extend(step, ids, cache, draw, Limits(**limits), **options)
