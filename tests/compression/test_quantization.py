"""Quantization against struct, numpy and torch's own kernels, and what it costs a small network."""

import io
import math
import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnxruntime.quantization.quant_utils import compute_scale_zp
from torch import nn

from utils.compression import (
    AffineMap,
    calibrate,
    fake_quantize,
    float_bits,
    quantize_linears,
    quantize_weights_only,
    rounding_errors,
    scheme_errors,
    simulate_quantization,
)
from utils.compression.quantization import WeightOnlyEmbedding, WeightOnlyLinear

pytestmark = pytest.mark.filterwarnings("ignore:torch.*quant:UserWarning", "ignore:torch.ao")
NUMBERS = [137.035, -0.1, 1.0, 0.0, -0.0, 1e-7, 65504.0, 3e-40, math.inf, -math.inf]


def random_weight(rows=64, columns=48, seed=0):
    """With a row ten times as large as the others."""
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    weight[3] *= 10
    return weight


def test_the_bits_of_the_book_s_number():
    bits = float_bits(137.035)
    assert bits == ("0", "10000110", "00010010000100011110110")
    assert bits.power == 7
    assert bits.value == pytest.approx(137.035003662, abs=1e-9)


def test_bits_are_those_that_the_machine_stores():
    """Struct and numpy round a double once; so do powers of two beside ties of every format."""
    near_ties = [1 + 2.0**-11 + 2.0**-30, 1 + 2.0**-24 + 2.0**-50, 65519.99, 65520.0, 2.0**-25]
    random = np.random.default_rng(0).normal(size=500) * 2.0 ** np.arange(-30, 20).repeat(10)
    for number in [*NUMBERS, *near_ties, *random]:
        with np.errstate(over="ignore"):
            half, single = np.float16(number), np.float32(number)
        assert "".join(float_bits(number)) == f"{single.view(np.uint32):032b}", number
        assert "".join(float_bits(number, "fp16")) == f"{half.view(np.uint16):016b}", number
        if abs(number) < 3e38:
            assert struct.pack(">f", number) == int("".join(float_bits(number)), 2).to_bytes(4)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("format", "dtype"), [
    ("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16),
])  # fmt: skip
def test_the_value_of_the_bits_is_the_number_that_torch_keeps(number, format, dtype):
    assert float_bits(number, format).value == torch.tensor(number, dtype=dtype).item()


def test_numbers_beside_a_tie_are_rounded_once():
    """To fp32 first, both would come to lie on the tie and then go down to 1, which is even."""
    assert float_bits(1 + 2.0**-11 + 2.0**-30, "fp16").value == 1 + 2.0**-10
    assert float_bits(1 + 2.0**-8 + 2.0**-30, "bf16").value == 1 + 2.0**-7
    assert float_bits(1 + 2.0**-8, "bf16").value == 1  # the tie itself
    assert float_bits(3.4e38, "bf16").value == math.inf


def test_a_number_that_is_none_has_no_value():
    assert math.isnan(float_bits(math.nan).value)


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match='"int8" is no format here: choose from fp32, fp16, bf16'):
        float_bits(1.0, "int8")


def test_one_scale_by_hand_is_that_of_torch_element_for_element():
    """The book's map: no zero point, and a step of 1/255 of the range, which clips the ends."""
    weight = random_weight()
    by_hand = AffineMap((weight.max() - weight.min()) / 255, torch.tensor(0))
    theirs = torch.quantize_per_tensor(weight, by_hand.scale.item(), 0, torch.qint8)
    assert torch.equal(by_hand.quantize(weight), theirs.int_repr())
    assert torch.equal(by_hand.dequantize(by_hand.quantize(weight)), theirs.dequantize())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("offset", [0.0, 5.0, -300.0])
def test_fitted_maps_are_those_of_torch(symmetric, offset):
    weight = random_weight() + offset
    ours = AffineMap.fit(weight, symmetric=symmetric)
    settings = (ours.scale.item(), ours.zero_point.item(), torch.qint8)
    assert torch.equal(
        ours.quantize(weight), torch.quantize_per_tensor(weight, *settings).int_repr()
    )
    by_row = AffineMap.fit(weight, symmetric=symmetric, channel_axis=0)
    settings = (by_row.scale, by_row.zero_point, 0, torch.qint8)
    theirs = torch.quantize_per_channel(weight, *settings)
    assert torch.equal(by_row.quantize(weight), theirs.int_repr())
    torch.testing.assert_close(by_row.dequantize(by_row.quantize(weight)), theirs.dequantize())


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("options", [{}, {"symmetric": True}, {"channel_axis": 1}])
def test_nothing_is_off_by_more_than_half_a_step(bits, options):
    weight = random_weight()
    affine = AffineMap.fit(weight, bits=bits, **options)
    integers = affine.quantize(weight)
    low, high = integers.min().item(), integers.max().item()
    assert -(2 ** (bits - 1)) <= low < high <= 2 ** (bits - 1) - 1
    error = (affine.dequantize(integers) - weight).abs()
    # the zero point is rounded too, which can clip the ends of the range by another half step
    steps = 0.5 if affine.zero_point.eq(0).all() else 1.0
    assert (error <= affine.scale * steps * 1.001 + 1e-6).all()
    assert (error[affine.is_inside(weight)].max() <= affine.scale.max() * 0.501).all()


def test_beyond_the_range_values_are_clipped():
    affine = AffineMap(torch.tensor(0.5), torch.tensor(10))
    values = torch.tensor([-1000.0, -69.0, 0.0, 58.5, 1000.0])
    assert affine.quantize(values).tolist() == [-128, -128, 10, 127, 127]
    assert affine.is_inside(values).tolist() == [False, True, True, True, False]
    assert affine.dequantize(affine.quantize(values)).tolist() == [-69.0, -69.0, 0.0, 58.5, 58.5]


def test_unsigned_integers_as_in_the_figure():
    affine = AffineMap(torch.tensor(0.1), torch.tensor(50), q_min=0, q_max=255)
    integers = affine.quantize(torch.tensor([-5.0, 0.0, 20.5]))
    assert integers.dtype == torch.uint8
    assert integers.tolist() == [0, 50, 255]


def test_zero_is_exact_wherever_the_range_lies():
    for offset in (-7.0, 0.0, 7.0):
        affine = AffineMap.fit(torch.rand(100) + offset)
        assert affine.dequantize(affine.quantize(torch.zeros(1))).item() == 0


@pytest.mark.parametrize("values", [[1e-6, -5e-7, 3e-7], [4e-20, -1e-20], [3.0, -2.0, 7.0]])
@pytest.mark.parametrize("symmetric", [True, False])
def test_small_values_have_the_scale_that_onnx_runtime_gives_them(values, symmetric):
    low, high = np.float32(min(values)), np.float32(max(values))
    q_min = np.int8(-127 if symmetric else -128)
    zero, scale = compute_scale_zp(low, high, q_min, np.int8(127), symmetric=symmetric)
    affine = AffineMap.fit(torch.tensor(values), symmetric=symmetric)
    assert affine.scale.item() == pytest.approx(float(scale), rel=1e-6)
    assert affine.zero_point.item() == zero


def test_zeros_alone_stay_zeros():
    for symmetric in (True, False):
        affine = AffineMap.fit(torch.zeros(3), symmetric=symmetric)
        assert affine.dequantize(affine.quantize(torch.zeros(3))).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "bits", "message"),
    [
        ([], 8, "no range to fit"),
        ([1.0, math.nan], 8, "no range to fit"),
        ([math.inf], 8, "no range to fit"),
        ([1.0], 1, "choose between 2 and 16"),
        ([1.0], 17, "choose between 2 and 16"),
    ],
)
def test_a_map_that_cannot_be_is_refused(values, bits, message):
    with pytest.raises(ValueError, match=message):
        AffineMap.fit(torch.tensor(values), bits=bits)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_fake_quantization_and_its_gradient_are_those_of_torch(bits, symmetric):
    weight = random_weight()
    affine = AffineMap.fit(weight[:, :20] / 3, bits=bits, symmetric=symmetric)
    ours, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    settings = (affine.scale.item(), affine.zero_point.item(), affine.q_min, affine.q_max)
    expected = torch.fake_quantize_per_tensor_affine(theirs, *settings)
    assert torch.equal(fake_quantize(ours, affine), expected)
    upstream = torch.randn_like(weight)
    fake_quantize(ours, affine).backward(upstream)
    expected.backward(upstream)
    assert torch.equal(ours.grad, theirs.grad)
    assert 0 < (ours.grad == 0).sum() < weight.numel()


def test_each_format_loses_more_than_the_one_before():
    values = torch.rand(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    table = rounding_errors(values)
    assert table.index.tolist() == ["fp32", "fp16", "bf16", "int8"]
    assert table["bytes"].tolist() == [4, 2, 2, 1]
    # half the gap between neighbours just below 1, and half of 1/255
    limits = np.array([2.0**-25, 2.0**-12, 2.0**-9, 0.5 / 255])
    assert np.all(table["max error"] <= limits * 1.01)
    assert np.all(table["max error"] >= limits * 0.9)


def test_a_scale_for_each_channel_keeps_an_outlier_from_the_others():
    table = scheme_errors(random_weight())
    mean = table["mean error"]
    assert mean["per channel, symmetric"] < mean["per tensor, symmetric"] / 3
    assert table["levels"].max() <= 256


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(30, 16), nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 5)
    ).eval()


def state_size(model):
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.tell()


@pytest.mark.parametrize("quantize", [quantize_linears, quantize_weights_only])
def test_int8_layers_compute_nearly_the_same(quantize, recwarn, capfd):
    model, ids = small_model(), torch.arange(30)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    smaller = quantize(model)
    error = (smaller(ids) - model(ids)).abs().max()
    assert 0 < error < 0.02
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_dynamic_int8_multiplies_integers():
    """Against the same sums in integers, computed in int64."""
    linear = nn.Linear(16, 24, bias=False)
    x = torch.randn(7, 16)
    layer = quantize_linears(nn.Sequential(linear))[0]
    stored = layer.weight()
    assert stored.dtype == torch.qint8
    activations = AffineMap.from_range(*x.aminmax(), bits=7)
    sums = (activations.quantize(x).long() - activations.zero_point) @ stored.int_repr().long().T
    expected = sums * activations.scale * stored.q_scale()
    assert (layer(x) - expected).abs().max() < 0.02 * expected.abs().max()


def test_weights_only_layers_are_the_layers_with_rounded_weights():
    linear, embedding = nn.Linear(16, 24), nn.Embedding(30, 16)
    x, ids = torch.randn(2, 3, 16), torch.randint(30, (2, 3))
    affine = AffineMap.fit(linear.weight, symmetric=True, channel_axis=0)
    rounded = affine.dequantize(affine.quantize(linear.weight.detach()))
    expected = F.linear(x, rounded, linear.bias)
    torch.testing.assert_close(WeightOnlyLinear(linear)(x), expected)
    rows = WeightOnlyEmbedding(embedding)(ids)
    assert rows.shape == (2, 3, 16)
    step = embedding.weight.detach().abs().amax(dim=1) / 127
    assert ((rows - embedding(ids)).abs().amax(dim=-1) <= 0.501 * step[ids]).all()


def test_weights_only_leaves_a_quarter_of_a_large_layer():
    model = nn.Sequential(nn.Embedding(2000, 64), nn.Linear(64, 512))
    assert state_size(quantize_weights_only(model)) < 0.3 * state_size(model)
    bare = nn.Linear(64, 512, bias=False)
    assert isinstance(quantize_weights_only(bare), WeightOnlyLinear)


@pytest.fixture(scope="module")
def spirals():
    """Points (N, 2) on three arms of a spiral, and the arm of each."""
    generator = torch.Generator().manual_seed(0)
    arms = torch.arange(600) % 3
    radius = torch.rand(600, generator=generator)
    angle = 4 * radius + arms * 2 * math.pi / 3
    noise = 0.03 * torch.randn(600, 2, generator=generator)
    return radius[:, None] * torch.stack((angle.cos(), angle.sin()), dim=1) + noise, arms


def train(model, points, arms, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(points), arms).backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def network(spirals):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)
    )
    return train(model, *spirals, steps=300)


def accuracy(model, points, arms):
    with torch.inference_mode():
        return (model(points).argmax(dim=1) == arms).float().mean().item()


def test_eight_bits_cost_nothing_and_two_cost_most(network, spirals):
    full = accuracy(network, *spirals)
    assert full > 0.97
    dynamic = {bits: simulate_quantization(network, bits=bits) for bits in (8, 4, 2)}
    static = {bits: simulate_quantization(network, bits=bits, static=True) for bits in (8, 4, 2)}
    for model in static.values():
        calibrate(model, [spirals[0]])
    for models in (dynamic, static):
        assert accuracy(models[8], *spirals) > full - 0.01
        assert accuracy(models[2], *spirals) < full - 0.2


def test_training_with_quantization_wins_back_what_rounding_loses(network, spirals):
    model = simulate_quantization(network, bits=3, static=True)
    calibrate(model, [spirals[0]])
    rounded = accuracy(model, *spirals)
    assert accuracy(train(model, *spirals, steps=300), *spirals) > rounded + 0.02
    assert accuracy(network, *spirals) > 0.97  # the copy learned, not the original


def test_static_ranges_are_those_of_the_calibration_data(network, spirals):
    model = simulate_quantization(network, static=True)
    points, _ = spirals
    ranges = calibrate(model, points.split(100))
    assert ranges.index.tolist() == ["0", "2", "4"]
    with torch.inference_mode():
        hidden = network[:2](points)
    for layer, values in (("0", points), ("2", hidden)):
        assert ranges.loc[layer, "min"] == pytest.approx(values.min().item(), abs=1e-5)
        assert ranges.loc[layer, "max"] == pytest.approx(values.max().item(), abs=1e-5)
    far = 100 * points
    assert (model(far) - network(far)).abs().max() > 100  # clipped at the range seen before


def test_a_static_model_must_be_calibrated_first(network, spirals):
    model = simulate_quantization(network, static=True)
    with pytest.raises(RuntimeError, match="calibrate first"):
        model(spirals[0])


def test_ranges_come_from_data_and_without_dropout(spirals):
    network = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    model = simulate_quantization(network, bits=8, static=True).train()
    ranges = calibrate(model, [spirals[0]])
    assert ranges["max"].item() == pytest.approx(spirals[0].max().item())
    assert model.training
    with pytest.raises(ValueError, match=r"^There is no batch to learn ranges from"):
        calibrate(model, [])
