"""Filters over the logits of the next token: what may be drawn at all, and how boldly.

Each takes logits (..., V) and returns logits of the same shape, -inf where a token is out, or
raises ValueError for a setting out of its range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from utils.inputs import check_count

OUT = -math.inf
PADDING = -1  # stands for what is no token of a text
COLD = 1e-3
NOTHING_LEFT = "Every token is ruled out: loosen what bans them, such as no_repeat_ngram_size."


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Logits / T: below 1 the distribution is sharper, above 1 flatter (Ackley et al. 1985)."""
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature is {temperature}: choose a positive number; greedy is its limit at 0."
        )
    if temperature < COLD:  # or the quotients would overflow
        logits = logits - logits.amax(dim=-1, keepdim=True)
        temperature = max(temperature, torch.finfo(logits.dtype).tiny)
    return logits / temperature


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Keep the k most probable tokens, and what ties with the last of them (Fan et al. 2018)."""
    if not isinstance(k, Integral) or k < 1:
        raise ValueError(f"top_k is {k}: choose 1 or more, or leave it out to keep all.")
    kth_best = logits.topk(min(k, logits.shape[-1])).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < kth_best, OUT)


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep the nucleus, the fewest tokens that together reach probability p in (0, 1].

    Of equally probable ones some may be out (Holtzman et al. 2019).
    """
    _check_share("top_p", p)
    ascending, tokens = logits.sort()
    mass_up_to = ascending.softmax(dim=-1).cumsum(dim=-1)  # (..., V), of a token and all below
    is_tail = mass_up_to <= 1 - p
    is_tail[..., -1] = False
    return logits.masked_fill(_in_vocabulary_order(is_tail, tokens), OUT)


def min_p_filter(logits: Tensor, p: float) -> Tensor:
    """Keep tokens with at least p times the probability of the best one (Nguyen et al. 2024)."""
    _check_share("min_p", p)
    best = logits.amax(dim=-1, keepdim=True)
    return logits.masked_fill(logits < best + math.log(p), OUT)


def typical_filter(logits: Tensor, mass: float) -> Tensor:
    """Keep tokens whose surprise is closest to the entropy, up to `mass` (Meister et al. 2022).

    What ties with the last of them stays, too. The most probable token may be out: it can be less
    surprising than text usually is.
    """
    _check_share("typical_p", mass)
    if mass == 1:
        return logits
    surprise = -logits.log_softmax(dim=-1)  # (..., V)
    entropy = torch.special.entr(logits.softmax(dim=-1)).sum(dim=-1, keepdim=True)
    deviation, tokens = (surprise - entropy).abs().sort()
    mass_up_to = logits.gather(-1, tokens).softmax(dim=-1).cumsum(dim=-1)
    num_kept = (mass_up_to < mass).sum(dim=-1, keepdim=True).clamp(max=logits.shape[-1] - 1)
    is_out = deviation > deviation.gather(-1, num_kept)
    return logits.masked_fill(_in_vocabulary_order(is_out, tokens), OUT)


def ban_repeated_ngrams(logits: Tensor, ids: Tensor, n: int) -> Tensor:
    """Rule out tokens that would complete an n-gram the text already has.

    Paulus et al. 2017 use it for summaries, Klein et al. 2017 (OpenNMT) for translation.

    Args:
        logits: (B, V).
        ids: (B, T) texts so far, prompts included; below 0 at padding, which is no part of them.
        n: 1 rules out every token that has occurred.
    """
    check_count(no_repeat_ngram_size=n)
    if ids.shape[1] < n:
        return logits
    ngrams = ids.unfold(1, n, 1)  # (B, T - n + 1, n)
    begun = ids[:, ids.shape[1] - n + 1 :]  # (B, n - 1)
    is_completion = (ngrams[..., :-1] == begun[:, None]).all(dim=-1)  # (B, T - n + 1)
    is_completion &= (ngrams >= 0).all(dim=-1)
    last = ngrams[..., -1].clamp(min=0)
    counts = torch.zeros_like(logits).scatter_add_(1, last, is_completion.to(logits))
    return logits.masked_fill(counts > 0, OUT)


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: temperature, then every filter that is set, in this order.

    The order is that of the library's `generate`, but nothing is set by default (there top_k is 50
    unless told otherwise).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None

    def __post_init__(self) -> None:
        self(torch.zeros(2))  # each filter checks its own setting

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits (..., V) after temperature and filters, -inf where a token is out."""
        logits = apply_temperature(logits, self.temperature)
        for name, keep in FILTERS.items():
            setting = getattr(self, name)
            if setting is not None:
                logits = keep(logits, setting)
        return logits


FILTERS = {
    "top_k": top_k_filter,
    "top_p": top_p_filter,
    "min_p": min_p_filter,
    "typical_p": typical_filter,
}
PLAIN = Sampling()  # the model's own distribution


def _in_vocabulary_order(values: Tensor, tokens: Tensor) -> Tensor:
    """Values (..., V) of sorted tokens, put back to where those tokens are."""
    return torch.empty_like(values).scatter_(-1, tokens, values)


def check_logits(logits: Tensor) -> None:
    """Raise ValueError unless each row of logits (B, V) leaves something to choose from."""
    best = logits.amax(dim=-1)
    if not (best < math.inf).all():  # NaN is not below anything
        raise ValueError(
            "The model's logits are not finite: its weights are damaged, or its numbers overflow."
        )
    if (best == OUT).any():
        raise ValueError(NOTHING_LEFT)


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f"{name} is {value}: choose a number above 0 and at most 1.")
