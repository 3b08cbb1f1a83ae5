"""Systems as points between two quantities, for instance quality against time."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import pi

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from utils.plotting.bars import short_number
from utils.plotting.curves import MARKERS, use_log_axis
from utils.plotting.style import GREY, INK, category_colors, lighten, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, rising

LABEL_SIZE = 8.0  # points
GAPS = (4, 8, 14, 22, 32, 44, 58)  # points between a marker and its label, nearest first
MAX_UNJOINED_GAP = 8  # a label farther away is joined to its point by a line
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
MARKER_AREA = 40.0  # points squared
MIN_AREA, MAX_AREA = 25.0, 600.0  # of discs that show a size
RING = {"marker": "o", "facecolor": "none", "linestyle": "--", "linewidth": 1.8}
BAR = {"linestyle": "-", "color": GREY, "linewidth": 1.2, "zorder": 2}

Interval = tuple[float, float]


def plot_scatter(
    points: Mapping[str, tuple[float, float]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    x_intervals: Mapping[str, Interval] | None = None,
    y_intervals: Mapping[str, Interval] | None = None,
    sizes: Mapping[str, float] | None = None,
    size_label: str = "",
    current: str | None = None,
    xlim: Interval | None = None,
    ylim: Interval | None = None,
) -> Figure:
    """A labelled point per system, with error bars and as a disc of some size where given.

    Labels stand where they cover no point, no error bar and no other label; one that had to move
    away is joined to its point by a line. With `current`, `xlim` and `ylim`, figures that add one
    system after another can be compared: the colour of a system depends on its position alone.

    Args:
        points: system -> (x, y).
        xscale: "linear" or "log".
        x_intervals, y_intervals: system -> (low, high), of 95 % say; systems may lack one.
        sizes: system -> a third quantity, the area of its disc; for all systems or none.
        size_label: quantity and unit of the sizes.
        current: system that is drawn as a dashed ring with a bold name, the others being filled.
        xlim, ylim: (low, high) that an axis shows at least; it grows for a point outside.

    Raises:
        ValueError: NaN, x <= 0 on a log scale, or limits that do not rise.
    """
    if current not in (None, *points):
        raise ValueError(f"current is {current!r}, but the points are {list(points)}.")
    places = finite("points", list(points.values()), ndim=2)
    is_current = np.array([name == current for name in points])
    areas = MARKER_AREA * (1 + is_current)
    fig = new_figure(title, height=4.2)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True)
    ax.margins(0.12)
    if sizes:
        values = finite("sizes", [sizes[name] for name in points])
        areas = (MAX_AREA * values / values.max()).clip(min=MIN_AREA)
    bars: list[np.ndarray] = []
    for axis, intervals in enumerate((x_intervals or {}, y_intervals or {})):
        for name, interval in intervals.items():
            bars.append(np.array([points[name]] * 2, dtype=float))
            bars[-1][:, axis] = finite(f"interval of {name!r}", interval)
            ax.plot(*bars[-1].T, "|_"[axis], **BAR)
    draw_points(ax, places, areas, is_current, discs=bool(sizes))
    if sizes:
        draw_size_legend(ax, np.sort(values), size_label)
    if xscale == "log":
        use_log_axis(ax, np.append(places[:, 0], xlim or ()))
    for axis, what, limits in ((ax.xaxis, "xlim", xlim), (ax.yaxis, "ylim", ylim)):
        if limits is not None:
            low, high = rising(what, limits)
            (first, last), (start, end) = axis.get_data_interval(), axis.get_view_interval()
            ax.set(**{what: (low if low <= first else start, high if high >= last else end)})
    draw_labels(ax, list(points), places, np.sqrt(areas / pi), bars, is_current)
    return fig


def draw_points(
    ax: Axes, places: np.ndarray, areas: np.ndarray, is_current: Sequence[bool], discs: bool
) -> None:
    """Markers of many shapes and colours, or pale discs whose area means something."""
    for i, color in enumerate(category_colors(len(places))):
        look = {"marker": MARKERS[i % len(MARKERS)], "facecolor": color, "edgecolor": INK}
        if discs:
            look = {"facecolor": [*lighten(color, 0.5), 0.8], "edgecolor": color}
        if is_current[i]:
            look |= RING | {"edgecolor": color}
        ax.scatter(*places[i], s=areas[i], zorder=3, **look)


def draw_size_legend(ax: Axes, values: Sequence[float], label: str) -> None:
    """Discs of the smallest, the middle and the largest size, below the figure."""
    shown = list(dict.fromkeys([values[0], values[len(values) // 2], values[-1]]))
    areas = [max(MIN_AREA, MAX_AREA * value / values[-1]) for value in shown]
    discs = [ax.scatter([], [], s=area, color=GREY, alpha=0.6) for area in areas]
    look = {"handleheight": 4, "handletextpad": 1.2, "columnspacing": 3, "labelspacing": 1.3}
    place = {"loc": "outside lower center", "ncols": len(shown)}
    ax.figure.legend(discs, [*map(short_number, shown)], title=label, **place, **look)


def draw_labels(
    ax: Axes,
    names: Sequence[str],
    places: np.ndarray,
    radii: np.ndarray,
    bars: Sequence[np.ndarray],
    is_current: Sequence[bool],
) -> None:
    """A name beside each of the places (N, 2), whose markers have the given radii in points."""
    ax.figure.draw_without_rendering()  # from here on, the places on the page are known
    pixel = ax.figure.dpi / 72
    centres = ax.transData.transform(places)
    taken = [Bbox(ax.transData.transform(bar)).padded(2) for bar in bars]
    taken += [Bbox([c - pixel * r, c + pixel * r]) for c, r in zip(centres, radii, strict=True)]
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0}
    look = {"size": LABEL_SIZE, "ha": "center", "va": "center", "in_layout": False}
    for name, place, centre, radius, bold in zip(
        names, places, centres, radii, is_current, strict=True
    ):
        label = ax.annotate(
            drawable(name),
            place,
            xytext=(0, 0),
            textcoords="offset points",
            weight="bold" if bold else "normal",
            arrowprops=line,
            parse_math=False,
            **look,
        )
        box = Text.get_window_extent(label)
        half = np.array([box.width, box.height]) / 2 + 1

        offset, gap = free_offset(centre, half, pixel * radius, pixel, taken, ax.bbox)
        label.set_position(offset / pixel)
        label.arrow_patch.set_visible(gap > MAX_UNJOINED_GAP)
        taken.append(Bbox([centre + offset - half, centre + offset + half]))


def free_offset(
    centre: np.ndarray,
    half: np.ndarray,
    radius: float,
    pixel: float,
    taken: Sequence[Bbox],
    page: Bbox,
) -> tuple[np.ndarray, float]:
    """Where a label of half size `half` stands free beside a disc, all in pixels; its gap, points.

    Of the places around the disc, nearest first, the one that covers least of what is taken.
    """

    def covered(choice: tuple[np.ndarray, float]) -> float:
        spot = Bbox([centre + choice[0] - half, centre + choice[0] + half])
        outside = spot.width * spot.height - overlap(spot, page)
        return outside + sum(overlap(spot, other) for other in taken)

    choices = [
        (np.array(side) * (radius + pixel * gap) + np.sign(side) * half, gap)
        for gap, side in product(GAPS, SIDES)
    ]
    return min(choices, key=covered)


def overlap(box: Bbox, other: Bbox) -> float:
    """Area that two boxes share, in square pixels."""
    shared = Bbox.intersection(box, other)
    return shared.width * shared.height if shared else 0.0
