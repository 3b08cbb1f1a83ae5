"""Shared by the tests of the figures."""

from collections.abc import Callable, Iterator

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure

from utils.plotting import set_style


@pytest.fixture(scope="package", autouse=True)
def style() -> Iterator[None]:
    """The style of the collection, undone after the last test."""
    with mpl.rc_context():
        set_style()
        yield


@pytest.fixture(scope="session")
def draw() -> Callable[[Figure], RendererAgg]:
    """Draw a figure as a png would show it; the renderer can measure its texts."""

    def draw_figure(fig: Figure) -> RendererAgg:
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
        return canvas.get_renderer()

    return draw_figure
