"""The sizes of models along the years."""

from itertools import accumulate
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from utils.plotting.curves import MARKERS
from utils.plotting.family_layout import ordered_branches
from utils.plotting.style import PALETTE, new_figure
from utils.plotting.validation import finite, not_empty

if TYPE_CHECKING:
    import pandas as pd

LABEL_SIZE = 7.5  # points


def plot_model_sizes(frame: "pd.DataFrame", title: str) -> Figure:
    """Published parameters of each model against its date, with a marker per branch.

    Names stand at the models that were larger than all before, and at those that no later one
    undercuts: the two edges of the cloud, where there is room.

    Args:
        frame: one row per model with `name`, `year`, `month`, `branch` and `parameters`, for
            instance from `utils.models.families.load_families`.
        title: of the figure.

    Raises:
        ValueError: no model, or a number of parameters that is not positive and finite.
    """
    not_empty("frame", frame)
    if finite("parameters", frame["parameters"]).min() <= 0:
        raise ValueError("parameters holds a number below 1, which a log axis cannot show.")
    models = frame.assign(date=frame["year"] + (frame["month"] - 0.5) / 12).sort_values("date")
    fig = new_figure(title, height=4.4)
    ax = fig.add_subplot(xlabel="year of publication", ylabel="parameters (log scale)")
    ax.grid(visible=True)
    for branch, color, marker in zip(ordered_branches(frame), PALETTE, MARKERS, strict=False):
        members = models[models["branch"] == branch]
        ax.plot(members["date"], members["parameters"], marker, color=color, label=branch)
    use_size_axis(ax)
    label_edges(ax, models)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def use_size_axis(ax: Axes) -> None:
    """Powers of ten written with M, B and T, whole years, and room for the names at the edges."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(numticks=20))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_size(value)))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.margins(x=0.15, y=0.12)


def short_size(parameters: float) -> str:
    """For instance 66 M, 1.5 B or 1.6 T."""
    for unit, name in ((1e12, " T"), (1e9, " B"), (1e6, " M")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{name}"
    return f"{parameters:,.0f}"


def label_edges(ax: Axes, models: "pd.DataFrame") -> None:
    """Name and size above left of each record, and below right of each that stays unmatched."""
    sizes = models["parameters"].tolist()
    largest = [True, *(a > b for a, b in zip(sizes[1:], accumulate(sizes, max), strict=False))]
    later = list(accumulate(reversed(sizes), min))[::-1]
    smallest = [*(a < b for a, b in zip(sizes, later[1:], strict=False)), False]
    for model, above, below in zip(models.itertuples(), largest, smallest, strict=True):
        if above or below:
            side = -1 if above else 1
            ax.annotate(
                model.name,
                (model.date, model.parameters),
                xytext=(4 * side, -4 * side),
                textcoords="offset points",
                ha="right" if above else "left",
                va="bottom" if above else "top",
                size=LABEL_SIZE,
            )
