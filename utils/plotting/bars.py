"""Figures that compare systems by one number each."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plotting.style import INK, PALETTE, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite


def plot_bars(
    values: Mapping[str, float],
    *,
    title: str,
    xlabel: str,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """Horizontal bars in the order given, first on top, each with its number.

    Args:
        references: system -> the book's number, drawn as a diamond; systems may lack one.
    """
    numbers, references = finite("values", list(values.values())), references or {}
    if references:
        finite("references", list(references.values()))
    fig = new_figure(title, height=1.0 + 0.36 * len(values))
    ax = fig.add_subplot(xlabel=xlabel + " (diamond: book)" * bool(references))
    ax.barh(range(len(values)), numbers, height=0.7, color=PALETTE[0])
    ax.set_yticks(range(len(values)), [drawable(name) for name in values], parse_math=False)
    places = [list(values).index(name) for name in references]
    ax.plot(list(references.values()), places, "D", color=PALETTE[1], mec=INK, markersize=7)
    for place, (name, number) in enumerate(zip(values, numbers, strict=True)):
        book = f" (book {short_number(references[name])})" if name in references else ""
        right = max(number, references.get(name, number), 0)
        label_right_of(ax, right, place, short_number(number) + book)
    ax.invert_yaxis()
    return fig


def short_number(value: float) -> str:
    """Three significant digits, whole numbers from 1,000 on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def label_right_of(ax: Axes, x: float, y: float, text: str) -> None:
    """`text` just right of (x, y); the layout makes room for it."""
    ax.annotate(text, (x, y), xytext=(8, 0), textcoords="offset points", va="center")
