"""Figures that compare systems by one number each."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plotting.style import INK, PALETTE, new_figure
from utils.plotting.validation import finite


def plot_bars(
    values: Mapping[str, float],
    *,
    title: str,
    xlabel: str,
    references: Mapping[str, float] | None = None,
    reference_label: str = "book",
) -> Figure:
    """Horizontal bars in the order given, first on top, each with its number.

    Args:
        values: system -> measured number.
        title: of the figure.
        xlabel: quantity and unit.
        references: system -> number to compare with, drawn as a diamond; systems may lack one.
        reference_label: what the diamonds are.

    Raises:
        ValueError: no value, NaN, or a reference for a system that has no bar.
    """
    numbers = finite("values", list(values.values()))
    marks = checked_references(references or {}, values)
    note = f" (diamond: {reference_label})" if marks else ""
    fig = new_figure(title, height=1.0 + 0.36 * len(values))
    ax = fig.add_subplot(xlabel=xlabel + note)
    ax.barh(list(values), numbers, height=0.7, color=PALETTE[0])
    places = [list(values).index(name) for name in marks]
    ax.plot(list(marks.values()), places, "D", color=PALETTE[1], mec=INK, markersize=7)
    for place, (name, number) in enumerate(zip(values, numbers, strict=True)):
        text = short_number(number)
        if name in marks:
            text += f" ({reference_label} {short_number(marks[name])})"
        label_right_of(ax, max(number, marks.get(name, number), 0), place, text)
    ax.invert_yaxis()
    return fig


def checked_references(
    references: Mapping[str, float], values: Mapping[str, float]
) -> dict[str, float]:
    """`references` if each is a number that belongs to a bar, or ValueError."""
    unknown = [name for name in references if name not in values]
    if unknown:
        raise ValueError(f"references names {unknown[0]!r}, but the bars are {list(values)}.")
    if references:
        finite("references", list(references.values()))
    return dict(references)


def short_number(value: float) -> str:
    """Three significant digits, whole numbers from 1,000 on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def label_right_of(ax: Axes, x: float, y: float, text: str) -> None:
    """`text` just right of (x, y); the layout makes room for it."""
    ax.annotate(text, (x, y), xytext=(8, 0), textcoords="offset points", va="center")
