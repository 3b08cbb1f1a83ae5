"""Speculative sampling: a cheap draft runs ahead, and the model reads its tokens in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.decoding.filters import PLAIN, Sampling, check_logits
from utils.decoding.steps import Continuations, Decoder, Limits, Texts, check_prompts
from utils.inputs import check_count


class Draft(Protocol):
    """Guesses how a text goes on; right guesses save time, wrong ones change nothing else."""

    def __call__(
        self, text: Tensor, num_drafted: int, sampling: Sampling, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Ids (g,) that may follow `text` (T,), and the distributions they were drawn from.

        These are (g, W) over the first W ids, each given the text and the ids before it. There are
        at most `num_drafted`, fewer or none where there is no good guess. `sampling` is how the
        model's tokens will be drawn: a draft drawn likewise is right more often.
        """


@dataclass(frozen=True)
class NgramDraft:
    """What followed the last tokens where they stood before: an n-gram model of the text itself.

    Contexts are as long as were seen before, up to `max_context`; where not even the last token
    was, nothing is drafted. The library calls the like prompt lookup (Saxena 2023).
    """

    max_context: int = 3

    def __post_init__(self) -> None:
        check_count(max_context=self.max_context)

    def __call__(
        self, text: Tensor, num_drafted: int, sampling: Sampling, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """See `Draft`; the counts are drawn from as `sampling` says."""
        length = len(text)
        distributions = text.new_zeros(num_drafted, int(text.max()) + 1, dtype=torch.float)
        for distribution in distributions:
            followers, counts = self.followers(text).unique(return_counts=True)  # (m,) both
            if len(followers) == 0:
                break
            probs = sampling(counts.log()).softmax(dim=-1)
            distribution[followers] = probs
            drawn = torch.multinomial(probs, num_samples=1, generator=generator)
            text = torch.cat((text, followers[drawn]))
        drafted = text[length:]
        return drafted, distributions[: len(drafted)]

    def followers(self, text: Tensor) -> Tensor:
        """The tokens (m,) that followed the longest context that ends `text` (T,), if any."""
        for size in range(min(self.max_context, len(text) - 1), 0, -1):
            contexts = text[:-1].unfold(0, size, 1)  # (T - size, size)
            is_same = (contexts == text[-size:]).all(dim=-1)
            if is_same.any():
                return text[size:][is_same]
        return text[:0]


LOOKUP = NgramDraft()


@dataclass(frozen=True)
class Speculation(Continuations):
    """A continuation and what it took.

    Attributes:
        num_drafted: tokens that the draft proposed.
        num_accepted: tokens among these that the model accepted.
        num_calls: passes through the model, that over the prompt included.
    """

    num_drafted: int
    num_accepted: int
    num_calls: int


@torch.inference_mode()
def speculative_sample(
    decoder: Decoder,
    ids: Tensor,
    cache: Any,
    draft: Draft = LOOKUP,
    sampling: Sampling = PLAIN,
    *,
    num_drafted: int = 4,
    generator: torch.Generator | None = None,
    **limits: Any,
) -> Speculation:
    """Draw a continuation from the same distribution as `sample`, with fewer calls of the model.

    A call reads the last token and the drafted ones, keeps as many of these as Leviathan et al.
    2023 (Algorithm 1; Chen et al. 2023, Algorithm 2) accept, and adds one of the model's own.
    With Sampling(top_k=1) that is greedy search, but for ties.

    Args:
        ids: (1, T), one prompt.
        num_drafted: tokens to draft for a call, at most.
        generator: of random numbers, on the device of `ids`; torch's global one by default.
    """
    check_prompts(ids)
    if len(ids) != 1:
        raise ValueError(f"There are {len(ids)} prompts: speculative sampling takes one at a time.")
    check_count(num_drafted=num_drafted)
    texts = Texts(ids, Limits(**limits))
    counts = {"num_drafted": 0, "num_accepted": 0, "num_calls": 0}
    while not texts.are_finished:
        text = texts.so_far[0]  # (T,)
        drafted, draft_probs = draft(text, min(num_drafted, texts.room - 1), sampling, generator)
        logits = _read(decoder, cache, text, drafted)  # (g + 1, V)
        check_logits(logits)
        new = accept(drafted, draft_probs, sampling(logits).softmax(dim=-1), generator)  # (n + 1,)
        cache.crop(len(text) + len(new) - 1)
        counts["num_drafted"] += len(drafted)
        counts["num_accepted"] += len(new) - 1
        counts["num_calls"] += 1
        for place, token in enumerate(new):
            if not texts.are_finished:  # by an end token among those accepted
                texts.append(token[None], logits[place, None])
    return Speculation(**vars(texts.continuations()), **counts)


def accept(
    drafted: Tensor, draft_probs: Tensor, probs: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """The first n drafted tokens and one token more, together distributed as the model's tokens.

    Of a draft q and a model p, x is kept with probability min(1, p(x) / q(x)); in place of the
    first that is not, one is drawn from max(0, p - q), and after the last from p (Leviathan et al.
    2023, section 2.3 and appendix A.1, which proves it).

    Args:
        drafted: (g,) ids.
        draft_probs: q, (g, W) over the first W ids; ValueError if W exceeds V.
        probs: p, (g + 1, V), the last row being for the token after all drafted ones.

    Returns:
        (n + 1,) ids.
    """
    num_ids, num_known = draft_probs.shape[1], probs.shape[1]
    if num_ids > num_known:
        raise ValueError(
            f"The draft has {num_ids} token ids and the model {num_known}: both need the same "
            "tokenizer."
        )
    draft_probs = F.pad(draft_probs, (0, num_known - num_ids, 0, 1))  # (g + 1, V)
    places = torch.arange(len(drafted), device=drafted.device)
    ratios = probs[places, drafted] / draft_probs[places, drafted]  # (g,)
    is_accepted = torch.bernoulli(ratios.clamp(max=1), generator=generator)
    n = int(is_accepted.cumprod(dim=0).sum())
    rest = (probs[n] - draft_probs[n]).clamp(min=0)  # (V,)
    rest = rest if rest.any() else probs[n]  # p and q differ by rounding only
    return torch.cat((drafted[:n], torch.multinomial(rest, num_samples=1, generator=generator)))


def _read(decoder: Decoder, cache: Any, text: Tensor, drafted: Tensor) -> Tensor:
    """Logits (g + 1, V) after `text` (T,) and after each of the drafted (g,); one call."""
    unseen = torch.cat((text[cache.length :], drafted))
    states = decoder.states(unseen[None], cache)  # (1, S, D)
    return decoder.logits(states[0, -len(drafted) - 1 :]).float()
