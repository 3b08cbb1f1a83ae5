"""The style holds for later figures, and Jupyter shows them as png."""

import os
import subprocess
import sys

import matplotlib as mpl
import pytest

from utils.plotting import PALETTE, set_style
from utils.plotting.style import sequential_colormap

PROGRAM = """
import sys
from utils.plotting import plot_bars, set_style
set_style()
plot_bars({"a": 1}, title="t", xlabel="x")
print(sorted({"IPython", "matplotlib.pyplot", "sklearn", "pandas", "torch"} & set(sys.modules)))
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
set_style()
set_style()
bundle, _ = shell.display_formatter.format(plot_bars({"a": 1}, title="t", xlabel="x"))
print(sorted(bundle), bundle["image/png"][:5])
"""


def test_set_style_is_idempotent():
    set_style()
    once = dict(mpl.rcParams)
    set_style()
    assert dict(mpl.rcParams) == once
    assert mpl.rcParams["figure.dpi"] == 110
    assert tuple(mpl.rcParams["axes.prop_cycle"].by_key()["color"]) == PALETTE


def test_outside_jupyter_nothing_heavy_is_loaded_and_jupyter_gets_a_png():
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    outside, inside = done.stdout.splitlines()
    assert outside == "[]"
    assert inside == "['image/png', 'text/plain'] iVBOR"  # base64 of a png


@pytest.mark.parametrize("color", PALETTE)
def test_sequential_colormaps_darken_steadily(color):
    red, green, blue = sequential_colormap(color)(range(256))[:, :3].T
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (luminance[1:] < luminance[:-1] + 1e-9).all()
    assert luminance[0] - luminance[-1] > 0.5
