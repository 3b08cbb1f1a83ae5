"""Bars of several series side by side, in groups."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.bars import short_number
from utils.plotting.legends import legend_below
from utils.plotting.style import INK, PAGE_WIDTH, PALETTE, new_figure
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, wrap_to_width
from utils.plotting.validation import finite, same_length, table

if TYPE_CHECKING:
    import pandas as pd

GROUP_WIDTH = 0.8  # of the distance of two groups
AXES_WIDTH = 72 * (PAGE_WIDTH - 0.8)  # points, beside the numbers of the y axis
NAME_SIZE = 9.0  # points, of a group
NUMBER_SIZE, MIN_NUMBER_SIZE = 8.0, 6.5
NUMBER_GAP = 3  # points between a bar and its number

Interval = tuple[np.ndarray, np.ndarray]  # (low, high), each (G,)
TextStyle = dict[str, float]


def plot_grouped_bars(
    values: "pd.DataFrame",
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> Figure:
    """A group of vertical bars per row, one bar per column, each with its number if it fits.

    Args:
        values: (G, S) heights, named by group (index) and series (columns).
        title: of the figure.
        xlabel: what the groups are.
        ylabel: quantity and unit of the heights.
        intervals: series -> (low, high), each (G,), drawn as error bars; series may lack one.

    Raises:
        ValueError: no group or series, more than eight series, NaN, or an interval that belongs to
            no series, has another length or ends below its start.
    """
    heights = table("values", values)
    groups, series = [[str(name) for name in axis] for axis in (values.index, values.columns)]
    if len(series) > len(PALETTE):
        raise ValueError(f"values has {len(series)} columns: draw at most {len(PALETTE)} series.")
    errors = checked_intervals(intervals or {}, series, len(groups))
    names, height, slant = fit_names(groups)
    fig = new_figure(title, height=3.3 + height)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel, xlim=(-0.5, len(groups) - 0.5))
    width = GROUP_WIDTH / len(series)
    style = number_style(heights, AXES_WIDTH / len(groups) * width)
    for i, (name, tops) in enumerate(zip(series, heights.T, strict=True)):
        x = np.arange(len(groups)) + (i + 0.5) * width - GROUP_WIDTH / 2
        ax.bar(x, tops, width, color=PALETTE[i], ec="white", lw=0.8, label=drawable(name))
        low, high = errors.get(name, (tops, tops))
        if name in errors:
            draw_errors(ax, x, low, high)
        if style:
            write_numbers(ax, x, tops, np.where(tops < 0, low, high), style)
    ax.set_xticks(range(len(groups)), names, **slant)
    ax.margins(y=0.25 if style.get("rotation") else 0.1)
    ax.yaxis.set_major_formatter(lambda value, _: short_number(value))
    if len(series) > 1:
        legend_below(ax)
    return fig


def checked_intervals(
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]], series: list[str], num_groups: int
) -> dict[str, Interval]:
    """`intervals` as float arrays (G,), or ValueError."""
    checked = {}
    for name, ends in intervals.items():
        if name not in series:
            raise ValueError(f"intervals names {name!r}, but the series are {series}.")
        low, high = (finite(f"the interval of {name!r}", end) for end in ends)
        same_length(values=range(num_groups), low=low, high=high)
        if (low > high).any():
            raise ValueError(f"An interval of {name!r} ends below its start: give (low, high).")
        checked[name] = low, high
    return checked


def fit_names(groups: list[str]) -> tuple[list[str], float, dict]:
    """Names of the groups in lines that fit, or slanted; their height in inches; tick style."""
    room = AXES_WIDTH / len(groups) - 6
    names = [wrap_to_width(drawable(group), room, NAME_SIZE) for group in groups]
    lines = [line for name in names for line in name.split("\n")]
    if max(text_width(line, NAME_SIZE) for line in lines) <= room:
        most = max(name.count("\n") for name in names)
        return names, most * NAME_SIZE * LINE_HEIGHT / 72, {"parse_math": False}
    names = [drawable(group) for group in groups]
    longest = max(text_width(name, NAME_SIZE) for name in names)
    slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor", "parse_math": False}
    return names, 0.7 * longest / 72, slant


def number_style(heights: np.ndarray, room: float) -> TextStyle:
    """Size and rotation of the numbers on bars `room` points wide; empty where none fit."""
    longest = max(text_width(short_number(height), NUMBER_SIZE) for height in heights.flat)
    size = NUMBER_SIZE * (room - 2) / longest
    if size >= MIN_NUMBER_SIZE:
        return {"size": min(NUMBER_SIZE, size), "rotation": 0}
    size = min(NUMBER_SIZE, room - 2)
    return {"size": size, "rotation": 90} if size >= MIN_NUMBER_SIZE else {}


def draw_errors(ax: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """A capped line from low to high at each `x` (G,)."""
    middle, half = (low + high) / 2, (high - low) / 2
    ax.errorbar(x, middle, half, fmt="none", ecolor=INK, elinewidth=1.1, capsize=3)


def write_numbers(
    ax: Axes, x: np.ndarray, heights: np.ndarray, ends: np.ndarray, style: TextStyle
) -> None:
    """The number of each bar beyond its end, or that of its error bar; all (G,)."""
    for place, height, end in zip(x, heights, ends, strict=True):
        ax.annotate(
            short_number(height),
            (place, end),
            xytext=(0, NUMBER_GAP if height >= 0 else -NUMBER_GAP),
            textcoords="offset points",
            ha="center",
            va="bottom" if height >= 0 else "top",
            **style,
        )
