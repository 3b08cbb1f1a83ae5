"""The landscape of a function of two variables, and what a search found in it."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogFormatterSciNotation
from numpy.typing import ArrayLike

from utils.plotting.curves import MARKERS
from utils.plotting.legends import legend_below
from utils.plotting.style import INK, PALETTE, new_figure
from utils.plotting.text import drawable
from utils.plotting.validation import finite, rising

GRID = 250  # places along each axis at which the function is computed
NUM_LEVELS = 30
LIGHT_FACES = ("white", PALETTE[1], PALETTE[5], PALETTE[4])

Interval = tuple[float, float]
Place = tuple[float, float]


def plot_contours(
    function: Callable[[np.ndarray, np.ndarray], ArrayLike],
    *,
    optimum: Place,
    found: Mapping[str, Place],
    title: str,
    xlim: Interval = (-1.3, 1.3),
    ylim: Interval = (-0.9, 1.7),
    levels: Interval = (0.1, 1000),
) -> Figure:
    """Filled contours of a function on a logarithmic scale, with its minimum and what was found.

    Values below or above the levels get the darkest and the lightest colour. The defaults frame
    the valley of the Rosenbrock function.

    Args:
        function: elementwise f(x, y), called with arrays (250, 250) of one shape.
        optimum: (x, y) of the known minimum, a red cross.
        found: name of a search -> (x, y) it returned; the legend gives the value there.
        title: of the figure.
        xlim: (low, high) that x shows at least; it grows to hold every point.
        ylim: the same for y.
        levels: (lowest, highest) of 30 contours at equal ratios, above 0.

    Raises:
        ValueError: a value that is NaN or of another shape, limits or levels that do not rise, or
            levels that do not start above 0.
    """
    places = finite("optimum and found", [optimum, *found.values()], ndim=2)
    xs = np.linspace(*covering("xlim", xlim, places[:, 0]), GRID)
    ys = np.linspace(*covering("ylim", ylim, places[:, 1]), GRID)
    values = evaluate(function, *np.meshgrid(xs, ys))
    fig = new_figure(title, height=4.8)
    ax = fig.add_subplot(xlabel="x", ylabel="y")
    add_colorbar(ax, ax.contourf(xs, ys, values, **log_levels(levels)))
    draw_places(ax, {labelled(function, *pair): pair[1] for pair in found.items()})
    halo = [withStroke(linewidth=5, foreground="white")]
    cross = {"marker": "x", "s": 60, "linewidth": 2.5, "color": "red", "path_effects": halo}
    ax.scatter(*optimum, label=labelled(function, "minimum", optimum), zorder=4, **cross)
    legend_below(ax)
    return fig


def covering(what: str, limits: Interval, values: np.ndarray) -> Interval:
    """`limits`, moved outward by a twentieth beyond a value that lies outside."""
    low, high = rising(what, limits)
    room = (max(high, values.max()) - min(low, values.min())) / 20
    return (
        low if low <= values.min() else values.min() - room,
        high if high >= values.max() else values.max() + room,
    )


def evaluate(function: Callable, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """f at each place of a grid, or ValueError."""
    values = finite("the function on the grid", function(x, y), ndim=2)
    if values.shape != x.shape:
        raise ValueError(
            f"The function returns shape {values.shape} for arrays of shape {x.shape}: write it "
            "with operations that work element by element."
        )
    return values


def log_levels(levels: Interval) -> dict:
    """Arguments of `contourf` for levels at equal ratios; what lies outside is coloured too."""
    low, high = rising("levels", levels)
    if low <= 0:
        raise ValueError(f"levels start at {low:g}: a logarithmic scale starts above 0.")
    return {
        "levels": np.geomspace(low, high, NUM_LEVELS),
        "norm": LogNorm(low, high),
        "extend": "both",
    }


def add_colorbar(ax: Axes, contours: QuadContourSet) -> None:
    """The scale of the values, with a tick per decade."""
    bar = ax.figure.colorbar(contours, ax=ax, label="f(x, y), logarithmic scale")
    low, high = np.log10(contours.levels[[0, -1]])
    bar.set_ticks(10.0 ** np.arange(np.ceil(low), high + 1e-9), minor=False)
    bar.formatter = LogFormatterSciNotation()
    bar.ax.minorticks_off()


def labelled(function: Callable, name: str, place: Place) -> str:
    """`name` with the value of the function at its place, for the legend."""
    return drawable(f"{name} (f = {function(*place):.2g})")


def draw_places(ax: Axes, named: Mapping[str, Place]) -> None:
    """A marker of its own shape and a light colour per name."""
    for i, (name, place) in enumerate(named.items()):
        marker, face = MARKERS[i % len(MARKERS)], LIGHT_FACES[i % len(LIGHT_FACES)]
        ax.scatter(*place, s=130, marker=marker, color=face, edgecolor=INK, label=name, zorder=3)
