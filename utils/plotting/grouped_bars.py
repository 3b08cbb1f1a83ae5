"""Bars of several series side by side, in groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.bars import short_number
from utils.plotting.legends import legend_below
from utils.plotting.style import INK, PAGE_WIDTH, PALETTE, new_figure
from utils.plotting.text import drawable, text_width, wrap_to_width
from utils.plotting.validation import table

if TYPE_CHECKING:
    import pandas as pd

AXES_WIDTH = 72 * (PAGE_WIDTH - 0.8)  # points, beside the numbers of the y axis
MIN_NUMBER_SIZE = 6.5  # points


def plot_grouped_bars(
    values: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> Figure:
    """A group of bars per row of (G, S), a bar per column, each with its number where it fits.

    Args:
        intervals: series -> (low, high), each (G,) around its bars; some series may lack one.

    Raises:
        ValueError: no group or series, NaN, or an interval that leaves out its bar.
    """
    heights, intervals = table("values", values), intervals or {}
    series = [str(name) for name in values]
    if unknown := {*intervals} - {*series}:
        raise ValueError(f"intervals has {sorted(unknown)}, but the series are {series}.")
    groups, turn = fit_names([drawable(str(name)) for name in values.index])
    fig = new_figure(title, height=4.3 if turn else 3.3)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel, xlim=(-0.5, len(groups) - 0.5))
    width = 0.8 / len(series)  # groups are 1 apart
    style = number_style(heights, AXES_WIDTH / len(groups) * width)
    look = {"ec": "white", "lw": 0.8, "ecolor": INK, "error_kw": {"elinewidth": 1.1, "capsize": 3}}
    for i, (name, tops) in enumerate(zip(series, heights.T, strict=True)):
        x = np.arange(len(groups)) + (i + 0.5) * width - 0.4
        low, high = intervals.get(name, (tops, tops))
        errors = [tops - low, high - tops] if name in intervals else None
        bars = ax.bar(x, tops, width, yerr=errors, color=PALETTE[i], label=drawable(name), **look)
        if style:
            ax.bar_label(bars, [short_number(top) for top in tops], padding=3, **style)
    ax.set_xticks(range(len(groups)), groups, parse_math=False, **turn)
    ax.margins(y=0.25 if style.get("rotation") else 0.1)
    ax.yaxis.set_major_formatter(lambda value, _: short_number(value))
    if len(series) > 1:
        legend_below(ax)
    return fig


def fit_names(groups: list[str]) -> tuple[list[str], dict]:
    """Names of the groups in lines that fit, or else slanted; and the style of their ticks."""
    room = AXES_WIDTH / len(groups) - 6
    names = [wrap_to_width(group, room, 9) for group in groups]
    if all(text_width(line, 9) <= room for name in names for line in name.split("\n")):
        return names, {}
    return groups, {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}


def number_style(heights: np.ndarray, room: float) -> dict[str, float]:
    """Size and rotation of the numbers on bars `room` points wide; empty where none fit."""
    longest = max(text_width(short_number(height), 8) for height in heights.flat)
    for rotation, size in ((0, 8 * (room - 2) / longest), (90, room - 2)):
        if size >= MIN_NUMBER_SIZE:
            return {"size": min(8, size), "rotation": rotation}
    return {}
