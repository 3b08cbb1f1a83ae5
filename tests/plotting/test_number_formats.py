"""Bits and affine maps say what numpy and torch say."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from utils.plotting import plot_affine_map, plot_float_bits

pytestmark = pytest.mark.filterwarnings("error")

FORMATS = {torch.float32: 8, torch.float16: 5, torch.bfloat16: 8}  # exponent bits


def ieee_bits(number: torch.Tensor) -> tuple[str, str, str]:
    """Sign, exponent and significand of a float tensor (), from its bytes."""
    raw = number.reshape(1).view(torch.uint8).numpy()[::-1]
    text = "".join(f"{byte:08b}" for byte in raw)
    exponent = FORMATS[number.dtype]
    return text[0], text[1 : 1 + exponent], text[1 + exponent :]


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
@pytest.mark.parametrize("value", [137.035, -0.1, 1e-7, 0.0, 60000.0])
def test_bits_are_drawn_and_read_as_the_number_they_stand_for(value, dtype):
    stored = torch.tensor(value, dtype=dtype)
    bits = ieee_bits(stored)
    fig = plot_float_bits(value, {"format": bits}, title="t")
    written = texts(fig)
    assert "".join(t for t in written if t in ("0", "1")) == "".join(bits)
    (reading,) = (t for t in written if "off by" in t)
    number = float(re.search(r"= (\S+)\$", reading)[1])
    error = float(re.search(r"off by (\S+)", reading)[1])
    assert number == pytest.approx(stored.item(), rel=1e-8)
    assert error == pytest.approx(abs(stored.item() - value), rel=0.05)


@pytest.mark.parametrize(
    ("value", "expected"), [(1e6, "infinity"), (-1e6, "-infinity"), (np.nan, "not a number")]
)
def test_what_overflows_reads_as_infinity(value, expected):
    bits = ieee_bits(torch.tensor(value, dtype=torch.float16))
    assert expected in texts(plot_float_bits(1e6, {"FP16": bits}, title="t"))


def test_the_fields_have_colours_of_their_own():
    fig = plot_float_bits(1.0, {"FP16": ("0", "01111", "0" * 10)}, title="t")
    colors = [patch.get_facecolor() for patch in fig.axes[0].patches]
    assert [colors.count(color) for color in dict.fromkeys(colors)] == [1, 5, 10]


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        ({}, "formats is empty"),
        ({"a": ("0", "01")}, "bits of 'a'"),
        ({"a": ("00", "01", "1")}, "bits of 'a'"),
        ({"a": ("0", "01", "2")}, "bits of 'a'"),
        ({"a": ("0", "01", "")}, "bits of 'a'"),
    ],
)
def test_float_bits_refuses(formats, message):
    with pytest.raises(ValueError, match=message):
        plot_float_bits(1.0, formats, title="t")


def test_float_bits_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="value holds NaN"):
        plot_float_bits(np.inf, {"FP16": ("0", "01111", "0" * 10)}, title="t")


def mapped(fig: Figure, f_min: float, f_max: float) -> tuple[torch.Tensor, list[int]]:
    """Floats, and the integers that the lines between the two scales lead to."""
    (ax,) = fig.axes
    labels = {t.get_position(): t.get_text() for t in ax.texts}
    integers = {x: int(text) for (x, y), text in labels.items() if y == -0.1}
    ends = [line.get_xdata() for line in ax.lines if list(line.get_ydata()) == [1, 0]]
    floats = torch.tensor([f_min + top * (f_max - f_min) for top, _ in ends])
    return floats, [integers[bottom] for _, bottom in ends]


@pytest.mark.parametrize(
    ("f_min", "f_max", "scale", "zero_point", "q_range"),
    [
        (-1, 2, 3 / 255, 85, (0, 255)),
        (-1, 0.6, 1.6 / 255, 0, (-128, 127)),  # clamps below
        (0.5, 4, 4 / 255, -128, (-128, 127)),
    ],
)
def test_each_line_leads_to_the_integer_that_torch_computes(
    f_min, f_max, scale, zero_point, q_range
):
    fig = plot_affine_map(f_min, f_max, scale, zero_point, title="t", q_range=q_range)
    floats, integers = mapped(fig, f_min, f_max)
    rounded = torch.fake_quantize_per_tensor_affine(floats, scale, zero_point, *q_range)
    assert len(floats) >= 8
    assert integers == (rounded / scale + zero_point).round().int().tolist()
    written = [t.get_text() for t in fig.axes[0].texts if t.get_position()[1] == 1.1]
    np.testing.assert_allclose([float(text) for text in written], floats, rtol=5e-3, atol=1e-6)


def test_zero_has_a_line_of_its_own_colour():
    (ax,) = plot_affine_map(-1, 2, 3 / 255, 85, title="t").axes
    joining = [line for line in ax.lines if list(line.get_ydata()) == [1, 0]]
    colors = [line.get_color() for line in joining]
    (alone,) = (line for line in joining if colors.count(line.get_color()) == 1)
    assert alone.get_xdata()[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, -1, 0.1, 0), "low below high"),
        ((np.nan, 1, 0.1, 0), "holds NaN"),
        ((-1, 1, 0, 0), "scale is 0"),
        ((-1, 1, np.nan, 0), "scale is nan"),
        ((-1, 1, 0.1, 256), "zero_point is 256"),
    ],
)
def test_affine_map_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_affine_map(*arguments, title="t")
