"""Contrastive search: probable tokens whose states differ from those of the text so far."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.decoding.steps import Continuations, Decoder, Limits, extend
from utils.inputs import check_count


def contrastive_search(
    decoder: Decoder, ids: Tensor, cache: Any, *, k: int = 4, penalty: float = 0.6, **limits: Any
) -> Continuations:
    """Continue each text with the best compromise of probable and new (Su et al. 2022, eq. 5).

    Of the k most probable tokens v, the one with the highest

        (1 - penalty) p(v | text) - penalty · max over tokens x of the text of cos(h_v, h_x)

    where h is the state after the last norm, of v as if it were appended. The candidates of all
    texts go through the model in one call, and the chosen one need not go again.

    Args:
        cache: a new one for these prompts; it ends with k rows for each.
        k: candidates per step; 1 is greedy search.
        penalty: from 0, which is greedy search too, to 1, which takes the least similar.
    """
    check_count(k=k)
    if not 0 <= penalty <= 1:
        raise ValueError(f"penalty is {penalty}: choose a number from 0 to 1.")
    contrast = _Contrast(decoder, cache, k, penalty)
    return extend(contrast.step, ids, cache, contrast.choose, Limits(**limits))


class _Contrast:
    """Chooses tokens by their states, which is why a token has taken its step when it is chosen.

    Attributes:
        rows: (B,) of the cache that hold the texts so far.
        newest: (B, D) states of the last tokens.
        seen: (B, S, D) directions of the states of all tokens so far, of length 1.
    """

    rows: Tensor
    newest: Tensor
    seen: Tensor

    def __init__(self, decoder: Decoder, cache: Any, k: int, penalty: float) -> None:
        self.decoder, self.cache = decoder, cache
        self.k, self.penalty = k, penalty

    def step(self, ids: Tensor, cache: Any) -> Tensor:
        """Logits (B, V) after prompts (B, T), or after the tokens (B, 1) chosen last."""
        if cache.length == 0:
            self._read(ids)
        return self.decoder.logits(self.newest)

    def choose(self, logits: Tensor) -> Tensor:
        """The tokens (B,) with the best scores among k candidates each."""
        probs = logits.softmax(dim=-1)  # (B, V)
        probs, tokens = probs.topk(min(self.k, probs.shape[-1]))  # (B, k) both
        states = self._states(tokens)  # (B, k, D)
        directions = _directions(states)
        similarity = (directions @ self.seen.mT).amax(dim=-1)  # (B, k)
        best = ((1 - self.penalty) * probs - self.penalty * similarity).argmax(dim=-1)  # (B,)
        texts = torch.arange(len(best), device=best.device)
        self.rows = texts * tokens.shape[1] + best
        self.newest = states[texts, best]
        self.seen = torch.cat((self.seen, directions[texts, best][:, None]), dim=1)
        return tokens[texts, best]

    def _read(self, ids: Tensor) -> None:
        """Take in the prompts (B, T); padding repeats the last state, which moves no maximum."""
        states = self.decoder.states(ids, self.cache)  # (B, T, D)
        is_token = self.cache.is_token[:, : ids.shape[1], None]
        self.rows = torch.arange(len(ids), device=ids.device)
        self.newest = states[:, -1]
        self.seen = _directions(states.where(is_token, states[:, -1:]))

    def _states(self, tokens: Tensor) -> Tensor:
        """(B, k, D) of the candidates (B, k), each in its own row of the cache."""
        num_candidates = tokens.shape[1]
        self.cache.reorder(self.rows.repeat_interleave(num_candidates))
        states = self.decoder.states(tokens.reshape(-1, 1), self.cache)  # (B * k, 1, D)
        return states.view(*tokens.shape, -1)


def _directions(states: Tensor) -> Tensor:
    """States (…, D) scaled to length 1, in float32, so that their products are cosines."""
    return F.normalize(states.float(), dim=-1)
