"""Quantization from the numbers up: float formats, the affine map, and int8 layers.

A float f is stored as an integer q with f = S (q - Z): the scale S is a positive float, the zero
point Z the integer that stands for 0 (Jacob et al. 2018, section 2).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.models.modes import evaluating
from utils.quiet import without_warnings

FORMATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
EXPONENT_BITS = {"fp32": 8, "fp16": 5, "bf16": 8}
SMALLEST_SCALE = torch.finfo(torch.float32).tiny  # of values that are all 0: its inverse is finite
STORED_IN = {torch.int8: (-128, 127), torch.uint8: (0, 255)}  # anything else takes int32


class FloatBits(NamedTuple):
    """The bits of a float in three strings of 0 and 1: (-1)^sign x 1.significand x 2^exponent."""

    sign: str
    exponent: str
    significand: str

    @property
    def power(self) -> int:
        """The power of two: the exponent less its bias, 1 more where the exponent is all 0."""
        return max(int(self.exponent, 2), 1) - (2 ** (len(self.exponent) - 1) - 1)

    @property
    def value(self) -> float:
        """The number that the bits stand for."""
        sign = -1.0 if self.sign == "1" else 1.0
        fraction = int(self.significand, 2) / 2 ** len(self.significand)
        if "0" not in self.exponent:
            return sign * (math.nan if fraction else math.inf)
        leading = int("1" in self.exponent)  # numbers near zero have no leading one
        return sign * (leading + fraction) * 2.0**self.power


def float_bits(value: float, format: str = "fp32") -> FloatBits:
    """The bits of the nearest number to `value` in "fp32", "fp16" or "bf16".

    Raises:
        ValueError: there is no such format.
    """
    if format not in FORMATS:
        raise ValueError(f'"{format}" is no format here: choose from {", ".join(FORMATS)}.')
    size, end = 8 * FORMATS[format].itemsize, 1 + EXPONENT_BITS[format]
    number = torch.tensor(_nearest(value, end - 1, size - end), dtype=FORMATS[format])
    integer = number.view(torch.int32 if size == 32 else torch.int16).item()
    bits = f"{integer % 2**size:0{size}b}"
    return FloatBits(bits[0], bits[1:end], bits[end:])


def _nearest(value: float, exponent_bits: int, significand_bits: int) -> float:
    """The nearest number of a format, ties to even; torch would round twice, first to fp32."""
    if not math.isfinite(value):
        return value
    lowest = 2 - 2 ** (exponent_bits - 1)  # power of the smallest number with a leading one
    last = max(math.frexp(value)[1] - 1, lowest) - significand_bits  # power of the last bit
    return math.copysign(math.ldexp(round(math.ldexp(value, -last)), last), value)


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Floats to integers and back: q = clamp(round(f / S) + Z) and f = S (q - Z).

    Attributes:
        scale: S, a positive number, or (C,) with one for each channel.
        zero_point: Z, an integer, or (C,).
        q_min, q_max: the range of q, both included.
        channel_axis: the axis of the channels; None if there is one scale.
    """

    scale: Tensor | float
    zero_point: Tensor | int
    q_min: int = -128
    q_max: int = 127
    channel_axis: int | None = None

    @classmethod
    def fit(
        cls,
        values: Tensor,
        *,
        bits: int = 8,
        symmetric: bool = False,
        channel_axis: int | None = None,
    ) -> AffineMap:
        """The map with the smallest scale that clips none of the values.

        Args:
            values: floats of any shape.
            bits: of q, which is signed; 2 to 16.
            symmetric: Z = 0, as weights have it; else the range goes from the smallest to the
                largest value and always has 0 in it, so that padding stays exact.
            channel_axis: fit each slice along this axis on its own.

        Raises:
            ValueError: no values, one that is not finite, or bits out of 2 to 16.
        """
        if values.numel() == 0 or not values.isfinite().all():
            raise ValueError("There is no range to fit: give at least one value, all finite.")
        low, high = _ranges(values.detach().float(), channel_axis)
        return cls.from_range(low, high, bits=bits, symmetric=symmetric, channel_axis=channel_axis)

    @classmethod
    def from_range(
        cls,
        low: Tensor,
        high: Tensor,
        *,
        bits: int = 8,
        symmetric: bool = False,
        channel_axis: int | None = None,
    ) -> AffineMap:
        """The map for values from `low` to `high`, () or (C,); see `fit`."""
        if not 2 <= bits <= 16:
            raise ValueError(f"bits is {bits}: choose between 2 and 16.")
        q_min, q_max = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        if symmetric:
            scale = (torch.maximum(-low, high) / q_max).clamp(min=SMALLEST_SCALE)
            return cls(scale, torch.zeros_like(scale).long(), q_min, q_max, channel_axis)
        low, high = low.clamp(max=0), high.clamp(min=0)
        scale = ((high - low) / (q_max - q_min)).clamp(min=SMALLEST_SCALE)
        zero_point = (q_min - (low / scale).round()).clamp(q_min, q_max).long()
        return cls(scale, zero_point, q_min, q_max, channel_axis)

    def quantize(self, values: Tensor) -> Tensor:
        """Integers of the shape of `values`: int8 or uint8 where they fit, else int32."""
        return self._rounded(values).clamp(self.q_min, self.q_max).to(self.dtype)

    def dequantize(self, integers: Tensor) -> Tensor:
        """The floats that integers stand for."""
        scale, zero_point = self._along(integers)
        return (integers.to(scale.dtype) - zero_point) * scale  # q - Z may not fit into int8

    def is_inside(self, values: Tensor) -> Tensor:
        """True where a value is not clipped."""
        rounded = self._rounded(values)
        return (rounded >= self.q_min) & (rounded <= self.q_max)

    @property
    def dtype(self) -> torch.dtype:
        """What the integers are stored in."""
        for dtype, (low, high) in STORED_IN.items():
            if low <= self.q_min and self.q_max <= high:
                return dtype
        return torch.int32

    def _rounded(self, values: Tensor) -> Tensor:
        """f / S rounded, plus Z, in the order of `torch.fake_quantize_per_tensor_affine`.

        Torch's other kernels add Z first, which can differ by 1 where f / S is next to a tie.
        """
        scale, zero_point = self._along(values)
        return (values * scale.reciprocal()).round() + zero_point

    def _along(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point in a shape that broadcasts with values."""
        scale, zero_point = torch.as_tensor(self.scale), torch.as_tensor(self.zero_point)
        if self.channel_axis is None:
            return scale, zero_point
        shape = [1] * values.ndim
        shape[self.channel_axis] = -1
        return scale.view(shape), zero_point.view(shape)


def fake_quantize(values: Tensor, affine: AffineMap) -> Tensor:
    """Values after a trip to integers and back, with a gradient that ignores the rounding.

    The straight-through estimator (Bengio et al. 2013): the gradient passes as it is, and is 0
    where a value was clipped.
    """
    return _StraightThrough.apply(values, affine)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, affine: AffineMap) -> Tensor:
        ctx.save_for_backward(affine.is_inside(values))
        return affine.dequantize(affine.quantize(values))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (is_inside,) = ctx.saved_tensors
        return gradient * is_inside, None


def rounding_errors(values: Tensor) -> pd.DataFrame:
    """What is lost when values are stored in each format: absolute errors, and bytes per value.

    Args:
        values: floats of any shape, best float64; int8 takes one scale for all of them.
    """
    affine = AffineMap.fit(values)
    stored = {name: values.to(dtype) for name, dtype in FORMATS.items()}
    rows = {name: _error_row(values, rounded) for name, rounded in stored.items()}
    rows["int8"] = _error_row(values, affine.dequantize(affine.quantize(values)), size=1)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("format")


def scheme_errors(weight: Tensor) -> pd.DataFrame:
    """What int8 loses with one scale for a weight (out, in), and with one for each of its outputs.

    An outlier widens the range of everything that shares its scale. `levels` are the integers that
    occur.
    """
    schemes = {
        "per tensor, asymmetric": AffineMap.fit(weight),
        "per tensor, symmetric": AffineMap.fit(weight, symmetric=True),
        "per channel, symmetric": AffineMap.fit(weight, symmetric=True, channel_axis=0),
    }
    rows = {}
    for name, affine in schemes.items():
        integers = affine.quantize(weight)
        error = (affine.dequantize(integers) - weight).abs()
        rows[name] = {
            "mean error": error.mean().item(),
            "max error": error.max().item(),
            "levels": len(integers.unique()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scheme")


def quantize_linears(model: nn.Module) -> nn.Module:
    """A copy with int8 linear layers for the CPU: weights ahead of time, activations on the fly.

    torch.ao's route is deprecated in favour of torchao, but is the one that is fast without a
    compiler: torchao's int8 layers are slower than fp32 there. Embeddings stay in fp32; on x86
    activations take 7 bits, as not every processor can add up products of 8 bits.
    """
    from torch.ao.quantization import quantize_dynamic

    with without_warnings():
        return quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def quantize_weights_only(model: nn.Module) -> nn.Module:
    """A copy whose linear layers and embeddings keep int8 weights and compute in float.

    A quarter of the size on any device, with activations as they were.
    """
    return _replaced(model, {nn.Linear: WeightOnlyLinear, nn.Embedding: WeightOnlyEmbedding})


class _Int8Weight(nn.Module):
    """A weight (rows, in) in int8, with a scale for each row; it is not trained."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        affine = AffineMap.fit(weight, symmetric=True, channel_axis=0)
        self.register_buffer("weight", affine.quantize(weight.detach()))
        self.register_buffer("scale", affine.scale.to(weight.dtype))


class WeightOnlyLinear(_Int8Weight):
    """A linear layer over int8 weights, each output of which has its own scale."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.weight)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out), in the dtype of x."""
        out = F.linear(x, self.weight.to(x.dtype)) * self.scale
        return out if self.bias is None else out + self.bias


class WeightOnlyEmbedding(_Int8Weight):
    """An embedding over int8 rows, each of which has its own scale."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__(embedding.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (...) -> (..., D)."""
        return self.weight[ids] * self.scale[ids].unsqueeze(-1)


def simulate_quantization(model: nn.Module, *, bits: int = 8, static: bool = False) -> nn.Module:
    """A copy whose linear layers compute as with integers of any number of bits, in floats.

    Dynamic quantization takes the range of the activations from each batch; static quantization
    takes it from calibration data, see `calibrate`. Such a model can be trained: that is
    quantization-aware training (Jacob et al. 2018, section 3).
    """

    def simulated(linear: nn.Linear) -> SimulatedLinear:
        return SimulatedLinear(linear, bits=bits, observer=RangeObserver() if static else None)

    return _replaced(model, {nn.Linear: simulated})


class RangeObserver:
    """The smallest and the largest value seen so far."""

    def __init__(self) -> None:
        self.low, self.high = torch.tensor(math.inf), torch.tensor(-math.inf)
        self.is_observing = False

    def __call__(self, values: Tensor) -> None:
        low, high = values.detach().aminmax()
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)


class SimulatedLinear(nn.Module):
    """A linear layer with fake-quantized weights (a scale per output) and inputs (one scale).

    Without an observer the range of the inputs is that of each batch.
    """

    def __init__(
        self, linear: nn.Linear, *, bits: int, observer: RangeObserver | None = None
    ) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.bits, self.observer = bits, observer

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out)."""
        if self.observer is not None and self.observer.is_observing:
            self.observer(x)
            return F.linear(x, self.weight, self.bias)
        weights = AffineMap.fit(self.weight, bits=self.bits, symmetric=True, channel_axis=0)
        x = fake_quantize(x, self._input_map(x))
        return F.linear(x, fake_quantize(self.weight, weights), self.bias)

    def _input_map(self, x: Tensor) -> AffineMap:
        if self.observer is None:
            return AffineMap.fit(x, bits=self.bits)
        if self.observer.low > self.observer.high:
            raise RuntimeError("The ranges of the activations are not known: calibrate first.")
        return AffineMap.from_range(self.observer.low, self.observer.high, bits=self.bits)


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Tensor]) -> pd.DataFrame:
    """Show a statically quantized model data, so that it learns the range of each layer's input.

    Args:
        model: from `simulate_quantization(..., static=True)`; it computes in floats meanwhile.
        batches: what the model takes.

    Returns:
        The smallest and the largest input of each layer, and the scale and zero point from them.

    Raises:
        ValueError: there is no batch.
    """
    if not (batches := list(batches)):
        raise ValueError("There is no batch to learn ranges from: give at least one.")
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, SimulatedLinear) and module.observer is not None
    }
    for layer in layers.values():
        layer.observer.is_observing = True
    with evaluating(model):
        for batch in batches:
            model(batch)
    for layer in layers.values():
        layer.observer.is_observing = False
    rows = {name: _range_row(layer) for name, layer in layers.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer")


def _range_row(layer: SimulatedLinear) -> dict[str, float]:
    low, high = layer.observer.low, layer.observer.high
    affine = AffineMap.from_range(low, high, bits=layer.bits)
    return {
        "min": low.item(),
        "max": high.item(),
        "scale": affine.scale.item(),
        "zero point": affine.zero_point.item(),
    }


def _replaced(
    model: nn.Module, replacements: dict[type[nn.Module], Callable[[Any], nn.Module]]
) -> nn.Module:
    """A copy in which each module of exactly these types is what its replacement makes of it."""
    model = copy.deepcopy(model)
    if type(model) in replacements:
        return replacements[type(model)](model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) in replacements:
                setattr(parent, name, replacements[type(child)](child))
    return model


def _ranges(values: Tensor, channel_axis: int | None) -> tuple[Tensor, Tensor]:
    """Smallest and largest of all values, or (C,) of each channel."""
    if channel_axis is None:
        return tuple(values.aminmax())
    return tuple(values.movedim(channel_axis, 0).flatten(1).aminmax(dim=1))


def _error_row(values: Tensor, stored: Tensor, size: int | None = None) -> dict[str, float]:
    error = (stored.double() - values.double()).abs()
    return {
        "mean error": error.mean().item(),
        "max error": error.max().item(),
        "bytes": size or stored.element_size(),
    }
