"""How much each step of a sequence of optimizations made something faster."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from utils.plotting.bars import label_right_of, short_number
from utils.plotting.style import LIGHT_GREY, PALETTE, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite

FASTER, SLOWER = PALETTE[0], PALETTE[3]


def plot_speedups(times: Mapping[str, float], *, title: str, unit: str = "ms") -> Figure:
    """Steps from the top, each a bar from the speed-up before it to the one with it.

    Speed-ups are against the first entry, on a logarithmic axis: equal factors have equal length.
    A step that slows things down is red and leads to the left. Beside each bar: the time, the
    speed-up so far, and the factor of this step alone.

    Args:
        times: step -> time with it and all steps before it, in `unit`; the first is the baseline.
        title: of the figure.
        unit: of the times.

    Raises:
        ValueError: no time, NaN, or a time that is not above 0.
    """
    numbers = finite("times", list(times.values()))
    if numbers.min() <= 0:
        raise ValueError(f"times holds {numbers.min():g}: a time must be above 0.")
    totals = numbers[0] / numbers
    fig = new_figure(title, height=1.1 + 0.36 * len(times))
    ax = fig.add_subplot(xlabel="speed-up against the first row (times, log scale)", xscale="log")
    previous = np.concatenate([[1.0], totals[:-1]])
    for place, (time, total, before) in enumerate(zip(numbers, totals, previous, strict=True)):
        draw_step(ax, place, before, total)
        step = f"step {total / before:.2g}x, " if place else ""
        text = f"{total:.3g}x ({step}{short_number(time)} {unit})"
        label_right_of(ax, max(total, before), place, text)
    ax.set_yticks(range(len(times)), [drawable(name) for name in times], parse_math=False)
    ax.set_xlim(0.95 * min(1, totals.min()), 1.05 * max(totals.max(), 1.1))
    show_plain_ticks(ax)
    ax.invert_yaxis()
    return fig


def draw_step(ax: Axes, place: int, before: float, total: float) -> None:
    """A bar from the speed-up `before` to `total`, over the grey of what was reached before."""
    color = FASTER if total >= before else SLOWER
    ax.barh(place, before - 1, left=1, height=0.7, color=LIGHT_GREY)
    ax.barh(place, total - before, left=before, height=0.7, color=color)
    ax.plot([total, total], [place - 0.35, place + 0.35], color=color, linewidth=2)


def show_plain_ticks(ax: Axes) -> None:
    """1, 2, 5, 10, 20 ... instead of powers of ten."""
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
