"""What a reader gives, checked at the door: texts, counts, numbers, logits and names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np


def checked_texts(texts: str | Iterable[str], noun: str = "text") -> list[str]:
    """The texts as a list: one string, or a list, a tuple, an array or a pandas Series of them.

    Raises:
        ValueError: there is none, one is no string, or one holds half of a character.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise ValueError(f"There is no {noun}: give at least one.")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no {noun}: give a string.")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(
                f"The {noun} {text!r} holds a lone surrogate, half of a character: replace it."
            )
    return texts


def check_count(**counts: int) -> None:
    """Raise ValueError for a count that is not a whole number of 1 or more."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} is {count}: choose a whole number of 1 or more.")


def as_array(values: Any) -> np.ndarray:
    """`values` as an array; a torch tensor may need gradients, be bf16 or lie on a GPU."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    return np.asarray(values)


def checked_logits(predictions: Any) -> np.ndarray:
    """Logits (..., C) as an array, which lead a tuple where a model returns its states as well.

    Raises:
        ValueError: one is NaN.
    """
    logits = as_array(predictions[0] if isinstance(predictions, tuple) else predictions)
    if np.isnan(logits).any():
        raise ValueError(
            "Some of the model's logits are NaN: its weights are damaged, or its numbers overflow."
        )
    return logits


def choices(name: str, names: Iterable[str]) -> str:
    """The names that look like this one, or else all, for a message."""
    names = list(names)
    near = difflib.get_close_matches(name, names, cutoff=0.5) or names
    return ", ".join(map(repr, near[:-1])) + " or " * (len(near) > 1) + repr(near[-1])
