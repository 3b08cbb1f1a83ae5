"""Checks of what a figure is asked to show: each failure is one sentence for the caller."""

from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pandas as pd


def not_empty(what: str, values: Sized) -> None:
    """Raise ValueError if there is nothing to draw."""
    if len(values) == 0:
        raise ValueError(f"{what} is empty: there is nothing to draw.")


def same_length(**named: Sized) -> None:
    """Raise ValueError unless all keyword arguments have one length."""
    lengths = {name: len(values) for name, values in named.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"The lengths differ: {listed}; pass one entry each per example.")


def finite(what: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """`values` as a non-empty float array of `ndim` axes without NaN or infinity, or ValueError."""
    array = np.asarray(values, dtype=float)
    if array.ndim != ndim:
        raise ValueError(f"{what} must have {ndim} axes, but its shape is {array.shape}.")
    not_empty(what, array)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds NaN or infinity: drop or repair these entries first.")
    return array


def table(what: str, frame: "pd.DataFrame") -> np.ndarray:
    """The numbers of a frame as floats (rows, columns) without NaN or infinity, or ValueError."""
    not_empty(f"The list of columns of {what}", frame.columns)
    return finite(what, frame.to_numpy(), ndim=2)


def rising(what: str, limits: ArrayLike) -> tuple[float, float]:
    """(low, high) as floats with low < high, or ValueError."""
    ends = finite(what, limits)
    if len(ends) != 2 or ends[0] >= ends[1]:
        raise ValueError(f"{what} is {limits}: give (low, high) with low below high.")
    return float(ends[0]), float(ends[1])


def class_ids(what: str, labels: ArrayLike, class_names: Sequence[str]) -> np.ndarray:
    """`labels` as a non-empty integer array (N,) of positions in `class_names`, or ValueError."""
    not_empty("class_names", class_names)
    ids = np.asarray(labels)
    not_empty(what, np.atleast_1d(ids))
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{what} must be a one-dimensional sequence of integer class ids.")
    outside = ids[(ids < 0) | (ids >= len(class_names))]
    if outside.size:
        raise ValueError(
            f"{what} holds the class id {outside[0]}, but the {len(class_names)} class names "
            f"stand for the ids 0 to {len(class_names) - 1}."
        )
    return ids
