"""Search for a probable continuation: greedily, or with beams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from utils.decoding.filters import NOTHING_LEFT, ban_repeated_ngrams, check_logits
from utils.decoding.steps import (
    Continuations,
    Limits,
    Step,
    check_prompts,
    extend,
    prompt_padding,
    repeated_rows,
    without_padding,
)
from utils.inputs import check_count


def greedy(
    step: Step, ids: Tensor, cache: Any, *, no_repeat_ngram_size: int | None = None, **limits: Any
) -> Continuations:
    """Continue each text with its most probable token, again and again."""

    def best(logits: Tensor) -> Tensor:
        return logits.argmax(dim=-1)

    n = no_repeat_ngram_size
    return extend(step, ids, cache, best, Limits(**limits), no_repeat_ngram_size=n)


@dataclass(frozen=True)
class Beams(Continuations):
    """What beam search found, best first for each prompt.

    Attributes:
        scores: (B * num_return_sequences,) sum of a row's log-probabilities, divided by
            num_new ** length_penalty; -inf where there were not enough texts to return.
    """

    scores: Tensor


@dataclass(frozen=True)
class BeamStep:
    """One step of a beam search with b beams: its 2 b best candidates, best first.

    At the first step all beams are the prompt, of which only the first continues. A candidate of
    log-probability -inf is none: there were fewer.

    Attributes:
        prefixes: (B, b, T) the beams before the step, prompts included.
        parents: (B, 2 b) the beam that a candidate continues.
        tokens: (B, 2 b) what it adds.
        log_probs: (B, 2 b) its total log-probability, the prompt's not counted.
        is_kept: (B, 2 b) whether it goes on as a beam, or is finished.
        is_finished: (B, 2 b) whether it ended among the best b, and so may be returned.
    """

    prefixes: Tensor
    parents: Tensor
    tokens: Tensor
    log_probs: Tensor
    is_kept: Tensor
    is_finished: Tensor


@torch.inference_mode()
def beam_search(
    step: Step,
    ids: Tensor,
    cache: Any,
    *,
    num_beams: int,
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
    no_repeat_ngram_size: int | None = None,
    num_return_sequences: int = 1,
    on_step: Callable[[BeamStep], None] | None = None,
    **limits: Any,
) -> Beams:
    """Continue each prompt with several texts at once, and return the best that were found.

    At each step the beams' continuations compete; the best go on. Texts that end are kept apart
    and ranked by log-probability / length ** length_penalty (Wu et al. 2016, section 7, without
    their constant 5). All as in the library's `generate`, which this equals token by token.

    Args:
        num_beams: b, texts that go on per prompt.
        length_penalty: 0 compares sums of log-probabilities, 1 means; more favours long texts.
        early_stopping: when the search is over, after b texts have ended. True: at once; False:
            when the best beam, at its present length, does not surpass the worst of them; "never":
            when it could not at any length.
        on_step: gets a `BeamStep` after each step; there is no `on_token`.

    Returns:
        B * num_return_sequences rows, those of a prompt one after the other.
    """
    check_prompts(ids)
    check_count(num_beams=num_beams)
    if not 1 <= num_return_sequences <= num_beams:
        raise ValueError(
            f"num_return_sequences is {num_return_sequences}, but with num_beams={num_beams} it "
            f"can be from 1 to {num_beams}."
        )
    if early_stopping not in (True, False, "never"):
        raise ValueError(f"early_stopping is {early_stopping!r}: give True, False or 'never'.")
    if "on_token" in limits:
        raise ValueError("Beams have no on_token, as texts change until the end: use on_step.")
    limits = Limits(**limits)
    rows = repeated_rows(ids, num_beams)
    padding = prompt_padding(ids, cache)[rows]
    logits = step(ids, cache)  # (B, V)
    cache.reorder(rows)
    search = _Search(ids[rows], num_beams, length_penalty, early_stopping, limits)
    logits = logits[rows]  # (B * b, V)
    while True:
        check_logits(logits)
        log_probs = logits.float().log_softmax(dim=-1)
        if no_repeat_ngram_size is not None:
            words = without_padding(search.texts, padding)
            log_probs = ban_repeated_ngrams(log_probs, words, no_repeat_ngram_size)
        parents, report = search.advance(log_probs)
        if on_step is not None:
            on_step(report)
        if search.is_over:
            return search.best(num_return_sequences)
        cache.reorder(parents)
        logits = step(search.texts[:, -1:], cache)


@dataclass(frozen=True)
class _Hypotheses:
    """n texts for each of B prompts.

    Attributes:
        ids: (B, n, T + max_new), padding where nothing is written yet.
        log_probs: (B, n, max_new) of each new token, 0 where there is none.
        num_new: (B, n).
        scores: (B, n) what they are compared by; -inf if they are out.
    """

    ids: Tensor
    log_probs: Tensor
    num_new: Tensor
    scores: Tensor

    def take(self, places: Tensor) -> Self:
        """The texts at `places` (B, m) among the n."""
        return type(self)(
            self.ids.take_along_dim(places[..., None], dim=1),
            self.log_probs.take_along_dim(places[..., None], dim=1),
            self.num_new.take_along_dim(places, dim=1),
            self.scores.take_along_dim(places, dim=1),
        )

    def join(self, other: Self) -> Self:
        """These and the others, (B, n + m)."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return type(self)(*(torch.cat(pair, dim=1) for pair in pairs))

    def best(self, count: int) -> Self:
        """The `count` with the highest scores, best first."""
        return self.take(self.scores.topk(count).indices)


class _Search:
    """The beams that go on, and the best finished texts so far."""

    def __init__(
        self,
        prompts: Tensor,
        num_beams: int,
        length_penalty: float,
        early_stopping: bool | Literal["never"],
        limits: Limits,
    ) -> None:
        beams = prompts.view(-1, num_beams, prompts.shape[1])  # (B, b, T)
        self.num_beams, self.length_penalty = num_beams, length_penalty
        self.early_stopping, self.limits = early_stopping, limits
        self.num_prompt, self.num_new = prompts.shape[1], 0
        size = (*beams.shape[:2], limits.max_new_tokens)
        room = beams.new_full(size, limits.padding)  # (B, b, max_new)
        nothing = torch.zeros_like(room, dtype=torch.float)
        out = nothing.new_full(beams.shape[:2], -math.inf)
        ids = torch.cat((beams, room), dim=-1)  # (B, b, T + max_new)
        self.finished = _Hypotheses(ids, nothing, torch.zeros_like(beams[..., 0]), out)
        is_first = torch.arange(num_beams, device=ids.device) == 0
        # All beams are the prompt: the first one alone continues, or they would stay alike.
        self.running = replace(self.finished, scores=out.masked_fill(is_first, 0.0))
        self.can_improve = torch.ones_like(ids[:, :1, 0], dtype=torch.bool)  # (B, 1)

    @property
    def texts(self) -> Tensor:
        """(B * b, T) ids of the beams so far."""
        return self.running.ids[..., : self.num_prompt + self.num_new].flatten(0, 1)

    @property
    def is_full(self) -> Tensor:
        """(B, 1) whether there are b finished texts."""
        return self.finished.scores.isfinite().all(dim=1, keepdim=True)

    @property
    def is_over(self) -> bool:
        if self.num_new == self.limits.max_new_tokens or not bool(self.can_improve.any()):
            return True
        return self.early_stopping is True and bool(self.is_full.all())

    def advance(self, log_probs: Tensor) -> tuple[Tensor, BeamStep]:
        """Add a token to each beam, given log-probabilities (B * b, V) of the next one.

        Returns:
            (B * b,) rows of the cache that the new beams continue; what to tell the caller.
        """
        prefixes = self.running.ids[..., : self.num_prompt + self.num_new]
        parents, tokens, candidates = self._candidates(log_probs)
        is_last = self.num_new == self.limits.max_new_tokens
        ends = self.limits.finish(tokens) | is_last
        is_finished = ends & (torch.arange(ends.shape[1], device=ends.device) < self.num_beams)
        self._finish(candidates, is_finished)
        going_on = candidates.scores.masked_fill(ends, -math.inf)
        places = going_on.topk(self.num_beams).indices  # (B, b)
        self.running = replace(candidates, scores=going_on).take(places)
        self.can_improve &= self._may_still_win()
        goes_on = torch.zeros_like(ends).scatter(1, places, True) & ~ends
        report = BeamStep(
            prefixes, parents, tokens, candidates.scores, goes_on | is_finished, is_finished
        )
        first_rows = torch.arange(len(places), device=places.device)[:, None] * self.num_beams
        return (parents.take_along_dim(places, dim=1) + first_rows).flatten(), report

    def best(self, count: int) -> Beams:
        """The best finished texts of each prompt; ValueError where all were ruled out."""
        texts = self.finished.best(count)
        if not texts.scores[:, 0].isfinite().all():
            raise ValueError(NOTHING_LEFT)
        num_new = int(texts.num_new.max())
        return Beams(
            ids=texts.ids[..., : self.num_prompt + num_new].flatten(0, 1),
            log_probs=texts.log_probs[..., :num_new].flatten(0, 1),
            num_new=texts.num_new.flatten(),
            scores=texts.scores.flatten(),
        )

    def _candidates(self, log_probs: Tensor) -> tuple[Tensor, Tensor, _Hypotheses]:
        """The best 2 b ways to go on, of which at most b end: parents, tokens, texts."""
        batch_size, num_beams = self.running.scores.shape
        log_probs = log_probs.view(batch_size, num_beams, -1)  # (B, b, V)
        vocab_size = log_probs.shape[-1]
        totals = (self.running.scores[..., None] + log_probs).flatten(1)  # (B, b * V)
        scores, places = totals.topk(min(2 * num_beams, totals.shape[1]))
        parents, tokens = places // vocab_size, places % vocab_size
        texts = replace(self.running.take(parents), scores=scores)
        texts.ids[..., self.num_prompt + self.num_new] = tokens
        texts.log_probs[..., self.num_new] = log_probs.flatten(1).take_along_dim(places, dim=1)
        self.num_new += 1
        return parents, tokens, replace(texts, num_new=torch.full_like(tokens, self.num_new))

    def _finish(self, candidates: _Hypotheses, is_finished: Tensor) -> None:
        """Let candidates that end compete with those that ended earlier."""
        is_closed = ~self.can_improve
        if self.early_stopping is True:
            is_closed = is_closed | self.is_full
        ranks = candidates.scores / self.num_new**self.length_penalty
        ranks = ranks.masked_fill(~is_finished | is_closed, -math.inf)
        joined = self.finished.join(replace(candidates, scores=ranks))
        self.finished = joined.best(self.num_beams)

    def _may_still_win(self) -> Tensor:
        """(B, 1) whether the best beam could surpass a finished text, or fill its place."""
        grows = self.early_stopping == "never" and self.length_penalty > 0
        length = self.limits.max_new_tokens if grows else self.num_new
        best = self.running.scores[:, :1] / length**self.length_penalty
        return best > self.finished.scores.amin(dim=1, keepdim=True)
