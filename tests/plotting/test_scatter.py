"""Points stand where the numbers are, and their labels beside them."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from utils.plotting import plot_scatter

pytestmark = pytest.mark.filterwarnings("error")

LABELS = {"title": "Title", "xlabel": "time (s)", "ylabel": "accuracy (share)"}
POINTS = {"greedy": (1.0, 0.3), "beam search": (3.0, 0.35), "sampling": (1.1, 0.6)}


def labels(fig: Figure) -> dict[str, Annotation]:
    return {text.get_text(): text for text in fig.axes[0].texts}


def extents(fig: Figure) -> dict[str, Bbox]:
    """Boxes of the labels alone, without the lines that join them to their points."""
    return {name: Text.get_window_extent(label) for name, label in labels(fig).items()}


def test_each_point_has_its_place_its_name_and_its_own_look():
    fig = plot_scatter(POINTS, **LABELS)
    (ax,) = fig.axes
    places = [tuple(dots.get_offsets()[0]) for dots in ax.collections]
    assert places == list(POINTS.values())
    assert set(labels(fig)) == set(POINTS)
    assert len({tuple(dots.get_facecolor()[0]) for dots in ax.collections}) == len(POINTS)


def test_intervals_reach_from_low_to_high():
    fig = plot_scatter(
        POINTS, **LABELS, x_intervals={"greedy": (0.9, 1.2)}, y_intervals={"sampling": (0.5, 0.65)}
    )
    along_x, along_y = (line.get_xydata() for line in fig.axes[0].lines)
    np.testing.assert_array_equal(along_x, [(0.9, 0.3), (1.2, 0.3)])
    np.testing.assert_array_equal(along_y, [(1.1, 0.5), (1.1, 0.65)])


def test_areas_are_proportional_to_sizes_and_explained():
    sizes = {"greedy": 100.0, "beam search": 400.0, "sampling": 200.0}
    fig = plot_scatter(POINTS, **LABELS, sizes=sizes, size_label="memory (MB)")
    areas = [dots.get_sizes()[0] for dots in fig.axes[0].collections[:3]]
    np.testing.assert_allclose(np.array(areas) / areas[0], [1, 4, 2])
    (legend,) = fig.legends
    assert legend.get_title().get_text() == "memory (MB)"
    assert [text.get_text() for text in legend.get_texts()] == ["100", "200", "400"]


@pytest.mark.parametrize("spread", [1.0, 0.03])
def test_labels_cover_neither_each_other_nor_points_nor_bars(spread, draw):
    rng = np.random.default_rng(0)
    points = {f"system {i}": tuple(rng.normal(scale=spread, size=2)) for i in range(9)}
    points |= {"far away": (3.0, 3.0), "far below": (-3.0, -3.0)}
    bars = {name: (y - 0.1 * spread, y + 0.1 * spread) for name, (_, y) in points.items()}
    fig = plot_scatter(points, **LABELS, y_intervals=bars)
    draw(fig)
    ax, shown = fig.axes[0], extents(fig)
    assert not any(one.overlaps(other) for one, other in combinations(shown.values(), 2))
    centres = ax.transData.transform(list(points.values()))
    assert not any(box.contains(*centre) for box in shown.values() for centre in centres)
    bars = [Bbox(ax.transData.transform(line.get_xydata())) for line in ax.lines]
    assert not any(box.overlaps(bar) for box in shown.values() for bar in bars)
    assert all(ax.bbox.padded(1).containsx(box.x0) for box in shown.values())
    assert all(ax.bbox.padded(1).containsx(box.x1) for box in shown.values())


def test_a_label_far_from_its_point_is_joined_to_it():
    crowd = {f"a rather long name {i}": (1 + 1e-3 * i, 1.0) for i in range(7)}
    joined = labels(plot_scatter(crowd | {"alone": (2.0, 2.0)}, **LABELS))
    assert any(label.arrow_patch.get_visible() for label in joined.values())
    assert not joined["alone"].arrow_patch.get_visible()


def test_a_log_axis_over_less_than_a_decade_has_plain_ticks(draw):
    fig = plot_scatter(POINTS, **LABELS, xscale="log")
    draw(fig)
    ticks = [tick.get_text() for tick in fig.axes[0].get_xticklabels(which="both")]
    assert fig.axes[0].get_xscale() == "log"
    assert {"1", "2", "3"} <= set(ticks)
    assert not any("10^" in tick for tick in ticks)


def test_the_current_system_is_a_dashed_ring_with_a_bold_name_and_the_others_are_filled():
    fig = plot_scatter(POINTS, **LABELS, sizes=dict.fromkeys(POINTS, 1), current="sampling")
    dots = dict(zip(POINTS, fig.axes[0].collections, strict=False))
    assert [name for name in POINTS if dots[name].get_facecolor().size == 0] == ["sampling"]
    assert [name for name in POINTS if dots[name].get_linestyle()[0][1]] == ["sampling"]
    assert [name for name, text in labels(fig).items() if text.get_weight() == "bold"] == [
        "sampling"
    ]


def test_a_system_keeps_its_colour_when_more_are_added():
    def colors(names: list[str], current: str) -> list[tuple]:
        fig = plot_scatter({name: POINTS[name] for name in names}, **LABELS, current=current)
        return [tuple(dots.get_edgecolor()[0]) for dots in fig.axes[0].collections]

    before, after = colors(["greedy", "sampling"], "sampling"), colors(list(POINTS), "sampling")
    assert before[0] == after[0]
    fills = plot_scatter(POINTS, **LABELS, current="sampling").axes[0].collections
    assert tuple(fills[1].get_facecolor()[0]) == colors(["greedy", "beam search"], "beam search")[1]


@pytest.mark.parametrize("xscale", ["linear", "log"])
def test_limits_hold_and_grow_only_where_a_point_lies_outside(xscale):
    limits = {"xlim": (0.5, 20.0), "ylim": (0.0, 0.5)}
    (ax,) = plot_scatter(POINTS, **LABELS, **limits, xscale=xscale).axes
    assert ax.get_xlim() == (0.5, 20.0)
    low, high = ax.get_ylim()
    assert low == 0.0
    assert 0.6 < high < 0.7  # sampling stands at 0.6


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ({"a": (1, np.nan)}, {}, "points holds NaN"),
        ({"a": (0, 1)}, {"xscale": "log"}, "log axis"),
        ({"a": (1, 1)}, {"y_intervals": {"a": (0, np.nan)}}, "interval of 'a' holds NaN"),
        ({"a": (1, 1)}, {"current": "b"}, "current is 'b'"),
        ({"a": (1, 1)}, {"xlim": (2, 1)}, "low below high"),
    ],
)
def test_scatter_refuses(points, options, message):
    with pytest.raises(ValueError, match=message):
        plot_scatter(points, **LABELS, **options)
