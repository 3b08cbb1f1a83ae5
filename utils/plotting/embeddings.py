"""Figures of embedded texts in two dimensions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.style import category_colors, new_figure, sequential_colormap
from utils.plotting.text import plain
from utils.plotting.validation import class_ids, finite, same_length

GRID_SIZE = 20  # hexagons across a panel


def plot_embedding_panels(
    xy: ArrayLike, labels: ArrayLike, class_names: Sequence[str], title: str
) -> Figure:
    """One panel per class with its points counted in hexagons; all panels share the extent.

    The darker a hexagon, the more points it holds; each panel has its own scale, so panels
    compare in shape and place, not in number (which stands in the panel's title).

    Args:
        xy: (N, 2) positions, for instance from UMAP.
        labels: (N,) integer class ids.
        class_names: C names in id order.

    Raises:
        ValueError: N differs or is 0, NaN, or an id outside 0 to C - 1.
    """
    points, ids = finite("xy", xy, ndim=2), class_ids("labels", labels, class_names)
    same_length(xy=points, labels=ids)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.05 * (high - low), 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    columns = min(3, len(class_names))
    rows = -(-len(class_names) // columns)
    fig = new_figure(title, height=0.8 + 2.2 * rows)
    axes = list(fig.subplots(rows, columns, squeeze=False).flat)
    style = {"gridsize": GRID_SIZE, "mincnt": 1, "vmin": 0, "linewidths": 0}
    for class_id, (ax, name, color) in enumerate(
        zip(axes, class_names, category_colors(len(class_names)), strict=False)
    ):
        members = points[ids == class_id]
        if len(members):
            cmap = sequential_colormap(color)
            ax.hexbin(*members.T, extent=(left, right, bottom, top), cmap=cmap, **style)
        ax.set(title=f"{name} (n = {len(members):,})", xticks=[], yticks=[])
        plain([ax.title])
        ax.set(xlim=(left, right), ylim=(bottom, top))
        ax.spines[:].set_visible(True)
    for ax in axes[len(class_names) :]:
        ax.remove()
    fig.supxlabel("dimension 1 (darker: more points; each panel has its own scale)", size=9)
    fig.supylabel("dimension 2", size=9)
    return fig
