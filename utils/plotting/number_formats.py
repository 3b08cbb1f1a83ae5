"""How a computer writes a number: the bits of floats, and floats mapped to few integers."""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from utils.plotting.style import GREY, INK, PALETTE, lighten, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, not_empty, rising

FIELDS = {"sign": PALETTE[3], "exponent": PALETTE[2], "significand": PALETTE[0]}
ROW_HEIGHT = 0.85  # inches per format
NUM_SAMPLES = 9  # floats that are followed to their integers
INTEGER_LINE = 0.7  # length beside that of the floats

Bits = tuple[str, str, str]  # sign, exponent, significand, of "0" and "1"


def plot_float_bits(value: float, formats: Mapping[str, Bits], *, title: str) -> Figure:
    """The bits of one number in several formats, and the number that they really stand for.

    Bits are read as in IEEE 754: (-1)^sign x 2^(exponent - bias) x 1.significand, where the bias
    is half of the largest exponent, rounded down; an exponent of zeros reads as 0.significand, one
    of ones as infinity or NaN.

    Args:
        value: the number that was meant.
        formats: name of a format -> bits ("0", "10000110", "000100...") of sign, exponent and
            significand.
        title: of the figure.

    Raises:
        ValueError: a value that is not finite, no format, a sign of other than one bit, or
            characters other than 0 and 1.
    """
    finite("value", [value])
    not_empty("formats", formats)
    for name, bits in formats.items():
        check_bits(name, bits)
    widest = max(sum(map(len, bits)) for bits in formats.values())
    fig = new_figure(title, height=0.75 + ROW_HEIGHT * len(formats))
    ax = fig.add_subplot(xlim=(-0.1, widest + 0.1), ylim=(len(formats), 0))
    ax.set_axis_off()
    for row, (name, bits) in enumerate(formats.items()):
        draw_bits(ax, row, bits)
        ax.text(0, row + 0.28, drawable(name), weight="bold", va="bottom", parse_math=False)
        ax.text(0, row + 0.78, reading(value, bits), va="center")
    entries = [
        Patch(facecolor=lighten(color, 0.3), edgecolor=color, label=field)
        for field, color in FIELDS.items()
    ]
    fig.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    return fig


def check_bits(name: str, bits: Bits) -> None:
    """Raise ValueError unless `bits` are one sign bit, and exponent and significand bits."""
    if len(bits) != 3 or not all(bits) or len(bits[0]) != 1 or set("".join(bits)) - {"0", "1"}:
        raise ValueError(
            f"The bits of {name!r} are {bits!r}: give strings of 0 and 1 for one sign bit, the "
            "exponent and the significand."
        )


def draw_bits(ax: Axes, row: int, bits: Bits) -> None:
    """A cell per bit in the colour of its field."""
    starts = accumulate(map(len, bits[:-1]), initial=0)
    for start, field, color in zip(starts, bits, FIELDS.values(), strict=True):
        for i, bit in enumerate(field, start):
            cell = {"facecolor": lighten(color, 0.3), "edgecolor": color}
            ax.add_patch(Rectangle((i, row + 0.3), 1, 0.3, **cell))
            ax.text(i + 0.5, row + 0.45, bit, size=8, ha="center", va="center")


def reading(value: float, bits: Bits) -> str:
    """What the bits say in numbers, and how far that is from `value`."""
    sign = "-" if bits[0] == "1" else ""
    if "0" not in bits[1]:
        return f"{sign}infinity" if "1" not in bits[2] else "not a number"
    power, factor = decode(bits)
    stored = float(f"{sign}1") * 2.0**power * factor
    error = abs(stored - value)
    return (
        rf"${sign}2^{{{power}}} \times {factor:.8g} = {stored:.10g}$, "
        f"off by {error:.2g} ({error / abs(value or 1):.1g} relative)"
    )


def decode(bits: Bits) -> tuple[int, float]:
    """Power of two and significand of the bits of a float."""
    _, exponent, significand = bits
    bias = 2 ** (len(exponent) - 1) - 1
    fraction = int(significand, 2) / 2 ** len(significand)
    is_normal = int(exponent, 2) > 0
    return max(int(exponent, 2), 1) - bias, is_normal + fraction


def plot_affine_map(
    f_min: float,
    f_max: float,
    scale: float,
    zero_point: int,
    *,
    title: str,
    q_range: tuple[int, int] = (0, 255),
) -> Figure:
    """A line of floats above a line of integers, joined by q = clamp(round(f / S) + Z).

    Grey lines lead from some floats between `f_min` and `f_max` to their integers, a coloured one
    from 0 to Z.

    Args:
        f_min: lowest float.
        f_max: highest float.
        scale: S, the distance of two floats whose integers are neighbours.
        zero_point: Z, the integer of 0.
        title: of the figure.
        q_range: lowest and highest integer, for instance (-128, 127) for int8.

    Raises:
        ValueError: NaN, a range that does not rise, a scale that is not above 0, or a zero point
            that is none of the integers.
    """
    floats = sample_floats(*rising("(f_min, f_max)", (f_min, f_max)))
    q_min, q_max = rising("q_range", q_range)
    if not scale > 0:
        raise ValueError(f"scale is {scale}: give the width of a step, above 0.")
    if not q_min <= zero_point <= q_max:
        raise ValueError(f"zero_point is {zero_point}: give an integer of the range {q_range}.")
    integers = np.clip(np.round(floats / scale) + zero_point, q_min, q_max)
    fig = new_figure(title, height=2.6)
    ax = fig.add_subplot(xlim=(-0.03, 1.03), ylim=(-0.75, 1.5))
    ax.set_axis_off()
    upper = (floats - f_min) / (f_max - f_min)
    lower = 0.5 + INTEGER_LINE * ((integers - q_min) / (q_max - q_min) - 0.5)
    for is_zero, *ends in zip(floats == 0, upper, lower, strict=True):
        line = {"color": PALETTE[3], "lw": 2} if is_zero else {"color": GREY, "lw": 0.9}
        ax.plot(ends, [1, 0], marker="o", markersize=4, **line)
    ax.plot([0, 1], [1, 1], color=INK, linewidth=1.2)
    ax.plot([0.5 - INTEGER_LINE / 2, 0.5 + INTEGER_LINE / 2], [0, 0], color=INK, linewidth=1.2)
    write_numbers(ax, 1.1, {x: f"{f:.3g}" for x, f in zip(upper, floats, strict=True)}, "bottom")
    write_numbers(ax, -0.1, {x: f"{q:.0f}" for x, q in zip(lower, integers, strict=True)}, "top")
    ax.text(0, 1.45, "floats f", weight="bold", va="center")
    ax.text(0, -0.15, "integers q", weight="bold", va="top")
    note = rf"$f = S\,(q - Z)$,  $S = {scale:.4g}$,  $Z = {zero_point}$"
    ax.text(0.5, -0.6, note, ha="center", va="center")
    return fig


def sample_floats(low: float, high: float) -> np.ndarray:
    """Floats at equal distances, 0 instead of those too close to it if the range holds 0."""
    floats = np.linspace(low, high, NUM_SAMPLES)
    if not low <= 0 <= high:
        return floats
    near = (high - low) / NUM_SAMPLES / 2
    return np.unique([*floats[abs(floats) > near], 0.0])


def write_numbers(ax: Axes, y: float, labels: Mapping[float, str], va: str) -> None:
    """A label at each place along a line of numbers."""
    for x, label in labels.items():
        ax.text(x, y, label, size=8, ha="center", va=va)
