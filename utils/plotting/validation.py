"""What a figure would show wrong without a word, refused with one sentence for the caller."""

from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from utils.inputs import as_array

if TYPE_CHECKING:
    import pandas as pd


def not_empty(what: str, values: Sized) -> None:
    """Raise ValueError if there is nothing to draw."""
    if len(values) == 0:
        raise ValueError(f"{what} is empty: there is nothing to draw.")


def same_length(**named: Sized) -> None:
    """Raise ValueError unless all keyword arguments have one length."""
    if len({len(values) for values in named.values()}) > 1:
        listed = ", ".join(f"{name} has {len(values)}" for name, values in named.items())
        raise ValueError(f"The lengths differ: {listed}; pass one entry each per example.")


def finite(what: str, values: ArrayLike, ndim: int = 1) -> np.ndarray:
    """`values` as a non-empty float array of `ndim` axes; matplotlib would drop a NaN."""
    array = as_array(values).astype(float)
    if array.ndim != ndim:
        raise ValueError(f"{what} must have {ndim} axes, but its shape is {array.shape}.")
    not_empty(what, array)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds NaN or infinity: drop or repair these entries first.")
    return array


def table(what: str, frame: "pd.DataFrame") -> np.ndarray:
    """The numbers of a frame as floats (rows, columns) without NaN, or ValueError."""
    not_empty(f"The list of columns of {what}", frame.columns)
    return finite(what, frame.to_numpy(), ndim=2)


def rising(what: str, limits: ArrayLike) -> tuple[float, float]:
    """(low, high) as floats with low < high, or ValueError."""
    low, high = finite(what, limits)
    if low >= high:
        raise ValueError(f"{what} is {limits}: give (low, high) with low below high.")
    return float(low), float(high)


def class_ids(what: str, labels: ArrayLike, class_names: Sequence[str]) -> np.ndarray:
    """`labels` as an integer array (N,) of positions in `class_names`, or ValueError."""
    ids = np.asarray(labels)
    not_empty(what, ids)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{what} must be a one-dimensional sequence of integer class ids.")
    outside = ids[(ids < 0) | (ids >= len(class_names))]
    if outside.size:
        names = f"the {len(class_names)} class names"
        raise ValueError(f"{what} holds the class id {outside[0]}, but {names} have no such place.")
    return ids
