"""Sparse attention: which tokens BigBird lets each token see."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import BoolTensor


def bigbird_mask(
    num_tokens: int, window: int = 3, num_global: int = 2, num_random: int = 2, seed: int = 0
) -> "BoolTensor":
    """(T, T) mask of BigBird, true where the query of a row may look at the key of a column.

    Every token sees a window around itself, the global tokens in front see all and are seen by
    all, and every other token sees a few more, drawn at random from those it would not see anyway.
    The paper does so with blocks of 64 tokens; here a block is a token (Zaheer et al., 2020,
    arXiv:2007.14062, section 2).

    Args:
        num_tokens: T.
        window: odd number of tokens around and including each token.
        num_global: tokens at the start that attend and are attended to everywhere.
        num_random: random tokens for each that is not global, or all that are left if fewer.
        seed: of the random tokens.

    Raises:
        ValueError: an even window, no token, or a negative number.
    """
    import torch

    if num_tokens < 1 or min(num_global, num_random) < 0:
        raise ValueError("num_tokens must be positive, num_global and num_random not negative.")
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd, for the token in its middle, but it is {window}.")
    position = torch.arange(num_tokens)
    mask = (position[:, None] - position).abs() <= window // 2  # (T, T)
    mask[:num_global] = mask[:, :num_global] = True
    lottery = torch.rand(mask.shape, generator=torch.Generator().manual_seed(seed))
    ranks = lottery.masked_fill(mask, 2.0).argsort(dim=-1).argsort(dim=-1)  # (T, T), seen ones last
    return mask | (ranks < num_random)
