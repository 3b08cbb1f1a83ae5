"""Which classes a classifier takes for which."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.heatmaps import draw_cells
from utils.plotting.style import GREY, PAGE_WIDTH, new_figure
from utils.plotting.text import plain, text_width
from utils.plotting.validation import class_ids, not_empty, same_length

MIN_CELL, MAX_CELL = 0.28, 0.62  # inches: two decimals at a legible size, and at a handsome one
PANEL_GAP = 0.12
NAME_SIZE = 9  # points, of class names at the axes


def plot_confusion_matrix(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]], class_names: Sequence[str], title: str
) -> Figure:
    """One confusion matrix per system, each row the shares of one true class.

    The diagonal is the recall of each class. A class without true examples is a row of zeros.

    Args:
        panels: system -> (y_true, y_pred), each (N,) integer class ids.
        class_names: C names in id order.

    Raises:
        ValueError: no panel, N differs or is 0, or an id outside 0 to C - 1.
    """
    not_empty("panels", panels)
    matrices = {name: row_shares(*pair, class_names) for name, pair in panels.items()}
    names = max(text_width(name, NAME_SIZE) for name in class_names) / 72
    cell, columns = matrix_grid(len(matrices), len(class_names), PAGE_WIDTH - 0.6 - names)
    rows = -(-len(matrices) // columns)
    fig = new_figure(title, height=0.6 + rows * (cell * len(class_names) + names + 0.55))
    fig.set_layout_engine("compressed", h_pad=0.08, w_pad=0.05)
    axes = fig.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax, (name, matrix) in zip(axes, matrices.items(), strict=False):
        shares = [[f"{share:.2f}" for share in row] for row in matrix]
        draw_cells(ax, matrix, shares, limits=(0, 1), size=min(9, 26 * cell))
        for text in ax.texts:  # of many classes, few pairs are confused
            if float(text.get_text()) == 0:
                text.set_color(GREY)
        ax.set_xticks(range(len(class_names)), class_names, rotation=90)
        ax.set_yticks(range(len(class_names)), class_names)
        ax.set(title=name, xlabel="predicted class")
        plain([ax.title, *ax.get_xticklabels(), *ax.get_yticklabels()])
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("true class (share of its row)")
    for ax in axes[len(matrices) :]:
        ax.remove()
    return fig


def row_shares(y_true: ArrayLike, y_pred: ArrayLike, class_names: Sequence[str]) -> np.ndarray:
    """(C, C) confusion matrix normalised over the true classes."""
    from sklearn.metrics import confusion_matrix

    true = class_ids("y_true", y_true, class_names)
    predicted = class_ids("y_pred", y_pred, class_names)
    same_length(y_true=true, y_pred=predicted)
    return confusion_matrix(true, predicted, labels=range(len(class_names)), normalize="true")


def matrix_grid(num_panels: int, num_classes: int, room: float) -> tuple[float, int]:
    """Side of a cell in inches, and panels per row: as many as leave the numbers legible."""
    columns = min(num_panels, max(1, int(room / (MIN_CELL * num_classes + PANEL_GAP))))
    return min(MAX_CELL, (room / columns - PANEL_GAP) / num_classes), columns
