"""Search for a probable continuation: greedily, or with beams."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor

from utils.decoding.filters import ban_repeated_ngrams
from utils.decoding.steps import (
    Continuations,
    OnToken,
    Step,
    check_prompts,
    extend,
    repeated_rows,
)


def greedy(
    step: Step,
    ids: Tensor,
    cache: Any,
    *,
    max_new_tokens: int,
    no_repeat_ngram_size: int | None = None,
    eos_id: int | None = None,
    pad_id: int | None = None,
    on_token: OnToken | None = None,
) -> Continuations:
    """Continue each text with its most probable token, again and again.

    Args:
        step: the model.
        ids: (B, T) prompts; their padding, on the left, is known to the cache.
        cache: a new one for these prompts, with room for the new tokens.
        max_new_tokens: at most so many; fewer if all texts are finished earlier.
        no_repeat_ngram_size: n if no n-gram may occur twice, see `ban_repeated_ngrams`.
        eos_id: the token that finishes a text; none by default.
        pad_id: fills the row of a finished text, `eos_id` by default.
        on_token: gets the newest tokens (B,) after each step.

    Raises:
        ValueError: the prompts are empty, no token is asked for, or n is below 1.
        ContextLengthError: prompts and new tokens do not fit the cache.
    """
    return extend(
        step,
        ids,
        cache,
        lambda logits: logits.argmax(dim=-1),
        max_new_tokens=max_new_tokens,
        no_repeat_ngram_size=no_repeat_ngram_size,
        eos_id=eos_id,
        pad_id=pad_id,
        on_token=on_token,
    )


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
    max_new_tokens: int,
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
    no_repeat_ngram_size: int | None = None,
    num_return_sequences: int = 1,
    eos_id: int | None = None,
    pad_id: int | None = None,
    on_step: Callable[[BeamStep], None] | None = None,
) -> Beams:
    """Continue each prompt with several texts at once, and return the best that were found.

    At each step the beams' continuations compete; the best go on. Texts that end are kept apart
    and ranked by log-probability / length ** length_penalty (Wu et al. 2016, section 7, without
    their constant 5). All as in the library's `generate`, which this equals token by token.

    Args:
        step: the model.
        ids: (B, T) prompts; their padding, on the left, is known to the cache.
        cache: a new one for these prompts, with room for the new tokens.
        num_beams: b, texts that go on per prompt.
        max_new_tokens: at most so many; fewer if the search is over earlier.
        length_penalty: 0 compares sums of log-probabilities, 1 means; more favours long texts.
        early_stopping: when the search is over, after b texts have ended. True: at once; False:
            when the best beam, at its present length, does not surpass the worst of them; "never":
            when it could not at any length.
        no_repeat_ngram_size: n if no n-gram may occur twice, see `ban_repeated_ngrams`.
        num_return_sequences: texts to return per prompt.
        eos_id: the token that finishes a text; none by default.
        pad_id: fills the row of a finished text, `eos_id` by default.
        on_step: gets a `BeamStep` after each step.

    Returns:
        B * num_return_sequences rows, those of a prompt one after the other.

    Raises:
        ValueError: the prompts are empty, or a number is out of its range.
        ContextLengthError: prompts and new tokens do not fit the cache.
    """
    check_prompts(ids, max_new_tokens)
    _check_beams(num_beams, num_return_sequences, early_stopping)
    rules = _Rules(
        num_beams, max_new_tokens, length_penalty, early_stopping, -1 if eos_id is None else eos_id
    )
    logits = step(ids, cache)  # (B, V)
    rows = repeated_rows(ids, num_beams)
    cache.reorder(rows)
    search = _Search(ids[rows], rules, eos_id if pad_id is None else pad_id)
    logits = logits[rows]  # (B * b, V)
    while True:
        log_probs = logits.float().log_softmax(dim=-1)
        if no_repeat_ngram_size is not None:
            log_probs = ban_repeated_ngrams(log_probs, search.texts, no_repeat_ngram_size)
        parents, report = search.advance(log_probs)
        if on_step is not None:
            on_step(report)
        if search.is_over:
            return search.best(num_return_sequences)
        cache.reorder(parents)
        logits = step(search.texts[:, -1:], cache)


def _check_beams(num_beams: int, num_return_sequences: int, early_stopping: object) -> None:
    if num_beams < 1:
        raise ValueError(f"num_beams is {num_beams}: ask for 1 or more.")
    if not 1 <= num_return_sequences <= num_beams:
        raise ValueError(
            f"num_return_sequences is {num_return_sequences}, but with num_beams={num_beams} it "
            f"can be from 1 to {num_beams}."
        )
    if early_stopping not in (True, False, "never"):
        raise ValueError(f"early_stopping is {early_stopping!r}: give True, False or 'never'.")


@dataclass(frozen=True)
class _Rules:
    """Settings of a beam search that stay the same at all its steps."""

    num_beams: int
    max_new_tokens: int
    length_penalty: float
    early_stopping: bool | Literal["never"]
    eos_id: int  # -1 if no token ends a text

    def ranks(self, log_probs: Tensor, num_new: int) -> Tensor:
        """Scores of texts of one length, from their total log-probabilities."""
        return log_probs / num_new**self.length_penalty

    def best_possible(self, log_probs: Tensor, num_new: int) -> Tensor:
        """The score that a running text may still get, by the heuristic of `early_stopping`."""
        grows = self.early_stopping == "never" and self.length_penalty > 0
        return self.ranks(log_probs, self.max_new_tokens if grows else num_new)


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
        return type(self)(
            torch.cat((self.ids, other.ids), dim=1),
            torch.cat((self.log_probs, other.log_probs), dim=1),
            torch.cat((self.num_new, other.num_new), dim=1),
            torch.cat((self.scores, other.scores), dim=1),
        )

    def best(self, count: int) -> Self:
        """The `count` with the highest scores, best first."""
        return self.take(self.scores.topk(count).indices)


class _Search:
    """The beams that go on, and the best finished texts so far."""

    def __init__(self, prompts: Tensor, rules: _Rules, pad_id: int | None) -> None:
        shape = (-1, rules.num_beams, prompts.shape[1])
        beams = prompts.view(shape)  # (B, b, T)
        self.rules = rules
        self.num_prompt = prompts.shape[1]
        self.num_new = 0
        room = beams.new_full((*beams.shape[:2], rules.max_new_tokens), pad_id or 0)
        nothing = torch.zeros_like(room, dtype=torch.float)
        out = nothing.new_full(beams.shape[:2], -math.inf)
        ids = torch.cat((beams, room), dim=-1)  # (B, b, T + max_new)
        self.finished = _Hypotheses(ids, nothing, torch.zeros_like(beams[..., 0]), out)
        is_first = torch.arange(rules.num_beams, device=ids.device) == 0
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
        if self.num_new == self.rules.max_new_tokens or not bool(self.can_improve.any()):
            return True
        return self.rules.early_stopping is True and bool(self.is_full.all())

    def advance(self, log_probs: Tensor) -> tuple[Tensor, BeamStep]:
        """Add a token to each beam, given log-probabilities (B * b, V) of the next one.

        Returns:
            (B * b,) rows of the cache that the new beams continue; what to tell the caller.
        """
        num_beams = self.rules.num_beams
        prefixes = self.running.ids[..., : self.num_prompt + self.num_new]
        parents, tokens, candidates = self._candidates(log_probs)
        is_last = self.num_new == self.rules.max_new_tokens
        ends = (tokens == self.rules.eos_id) | is_last
        is_finished = ends & (torch.arange(ends.shape[1], device=ends.device) < num_beams)
        self._finish(candidates, is_finished)
        going_on = candidates.scores.masked_fill(ends, -math.inf)
        places = going_on.topk(num_beams).indices  # (B, b)
        self.running = replace(candidates, scores=going_on).take(places)
        self.can_improve &= self._may_still_win()
        goes_on = torch.zeros_like(ends).scatter(1, places, True) & ~ends
        report = BeamStep(
            prefixes, parents, tokens, candidates.scores, goes_on | is_finished, is_finished
        )
        first_rows = torch.arange(len(places), device=places.device)[:, None] * num_beams
        return (parents.take_along_dim(places, dim=1) + first_rows).flatten(), report

    def best(self, count: int) -> Beams:
        """The best finished texts of each prompt."""
        texts = self.finished.best(count)
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
        if self.rules.early_stopping is True:
            is_closed = is_closed | self.is_full
        ranks = self.rules.ranks(candidates.scores, self.num_new)
        ranks = ranks.masked_fill(~is_finished | is_closed, -math.inf)
        joined = self.finished.join(replace(candidates, scores=ranks))
        self.finished = joined.best(self.rules.num_beams)

    def _may_still_win(self) -> Tensor:
        """(B, 1) whether the best beam could surpass a finished text, or fill its place."""
        best = self.rules.best_possible(self.running.scores[:, :1], self.num_new)
        return best > self.finished.scores.amin(dim=1, keepdim=True)
