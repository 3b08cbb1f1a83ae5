"""Soft targets, pruned weights and speed-ups show the numbers they are given."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from scipy.stats import entropy

from utils.plotting import (
    PALETTE,
    plot_pruned_network,
    plot_soft_targets,
    plot_speedups,
    plot_weight_planes,
)

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["weather", "lights", "timer", "oos"]
SOFT = [0.2, 0.4, 0.1, 0.3]


def test_bars_of_soft_targets_descend_by_the_last_target_and_share_their_order(draw):
    fig = plot_soft_targets({"one-hot": [0, 1, 0, 0], 2: SOFT}, NAMES, title="t", top=3)
    draw(fig)
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == ["lights", "oos", "weather"]
    widths = [[bar.get_width() for bar in ax.patches] for ax in fig.axes]
    assert widths == [[1, 0, 0], [0.4, 0.3, 0.2]]
    assert "1 more classes" in fig.get_supxlabel()


def test_panels_name_the_temperature_and_the_entropy_over_all_classes():
    fig = plot_soft_targets({"one-hot": [0, 1, 0, 0], 2.5: SOFT}, NAMES, title="t", top=1)
    hard, soft = (ax.get_title() for ax in fig.axes)
    assert hard == "one-hot\nentropy 0.00 bits"
    assert soft == f"T = 2.5\nentropy {entropy(SOFT, base=2):.2f} bits"


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        ({}, {}, "targets is empty"),
        ({1: [0.5, 0.5]}, {}, "probabilities has 2, class_names has 4"),
        ({1: [2, 1, -1, -1]}, {}, "not logits"),
        ({1: [0.5, 0.1, 0, 0]}, {}, "not logits"),
        ({1: [np.nan, 1, 0, 0]}, {}, r"targets\[1\] holds NaN"),
        ({1: SOFT}, {"top": 0}, "top is 0"),
    ],
)
def test_soft_targets_refuses(targets, options, message):
    with pytest.raises(ValueError, match=message):
        plot_soft_targets(targets, NAMES, title="t", **options)


INITIAL, FINAL = np.random.default_rng(0).normal(size=(2, 20, 30))


def test_each_weight_is_a_dot_at_before_and_after_coloured_if_kept():
    kept = abs(FINAL) > 1
    fig = plot_weight_planes({"magnitude": (INITIAL, FINAL, kept)}, title="t")
    (ax,) = fig.axes
    removed, shown = ax.collections
    for dots, mask in ((removed, ~kept), (shown, kept)):
        places = {tuple(place) for place in dots.get_offsets()}
        assert places == set(zip(INITIAL[mask], FINAL[mask], strict=True))
    assert tuple(shown.get_facecolor()[0][:3]) == to_rgba(PALETTE[0])[:3]
    assert ax.get_title() == f"magnitude: {kept.mean():.0%} kept"


def test_planes_have_one_scale_that_holds_every_weight():
    planes = {"a": (INITIAL, FINAL, FINAL > 0), "b": (INITIAL, 3 * FINAL, FINAL > 0)}
    fig = plot_weight_planes(planes, title="t")
    limits = {(*ax.get_xlim(), *ax.get_ylim()) for ax in fig.axes}
    ((low, high, *_),) = limits
    assert high == -low > 3 * abs(FINAL).max()


def test_of_many_weights_a_sample_is_drawn():
    initial = np.random.default_rng(0).normal(size=(100, 100))
    fig = plot_weight_planes({"a": (initial, initial, initial > 0)}, title="t")
    counts = [len(dots.get_offsets()) for dots in fig.axes[0].collections]
    assert sum(counts) == 4000
    assert abs(counts[0] - 2000) < 150


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        ({}, "planes is empty"),
        ({"a": (INITIAL, FINAL[:5], FINAL > 0)}, "one shape"),
        ({"a": (INITIAL, FINAL, FINAL)}, "mask of 'a' may hold only 0 and 1"),
        ({"a": (INITIAL * np.nan, FINAL, FINAL > 0)}, "weights of 'a' holds NaN"),
    ],
)
def test_weight_planes_refuses(planes, message):
    with pytest.raises(ValueError, match=message):
        plot_weight_planes(planes, title="t")


MASKS = [np.array([[1, 1], [0, 0], [0, 1]]), np.array([[1, 0, 0]])]  # 2 -> 3 -> 1 units


def test_a_network_loses_the_weights_that_the_mask_removes():
    fig = plot_pruned_network(MASKS, title="t")
    links = [[len(links.get_segments()) for links in ax.findobj(LineCollection)] for ax in fig.axes]
    assert links == [[6, 3], [3, 1]]
    assert [ax.get_title() for ax in fig.axes] == [
        "before: 9 weights",
        "after: 4 weights (56% removed)",
    ]


def test_links_join_the_units_of_their_weight():
    mask = np.zeros((2, 3))
    mask[1, 2] = 1  # from the last of three inputs to the last of two outputs
    after = plot_pruned_network([mask], title="t").axes[1]
    ((start, end),) = after.findobj(LineCollection)[0].get_segments()
    inputs, outputs = (dots.get_offsets() for dots in after.collections[1:])
    np.testing.assert_array_equal(start, inputs[2])
    np.testing.assert_array_equal(end, outputs[1])


def test_units_that_lost_one_side_are_grey():
    after = plot_pruned_network(MASKS, title="t").axes[1]
    layers = [dots.get_facecolor() for dots in after.collections if dots.get_offsets().size > 2]
    hidden = [tuple(color) for color in layers[-1]]
    assert hidden[0] == to_rgba(PALETTE[5])
    assert hidden[1] == hidden[2] != hidden[0]  # without input; without output


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "masks is empty"),
        ([[1, 0]], r"masks\[0\] must have 2 axes"),
        ([[[2, 0]]], r"masks\[0\] may hold only"),
        ([np.ones((3, 2)), np.ones((1, 2))], "3 units out, but masks\\[1\\] has 2 units in"),
        ([np.ones((17, 2))], "at most 16"),
    ],
)
def test_pruned_network_refuses(masks, message):
    with pytest.raises(ValueError, match=message):
        plot_pruned_network(masks, title="t")


def test_speedups_are_against_the_first_and_each_step_has_its_factor():
    fig = plot_speedups({"base": 60.0, "student": 30.0, "worse": 40.0, "int8": 10.0}, title="t")
    (ax,) = fig.axes
    assert [text.get_text() for text in ax.texts] == [
        "1x (60 ms)",
        "2x (step 2x, 30 ms)",
        "1.5x (step 0.75x, 40 ms)",
        "6x (step 4x, 10 ms)",
    ]
    reached = [bar.get_x() + bar.get_width() for bar in ax.patches[1::2]]
    np.testing.assert_allclose(reached, [1, 2, 1.5, 6])
    assert ax.get_xscale() == "log"


def test_a_step_that_slows_down_looks_different():
    (ax,) = plot_speedups({"base": 2.0, "faster": 1.0, "slower": 4.0}, title="t").axes
    _, faster, slower = (bar.get_facecolor() for bar in ax.patches[1::2])
    assert faster != slower


@pytest.mark.parametrize(
    ("times", "message"),
    [({}, "times is empty"), ({"a": np.nan}, "times holds NaN"), ({"a": 0}, "above 0")],
)
def test_speedups_refuses(times, message):
    with pytest.raises(ValueError, match=message):
        plot_speedups(times, title="t")
