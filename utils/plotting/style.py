"""One look for every figure: colours, fonts, resolution, and the empty titled figure."""

import sys
from itertools import cycle, islice

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from utils.plotting.text import drawable, wrap_to_width

PAGE_WIDTH = 7.0  # inches
TITLE_SIZE = 11.0  # points

# Okabe and Ito (2008), "Color Universal Design"; yellow and black come last: they are hard to see
# as thin lines and hard to tell from text.
PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#D55E00",  # vermilion
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#F0E442",  # yellow
    "#000000",  # black
)
INK = "#222222"
DARK_GREY = "#5F5F5F"
GREY = "#8C8C8C"
LIGHT_GREY = "#E6E6E6"

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.figsize": (PAGE_WIDTH, 4.0),
    "figure.titlesize": TITLE_SIZE,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "grid.color": LIGHT_GREY,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "image.cmap": "viridis",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def set_style() -> None:
    """Give every later figure the look of the collection; in Jupyter, show figures as png."""
    mpl.rcParams.update(STYLE)
    ipython = sys.modules.get("IPython")  # loaded already if this runs in a notebook
    if ipython is not None and ipython.get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("png")


def new_figure(title: str, height: float) -> Figure:
    """An empty figure of page width, `height` inches tall, with a title and without pyplot."""
    fig = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    fig.suptitle(wrap_title(title), parse_math=False)
    return fig


def wrap_title(title: str) -> str:
    """`title` broken into lines that fit the page width."""
    width = 72 * (PAGE_WIDTH - 0.4)
    return wrap_to_width(drawable(title), width, TITLE_SIZE, weight="bold")


def category_colors(count: int) -> list[str]:
    """`count` colours of the palette, from the start again after eight."""
    return list(islice(cycle(PALETTE), count))


def lighten(color: str, strength: float) -> list[float]:
    """RGB of `color` mixed into white; `strength` 1 leaves the colour as it is."""
    return [1 - strength * (1 - channel) for channel in to_rgb(color)]


def ink_on(background: ColorType) -> str:
    """White or the colour of text, whichever contrasts more with `background` (WCAG 2.1)."""
    luminance = np.asarray(to_rgb(background)) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    return "white" if luminance < 0.21 else INK


def sequential_colormap(color: str) -> Colormap:
    """Light tint -> `color` -> dark shade: the lightness falls steadily, at any hue."""
    shade = [0.3 * channel for channel in to_rgb(color)]
    colors = [lighten(color, 0.2), color, shade]
    return LinearSegmentedColormap.from_list(f"tints of {color}", colors)
