"""Systems as points between two quantities, for instance quality against time."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import pi

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from utils.plotting.bars import short_number
from utils.plotting.curves import MARKERS, use_log_axis
from utils.plotting.style import GREY, INK, category_colors, lighten, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, not_empty, rising

LABEL_SIZE = 8.0  # points
GAPS = (4, 8, 14, 22, 32, 44)  # points between a marker and its label, nearest first
MAX_UNJOINED_GAP = 8  # a label farther away is joined to its point by a line
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
MARKER_AREA = 40.0  # points squared
MIN_AREA, MAX_AREA = 25.0, 600.0  # of discs that show a size
RING = {"marker": "o", "facecolor": "none", "linestyle": "--", "linewidth": 1.8}

Interval = tuple[float, float]
Place = tuple[float, float]


def plot_scatter(
    points: Mapping[str, Place],
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
        title: of the figure.
        xlabel: quantity and unit of x.
        ylabel: quantity and unit of y.
        xscale: "linear" or "log".
        x_intervals: system -> (low, high) along x, for instance of 95 %; systems may lack one.
        y_intervals: the same along y.
        sizes: system -> a third quantity, the area of its disc; for all systems or none.
        size_label: quantity and unit of the sizes.
        current: system that is drawn as a dashed ring with a bold name, the others being filled.
        xlim: (low, high) that x shows at least; it grows for a point outside.
        ylim: the same for y.

    Raises:
        ValueError: no point, NaN, x <= 0 on a log scale, an interval or `current` that names a
            system without a point, limits that do not rise, or sizes that are not one positive
            number per system.
    """
    not_empty("points", points)
    if current is not None:
        check_system("current", current, points)
    places = finite("points", list(points.values()), ndim=2)
    is_current = np.array([name == current for name in points])
    areas = disc_areas(sizes, points) if sizes else MARKER_AREA * (1 + is_current)
    fig = new_figure(title, height=4.2)
    ax = fig.add_subplot(xlabel=xlabel, ylabel=ylabel)
    ax.grid(visible=True)
    ax.margins(0.12)
    bars = [
        *draw_intervals(ax, points, "x_intervals", x_intervals or {}),
        *draw_intervals(ax, points, "y_intervals", y_intervals or {}),
    ]
    draw_points(ax, places, areas, is_current, discs=bool(sizes))
    if xscale == "log":
        use_log_axis(ax, np.append(places[:, 0], () if xlim is None else xlim))
    show_at_least(ax.xaxis, "xlim", xlim)
    show_at_least(ax.yaxis, "ylim", ylim)
    if sizes:
        draw_size_legend(fig, sorted(sizes.values()), size_label)
    draw_labels(ax, [*points], places, np.sqrt(areas / pi), bars, is_current)
    return fig


def check_system(what: str, name: str, points: Mapping[str, Place]) -> None:
    """Raise ValueError if no point has that name."""
    if name not in points:
        raise ValueError(f"{what} names {name!r}, but the points are {list(points)}.")


def show_at_least(axis: Axis, what: str, limits: Interval | None) -> None:
    """Let `axis` end at the limits, or beyond on a side where the data do."""
    if limits is None:
        return
    low, high = rising(what, limits)
    (first, last), (start, end) = axis.get_data_interval(), axis.get_view_interval()
    low, high = (low if low <= first else start), (high if high >= last else end)
    axis.axes.set(**{what: (low, high)})


def disc_areas(sizes: Mapping[str, float], points: Mapping[str, Place]) -> np.ndarray:
    """Areas (N,) in points squared that are proportional to the sizes, or ValueError."""
    if sizes.keys() != points.keys():
        raise ValueError(f"sizes has {list(sizes)}, but the points are {list(points)}.")
    values = finite("sizes", [sizes[name] for name in points])
    if values.min() <= 0:
        raise ValueError(f"sizes holds {values.min():g}: an area must be above 0.")
    return (MAX_AREA * values / values.max()).clip(min=MIN_AREA)


def draw_intervals(
    ax: Axes, points: Mapping[str, Place], what: str, intervals: Mapping[str, Interval]
) -> list[np.ndarray]:
    """A bar with caps through each point that has an interval; the ends (2, 2) of each bar."""
    axis = "xy".index(what[0])
    ends = []
    for name, interval in intervals.items():
        check_system(what, name, points)
        bar = np.array([points[name], points[name]], dtype=float)
        bar[:, axis] = finite(f"{what} of {name!r}", interval)
        ax.plot(*bar.T, "|_"[axis], linestyle="-", color=GREY, linewidth=1.2, zorder=2)
        ends.append(bar)
    return ends


def draw_points(
    ax: Axes, places: np.ndarray, areas: np.ndarray, is_current: Sequence[bool], discs: bool
) -> None:
    """Markers of many shapes and colours, or pale discs whose area means something."""
    for i, (place, area, color) in enumerate(
        zip(places, areas, category_colors(len(places)), strict=True)
    ):
        look = {
            "marker": "o" if discs else MARKERS[i % len(MARKERS)],
            "facecolor": [*lighten(color, 0.5), 0.8] if discs else color,
            "edgecolor": color if discs else INK,
        }
        if is_current[i]:
            look |= RING | {"edgecolor": color}
        ax.scatter(*place, s=area, zorder=3, **look)


def draw_size_legend(fig: Figure, values: Sequence[float], label: str) -> None:
    """Discs of the smallest, the middle and the largest size, below the figure."""
    shown = dict.fromkeys([values[0], values[len(values) // 2], values[-1]])
    ax = fig.axes[0]
    handles = [
        ax.scatter([], [], s=max(MIN_AREA, MAX_AREA * value / values[-1]), color=GREY, alpha=0.6)
        for value in shown
    ]
    names = [short_number(value) for value in shown]
    fig.legend(
        handles,
        names,
        title=label,
        loc="outside lower center",
        ncols=len(names),
        handleheight=4,
        handletextpad=1.2,
        columnspacing=3,
    )


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
    taken += [
        Bbox([centre - pixel * radius, centre + pixel * radius])
        for centre, radius in zip(centres, radii, strict=True)
    ]
    for name, place, centre, radius, bold in zip(
        names, places, centres, radii, is_current, strict=True
    ):
        label = ax.annotate(
            drawable(name),
            place,
            xytext=(0, 0),
            textcoords="offset points",
            size=LABEL_SIZE,
            weight="bold" if bold else "normal",
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0},
            in_layout=False,
            parse_math=False,
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
    choices = [
        (np.array(side) * (radius + pixel * gap) + np.sign(side) * half, gap)
        for gap, side in product(GAPS, SIDES)
    ]

    def covered(choice: tuple[np.ndarray, float]) -> float:
        middle = centre + choice[0]
        box = Bbox([middle - half, middle + half])
        outside = box.width * box.height - overlap(box, page)
        return outside + sum(overlap(box, other) for other in taken)

    return min(choices, key=covered)


def overlap(box: Bbox, other: Bbox) -> float:
    """Area that two boxes share, in square pixels."""
    shared = Bbox.intersection(box, other)
    return shared.width * shared.height if shared else 0.0
