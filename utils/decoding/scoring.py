"""How probable a model finds a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def log_probs_from_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability (B, L) of each label, given logits (B, L, V) of its position.

    Without the length too: (B,), given (B, V).

    Raises:
        ValueError: there is not one label per position.
    """
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, but the logits {tuple(logits.shape)}: give "
            "one label per position."
        )
    logits = logits.float()
    return logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(dim=-1)


@torch.inference_mode()
def sequence_logprob(model: Callable[[Tensor], Any], ids: Tensor, input_len: int) -> Tensor:
    """Log-probability (B,) of what follows the prompt, a sum over its tokens.

    The logits at one position are those of the next token. The first token after the prompt is
    scored by the last position of the prompt, input_len - 1.

    Args:
        model: from ids (B, L) to logits (B, L, V), or to an object that has them as `logits`.
        ids: (B, L) prompts of one length with their continuations, without padding.
        input_len: tokens of the prompt.

    Raises:
        ValueError: there is no prompt, or nothing after it.
    """
    num_tokens = ids.shape[1]
    if not 1 <= input_len < num_tokens:
        raise ValueError(
            f"input_len is {input_len}, but of {num_tokens} tokens from 1 to {num_tokens - 1} can "
            "be the prompt."
        )
    outputs = model(ids)
    logits = getattr(outputs, "logits", outputs)  # (B, L, V)
    return log_probs_from_logits(logits[:, input_len - 1 : -1], ids[:, input_len:]).sum(dim=-1)
