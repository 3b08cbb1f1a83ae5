"""What decoding strategies ask of a model, what they return, and the loop that most of them are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from utils.decoding.filters import ban_repeated_ngrams

# Logits (B, V) after the tokens `ids` (B, T), which the cache then holds too: `step` of a decoder.
Step = Callable[[Tensor, Any], Tensor]


class Decoder(Protocol):
    """A model that keeps what it has seen in a cache: a `DecoderModel`, or a `LibraryDecoder`."""

    def new_cache(self, attention_mask: Tensor, max_new_tokens: int) -> Any:
        """An empty cache for prompts padded on the left, attention_mask (B, T) being 0 there."""

    def step(self, ids: Tensor, cache: Any) -> Tensor:
        """Logits (B, V) after the tokens `ids` (B, T), which the cache then holds too."""

    def states(self, ids: Tensor, cache: Any) -> Tensor:
        """States (B, T, D) after the last norm; the cache advances by T."""

    def logits(self, states: Tensor) -> Tensor:
        """Logits (..., V) of the next token after states (..., D)."""


@dataclass(frozen=True)
class Continuations:
    """Prompts and what a strategy added to them.

    Attributes:
        ids: (B, T + new) prompts, continuations, then padding where a text finished earlier.
        log_probs: (B, new) natural log-probability of each new token under the model itself (at
            temperature 1, nothing filtered); 0 at padding.
        num_new: (B,) tokens of each continuation, the end token counted.
    """

    ids: Tensor
    log_probs: Tensor
    num_new: Tensor

    @property
    def new_ids(self) -> list[list[int]]:
        """The continuation of each row without padding; the end token stays."""
        start = self.ids.shape[1] - self.log_probs.shape[1]
        rows = zip(self.ids[:, start:].tolist(), self.num_new.tolist(), strict=True)
        return [row[:num_new] for row, num_new in rows]


@dataclass(frozen=True)
class Limits:
    """Where continuations end, and who hears of their tokens.

    Attributes:
        max_new_tokens: at most so many; fewer if all texts are finished earlier.
        eos_id: the token that finishes a text; none by default.
        pad_id: fills the row of a finished text, `eos_id` by default.
        on_token: gets the newest tokens (B,) after each step, padding in rows that are finished.
    """

    max_new_tokens: int
    eos_id: int | None = None
    pad_id: int | None = None
    on_token: Callable[[Tensor], None] | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}: ask for 1 or more.")

    @property
    def padding(self) -> int:
        """What stands where there is no token; 0 where nothing can finish early."""
        return (self.eos_id or 0) if self.pad_id is None else self.pad_id


@torch.inference_mode()
def extend(
    step: Step,
    ids: Tensor,
    cache: Any,
    choose: Callable[[Tensor], Tensor],
    limits: Limits,
    *,
    copies: int = 1,
    no_repeat_ngram_size: int | None = None,
) -> Continuations:
    """Continue texts with the tokens (B,) that `choose` takes from logits (B, V), step by step.

    Of each prompt there are `copies` rows, which share the pass over the prompt.
    """
    check_prompts(ids)
    logits = step(ids, cache)  # (B, V)
    if copies > 1:
        rows = repeated_rows(ids, copies)
        cache.reorder(rows)
        ids, logits = ids[rows], logits[rows]
    texts = Texts(ids, limits)
    while True:
        allowed = logits.float()
        if no_repeat_ngram_size is not None:
            allowed = ban_repeated_ngrams(allowed, texts.so_far, no_repeat_ngram_size)
        new = texts.append(choose(allowed), logits)
        if texts.are_finished:
            return texts.continuations()
        logits = step(new[:, None], cache)


def repeated_rows(ids: Tensor, times: int) -> Tensor:
    """(B * times,) indices that repeat each row of `ids` in place."""
    return torch.arange(len(ids), device=ids.device).repeat_interleave(times)


def check_prompts(ids: Tensor) -> None:
    """Raise ValueError if there is no prompt to continue."""
    if ids.ndim != 2 or ids.numel() == 0:
        shape = tuple(ids.shape)
        raise ValueError(f"Prompts have shape {shape}: give (batch, tokens), at least one each.")


def log_probs_from_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability (..., L) of each label, given logits (..., L, V) of its position.

    ValueError if there is not one label per position.
    """
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but the logits {tuple(logits.shape)}: give "
            "one label per position."
        )
    logits = logits.float()
    return logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(dim=-1)


class Texts:
    """Texts that grow by a token each, until all of them are finished or long enough."""

    def __init__(self, prompts: Tensor, limits: Limits) -> None:
        batch_size, self.length = prompts.shape
        room = prompts.new_zeros(batch_size, limits.max_new_tokens)
        self.ids = torch.cat((prompts, room), dim=1)  # (B, T + max_new)
        self.log_probs: list[Tensor] = []  # of (B,)
        self.is_finished = torch.zeros_like(prompts[:, 0], dtype=torch.bool)
        self.num_new = torch.zeros_like(prompts[:, 0])
        self.limits = limits

    @property
    def so_far(self) -> Tensor:
        return self.ids[:, : self.length]

    @property
    def room(self) -> int:
        """How many tokens may still follow."""
        return self.ids.shape[1] - self.length

    @property
    def are_finished(self) -> bool:
        return self.room == 0 or (self.limits.eos_id is not None and bool(self.is_finished.all()))

    def append(self, new: Tensor, logits: Tensor) -> Tensor:
        """The tokens (B,) as they are kept and told: padding in rows that were finished before."""
        log_probs = log_probs_from_logits(logits, new)
        self.num_new += ~self.is_finished
        if self.limits.eos_id is not None:
            log_probs = log_probs.masked_fill(self.is_finished, 0.0)
            new = new.masked_fill(self.is_finished, self.limits.padding)
            self.is_finished |= new == self.limits.eos_id
        self.log_probs.append(log_probs)
        self.ids[:, self.length] = new
        self.length += 1
        if self.limits.on_token is not None:
            self.limits.on_token(new)
        return new

    def continuations(self) -> Continuations:
        return Continuations(self.so_far, torch.stack(self.log_probs, dim=1), self.num_new)
