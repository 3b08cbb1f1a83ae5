"""Legends that stand below the axes, where they cover nothing."""

from matplotlib.axes import Axes

from utils.plotting.style import PAGE_WIDTH
from utils.plotting.text import plain, text_width

LEGEND_SIZE, LEGEND_HANDLE = 9, 45  # points: of the letters, and beside each label


def legend_below(ax: Axes, **options: float) -> None:
    """What is drawn in `ax`, in as many columns as fit the page; options as of `Figure.legend`."""
    handles, labels = ax.get_legend_handles_labels()
    widest = max(text_width(label, LEGEND_SIZE) for label in labels) + LEGEND_HANDLE
    columns = min(len(labels), max(1, int(72 * PAGE_WIDTH / widest)))
    place = {"loc": "outside lower center", "ncols": columns}
    plain(ax.figure.legend(handles, labels, **place, **options).get_texts())
