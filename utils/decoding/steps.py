"""What decoding strategies ask of a model, what they return, and the loop that most of them are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from utils.decoding.filters import PADDING, ban_repeated_ngrams, check_logits

# Logits (B, V) after the tokens `ids` (B, T), which the cache then holds too: `step` of a decoder.
Step = Callable[[Tensor, Any], Tensor]
IGNORED = -100  # a label that counts for nothing, as in torch's cross-entropy


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
        eos_id: the token that finishes a text, or several that do; none by default.
        pad_id: fills the row of a finished text, the (first) `eos_id` by default.
        on_token: gets the newest tokens (B,) after each step, padding in rows that are finished.
    """

    max_new_tokens: int
    eos_id: int | Sequence[int] | None = None
    pad_id: int | None = None
    on_token: Callable[[Tensor], None] | None = None

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}: ask for 1 or more.")

    @property
    def eos_ids(self) -> list[int]:
        ids = [] if self.eos_id is None else self.eos_id
        return [ids] if isinstance(ids, int) else list(ids)

    @property
    def padding(self) -> int:
        """What stands where there is no token; 0 where nothing can finish early."""
        return [*self.eos_ids, 0][0] if self.pad_id is None else self.pad_id

    def finish(self, tokens: Tensor) -> Tensor:
        """Which of the tokens finish their texts."""
        return torch.isin(tokens, tokens.new_tensor(self.eos_ids))


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
    padding = prompt_padding(ids, cache)
    logits = step(ids, cache)  # (B, V)
    if copies > 1:
        rows = repeated_rows(ids, copies)
        cache.reorder(rows)
        ids, logits, padding = ids[rows], logits[rows], padding[rows]
    texts = Texts(ids, limits)
    while True:
        allowed = logits.float()
        if no_repeat_ngram_size is not None:
            words = without_padding(texts.so_far, padding)
            allowed = ban_repeated_ngrams(allowed, words, no_repeat_ngram_size)
        check_logits(allowed[~texts.is_finished])
        new = texts.append(choose(allowed), logits)
        if texts.are_finished:
            return texts.continuations()
        logits = step(new[:, None], cache)


def prompt_padding(ids: Tensor, cache: Any) -> Tensor:
    """(B, T) whether a place of the prompts is padding, as their new cache knows."""
    is_token = getattr(cache, "is_token", None)  # a toy's cache knows of no padding
    return torch.zeros_like(ids, dtype=bool) if is_token is None else ~is_token[:, : ids.shape[1]]


def without_padding(texts: Tensor, padding: Tensor) -> Tensor:
    """Texts (B, T + new) with an id that no token has where the prompts (B, T) are padding."""
    prompts = texts[:, : padding.shape[1]].masked_fill(padding, PADDING)
    return torch.cat((prompts, texts[:, padding.shape[1] :]), dim=1)


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

    0 where the label is -100, which is to be ignored. ValueError if there is not one label per
    position.
    """
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but the logits {tuple(logits.shape)}: give "
            "one label per position."
        )
    logits, is_ignored = logits.float(), labels == IGNORED
    chosen = labels.masked_fill(is_ignored, 0)[..., None]
    log_probs = logits.gather(-1, chosen)[..., 0] - logits.logsumexp(dim=-1)
    return log_probs.masked_fill(is_ignored, 0.0)


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
        return self.room == 0 or bool(self.is_finished.all())

    def append(self, new: Tensor, logits: Tensor) -> Tensor:
        """The tokens (B,) as they are kept and told: padding in rows that were finished before."""
        log_probs = log_probs_from_logits(logits, new)
        self.num_new += ~self.is_finished
        if self.limits.eos_ids:
            log_probs = log_probs.masked_fill(self.is_finished, 0.0)
            new = new.masked_fill(self.is_finished, self.limits.padding)
            self.is_finished |= self.limits.finish(new)
        self.log_probs.append(log_probs)
        self.ids[:, self.length] = new
        self.length += 1
        if self.limits.on_token is not None:
            self.limits.on_token(new)
        return new

    def continuations(self) -> Continuations:
        return Continuations(self.so_far, torch.stack(self.log_probs, dim=1), self.num_new)
