"""What pruning removes: single weights, and the links of a small network."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from utils.plotting.legends import legend_below
from utils.plotting.style import GREY, INK, LIGHT_GREY, PAGE_WIDTH, PALETTE, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, not_empty

MAX_POINTS = 4000  # weights drawn per panel
MAX_UNITS = 16  # per layer of a network that can be drawn
DOT = {"s": 6, "linewidths": 0}

Plane = tuple[ArrayLike, ArrayLike, ArrayLike]


def plot_weight_planes(planes: Mapping[str, Plane], *, title: str) -> Figure:
    """Each weight after training against the same weight before; removed ones are grey.

    On the dashed diagonal a weight has not moved. Of more than 4,000 weights a random sample is
    drawn, the same for each panel of one size.

    Args:
        planes: method -> (initial weights, final weights, kept), three arrays of one shape; kept is
            true or 1 where a weight survives. The final weights are those before masking.
        title: of the figure.

    Raises:
        ValueError: no plane, shapes that differ, NaN, or a mask of other than zeros and ones.
    """
    not_empty("planes", planes)
    checked = {name: checked_plane(name, *plane) for name, plane in planes.items()}
    limit = 1.05 * max(max(abs(plane[0]).max(), abs(plane[1]).max()) for plane in checked.values())
    fig = new_figure(title, height=1.2 + min(3.2, PAGE_WIDTH / len(checked) - 0.4))
    axes = fig.subplots(1, len(checked), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (name, plane) in zip(axes, checked.items(), strict=True):
        ax.set_title(f"{drawable(name)}: {plane[2].mean():.0%} kept", parse_math=False)
        ax.set(xlabel="initial weight", aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit))
        draw_plane(ax, *plane, limit=limit)
    axes[0].set_ylabel("final weight")
    legend_below(axes[0], markerscale=3)
    return fig


def checked_plane(
    name: str, initial: ArrayLike, final: ArrayLike, kept: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Initial weights, final weights and mask (N,) of one method, or ValueError."""
    shapes = [np.shape(part) for part in (initial, final, kept)]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"The initial weights, final weights and mask of {name!r} have the shapes {shapes}: "
            "pass three arrays of one shape."
        )
    before, after = (finite(f"weights of {name!r}", np.ravel(part)) for part in (initial, final))
    return before, after, checked_mask(f"The mask of {name!r}", np.ravel(kept))


def checked_mask(what: str, mask: ArrayLike) -> np.ndarray:
    """`mask` as booleans, or ValueError."""
    values = np.asarray(mask)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{what} may hold only 0 and 1, or False and True.")
    return values.astype(bool)


def draw_plane(
    ax: Axes, initial: np.ndarray, final: np.ndarray, kept: np.ndarray, limit: float
) -> None:
    """A dot per weight, the kept ones on top."""
    drawn = np.random.default_rng(0).permutation(len(kept))[:MAX_POINTS]
    for is_kept, color, label in ((False, GREY, "removed"), (True, PALETTE[0], "kept")):
        some = drawn[kept[drawn] == is_kept]
        ax.scatter(initial[some], final[some], color=color, alpha=0.6, label=label, **DOT)
    ends = (-limit, limit)
    ax.plot(ends, ends, "--", color=INK, linewidth=0.8, label="not moved")


def plot_pruned_network(masks: Sequence[ArrayLike], *, title: str) -> Figure:
    """A small network with all its weights, and what a mask leaves of it.

    A unit (but of the first or last layer) that is left without any weight on one of its sides
    takes no part in the result: it is drawn in grey.

    Args:
        masks: one (units out, units in) of zeros and ones per layer, as the weights of
            `torch.nn.Linear`, first layer first.
        title: of the figure.

    Raises:
        ValueError: no layer, a mask of other than zeros and ones, layers that do not fit each
            other, or more than 16 units in a layer.
    """
    kept = checked_layers(masks)
    fig = new_figure(title, height=3.4)
    total = sum(mask.size for mask in kept)
    left = sum(int(mask.sum()) for mask in kept)
    before, after = fig.subplots(1, 2)
    draw_network(before, [np.ones_like(mask) for mask in kept])
    draw_network(after, kept)
    before.set_title(f"before: {total} weights")
    after.set_title(f"after: {left} weights ({1 - left / total:.0%} removed)")
    return fig


def checked_layers(masks: Sequence[ArrayLike]) -> list[np.ndarray]:
    """The masks as boolean arrays (units out, units in) that fit each other, or ValueError."""
    not_empty("masks", masks)
    kept = [checked_mask(f"masks[{i}]", finite(f"masks[{i}]", m, 2)) for i, m in enumerate(masks)]
    for i, (mask, following) in enumerate(pairwise(kept)):
        if mask.shape[0] != following.shape[1]:
            raise ValueError(
                f"masks[{i}] has {mask.shape[0]} units out, but masks[{i + 1}] has "
                f"{following.shape[1]} units in: pass masks of layers that follow each other."
            )
    widest = max(max(mask.shape) for mask in kept)
    if widest > MAX_UNITS:
        raise ValueError(f"A layer has {widest} units: a figure shows at most {MAX_UNITS}.")
    return kept


def draw_network(ax: Axes, masks: Sequence[np.ndarray]) -> None:
    """Layers from left to right, a circle per unit and a line per weight that is left."""
    sizes = [masks[0].shape[1], *(mask.shape[0] for mask in masks)]
    heights = [np.arange(size) - (size - 1) / 2 for size in sizes]
    for x, mask in enumerate(masks):
        links = [[(x, heights[x][i]), (x + 1, heights[x + 1][j])] for j, i in np.argwhere(mask)]
        ax.add_collection(LineCollection(links, colors=PALETTE[0], linewidths=0.9, zorder=1))
    for x, used in enumerate(used_units(masks)):
        faces = [PALETTE[5] if is_used else LIGHT_GREY for is_used in used]
        edges = [INK if is_used else GREY for is_used in used]
        ax.scatter([x] * len(used), heights[x], s=110, c=faces, edgecolors=edges, zorder=2)
    ax.set(xlim=(-0.3, len(masks) + 0.3))
    ax.margins(y=0.12)
    ax.set_axis_off()


def used_units(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Per layer, whether each unit has weights left on all sides that face another layer."""
    fed = [np.ones(masks[0].shape[1], dtype=bool), *(mask.any(axis=1) for mask in masks)]
    read = [*(mask.any(axis=0) for mask in masks), np.ones(masks[-1].shape[0], dtype=bool)]
    return [one & other for one, other in zip(fed, read, strict=True)]
