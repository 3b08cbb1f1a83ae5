"""The family tree and the sizes show the models, their dates and what they build on."""

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.path import Path

from utils.models.families import load_families
from utils.plotting import plot_family_tree, plot_model_sizes

pytestmark = pytest.mark.filterwarnings("error")

SMALL = pd.DataFrame(
    [
        ("Root", 2017, 6, "encoder-decoder", (), 2e8),
        ("Left", 2018, 10, "encoder", ("Root",), 3e8),
        ("Right", 2018, 6, "decoder", ("Root",), 1e8),
        ("Right 2", 2018, 9, "decoder", ("Right",), 1e9),
        ("Both", 2020, 1, "encoder-decoder", ("Left", "Right 2"), 5e8),
    ],
    columns=["name", "year", "month", "branch", "parents", "parameters"],
)


@pytest.fixture(scope="module")
def families() -> pd.DataFrame:
    return load_families()


def boxes(ax: Axes) -> dict[str, tuple[float, float, float, float]]:
    """Model -> (left, right, top, bottom) of its box."""
    found = {}
    for patch in ax.patches:
        if patch.get_gid() and " -> " not in patch.get_gid():
            x, y = patch.get_x(), patch.get_y()
            found[patch.get_gid()] = (x, x + patch.get_width(), y, y + patch.get_height())
    return found


def lines(ax: Axes) -> dict[tuple[str, str], Path]:
    """(parent, child) -> path of the line."""
    gids = {patch.get_gid(): patch for patch in ax.patches if patch.get_gid()}
    return {tuple(g.split(" -> ")): p.get_path() for g, p in gids.items() if " -> " in g}


def test_every_model_has_a_box_with_its_name_and_a_line_from_each_parent(families):
    (ax,) = plot_family_tree(families, "Tree").axes
    assert set(boxes(ax)) == set(families["name"])
    assert {text.get_text() for text in ax.texts} == set(families["name"])
    expected = {(parent, row.name) for row in families.itertuples() for parent in row.parents}
    assert set(lines(ax)) == expected


def test_no_boxes_and_no_names_overlap(families, draw):
    fig = plot_family_tree(families, "Tree")
    renderer = draw(fig)
    for one, two in combinations(boxes(fig.axes[0]).values(), 2):
        apart = one[1] < two[0] or two[1] < one[0] or one[3] < two[2] or two[3] < one[2]
        assert apart
    extents = [text.get_window_extent(renderer) for text in fig.axes[0].texts]
    assert not any(one.overlaps(two) for one, two in combinations(extents, 2))


def test_names_are_legible_and_stay_in_their_boxes(families, draw):
    fig = plot_family_tree(families, "Tree")
    renderer = draw(fig)
    (ax,) = fig.axes
    for text in ax.texts:
        assert text.get_size() >= 7
        left, right, top, bottom = boxes(ax)[text.get_text()]
        (x0, y1), (x1, y0) = ax.transData.transform([(left, top), (right, bottom)])
        extent = text.get_window_extent(renderer)
        assert x0 <= extent.x0 <= extent.x1 <= x1
        assert y0 <= extent.y0 <= extent.y1 <= y1


def test_no_line_runs_behind_a_box_that_it_does_not_join(families):
    (ax,) = plot_family_tree(families, "Tree").axes
    for (parent, child), path in lines(ax).items():
        points = path.interpolated(1).to_polygons(closed_only=False)[0]
        for name, (left, right, top, bottom) in boxes(ax).items():
            inside = (points[:, 0] > left) & (points[:, 0] < right)
            inside &= (points[:, 1] > top + 1e-6) & (points[:, 1] < bottom - 1e-6)
            assert name in (parent, child) or not inside.any(), (parent, child, name)


def test_lines_of_different_parents_do_not_lie_on_each_other(families):
    (ax,) = plot_family_tree(families, "Tree").axes
    upright = [
        (parent, start[0], start[1], end[1])
        for (parent, _), path in lines(ax).items()
        for start, end in pairwise(path.vertices[::3])
        if start[0] == end[0]
    ]
    for (parent, x, top, bottom), (other, at, high, low) in combinations(upright, 2):
        assert parent == other or abs(x - at) > 0.02 or bottom <= high or low <= top


def test_lines_lead_from_the_foot_of_the_parent_to_the_head_of_the_child(families):
    (ax,) = plot_family_tree(families, "Tree").axes
    places = boxes(ax)
    for (parent, child), path in lines(ax).items():
        left, right, _, bottom = places[parent]
        np.testing.assert_allclose(path.vertices[0], ((left + right) / 2, bottom))
        left, right, top, _ = places[child]
        np.testing.assert_allclose(path.vertices[-1], ((left + right) / 2, top))


def test_boxes_stand_in_the_band_of_their_year_and_the_column_of_their_branch(families, draw):
    fig = plot_family_tree(families, "Tree")
    draw(fig)
    (ax,) = fig.axes
    rules = [*sorted(line.get_ydata()[0] for line in ax.lines), ax.get_ylim()[0]]
    years = [int(tick.get_text()) for tick in ax.get_yticklabels()]
    columns = {tick.get_text(): tick.get_position()[0] for tick in ax.get_xticklabels()}
    assert list(columns) == ["encoder", "encoder-decoder", "decoder"]
    for model in families.itertuples():
        left, right, top, bottom = boxes(ax)[model.name]
        band = years.index(model.year)
        assert rules[band] < top < bottom < rules[band + 1]
        tints = [p for p in ax.patches if p.get_gid() is None]
        column = next(
            p for p in tints if p.get_x() < columns[model.branch] < p.get_x() + p.get_width()
        )
        assert column.get_x() < left < right < column.get_x() + column.get_width()


def test_branches_differ_by_colour_and_by_line_style():
    (ax,) = plot_family_tree(SMALL, "Tree").axes
    looks = {p.get_gid(): (p.get_edgecolor(), p.get_linestyle()) for p in ax.patches if p.get_gid()}
    for one, two in combinations(["Root", "Left", "Right"], 2):
        assert looks[one][0] != looks[two][0]
        assert looks[one][1] != looks[two][1]


def test_a_child_of_the_same_year_stands_below_its_parent():
    places = boxes(plot_family_tree(SMALL, "Tree").axes[0])
    assert places["Right"][3] < places["Right 2"][2]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (SMALL.iloc[:0], "frame is empty"),
        (SMALL.iloc[1:], "'Left' names the parent 'Root'"),
        (SMALL.assign(year=2017, month=1), "no older model"),
        (SMALL.assign(name=[f"{name}{'o' * 90}" for name in SMALL["name"]], parents=[()] * 5),
         "names are too long"),
    ],
)  # fmt: skip
def test_family_tree_refuses(frame, message):
    with pytest.raises(ValueError, match=message):
        plot_family_tree(frame, "Tree")


def test_sizes_stand_at_their_dates_by_branch():
    (ax,) = plot_model_sizes(SMALL, "Sizes").axes
    assert ax.get_yscale() == "log"
    drawn = {line.get_label(): sorted(map(tuple, line.get_xydata())) for line in ax.lines}
    assert drawn["encoder"] == [(2018 + 9.5 / 12, 3e8)]
    assert drawn["decoder"] == [(2018 + 5.5 / 12, 1e8), (2018 + 8.5 / 12, 1e9)]
    assert len({line.get_marker() for line in ax.lines}) == 3


def test_records_and_models_that_nothing_undercuts_are_named():
    (ax,) = plot_model_sizes(SMALL, "Sizes").axes
    names = {text.get_text(): text.get_ha() for text in ax.texts}
    # Root and Right 2 are records; nothing later undercuts Right and Left. Both is neither.
    assert names == {"Root": "right", "Right": "left", "Right 2": "right", "Left": "left"}


@pytest.mark.parametrize(
    ("frame", "message"),
    [(SMALL.iloc[:0], "frame is empty"), (SMALL.assign(parameters=0.0), "log axis"),
     (SMALL.assign(parameters=np.nan), "NaN")],
)  # fmt: skip
def test_sizes_refuse(frame, message):
    with pytest.raises(ValueError, match=message):
        plot_model_sizes(frame, "Sizes")
