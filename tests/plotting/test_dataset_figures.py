"""Class frequencies, lengths and padding show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh

from utils.plotting import plot_class_balance, plot_lengths, plot_padding

pytestmark = pytest.mark.filterwarnings("error")

COUNTS = {"human": 50, "abbreviation": 4, "entity": 46}


def labels_along(axis) -> list[str]:
    return [tick.get_text() for tick in axis.get_ticklabels()]


@pytest.mark.parametrize("counts", [COUNTS, pd.Series(COUNTS)], ids=["mapping", "series"])
def test_class_balance_bars_ascend_and_carry_count_and_share(counts, draw):
    fig = plot_class_balance(counts, "Classes")
    draw(fig)
    (ax,) = fig.axes
    assert [bar.get_width() for bar in ax.patches] == [4, 46, 50]
    assert labels_along(ax.yaxis) == ["abbreviation", "entity", "human"]
    assert [text.get_text() for text in ax.texts] == ["4 (4.0%)", "46 (46.0%)", "50 (50.0%)"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [({}, "empty"), ({"a": float("nan")}, "NaN"), ({"a": -1}, "negative")],
)
def test_class_balance_refuses(counts, message):
    with pytest.raises(ValueError, match=message):
        plot_class_balance(counts, "Classes")


def test_length_boxes_are_the_quartiles_by_ascending_median(draw):
    rng = np.random.default_rng(0)
    sizes = {"long": (30, 40), "short": (5, 60), "middle": (12, 9)}
    lengths = {name: rng.poisson(mean, number) for name, (mean, number) in sizes.items()}
    groups = [name for name, values in lengths.items() for _ in values]
    fig = plot_lengths(np.concatenate(list(lengths.values())), groups, title="Lengths")
    draw(fig)
    (ax,) = fig.axes
    assert labels_along(ax.yaxis) == ["short (n = 60)", "middle (n = 9)", "long (n = 40)"]
    assert "words" in ax.get_xlabel()
    for box, name in zip(ax.patches, ["short", "middle", "long"], strict=True):
        drawn = np.unique(box.get_path().vertices[:, 0])
        np.testing.assert_allclose(drawn, np.percentile(lengths[name], [25, 75]))


@pytest.mark.parametrize(
    ("lengths", "groups", "message"),
    [([1, 2], ["a"], "lengths has 2, groups has 1"), ([], [], "empty"), ([np.nan], ["a"], "NaN")],
)
def test_lengths_refuses(lengths, groups, message):
    with pytest.raises(ValueError, match=message):
        plot_lengths(lengths, groups, title="Lengths")


TOKENS = [["[CLS]", "$", "a", "[SEP]"], ["[CLS]", "b", "[SEP]", "[PAD]"]]
MASK = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])


def test_padding_writes_every_token_and_mask_value_in_its_cell():
    fig = plot_padding(TOKENS, MASK, "Padding")
    for ax, expected in zip(fig.axes, [TOKENS, MASK.astype(str)], strict=True):
        written = {text.get_position(): text.get_text() for text in ax.texts}
        assert written == {(j, i): expected[i][j] for i in range(2) for j in range(4)}


def test_padding_colours_the_padding_and_nothing_else(draw):
    fig = plot_padding(TOKENS, MASK, "Padding")
    draw(fig)
    for ax in fig.axes:
        (mesh,) = ax.findobj(QuadMesh)
        colors = mesh.get_facecolors().reshape(2, 4, 4)
        attended, padding = colors[MASK == 1], colors[MASK == 0]
        assert (attended == attended[0]).all()
        assert not np.allclose(attended[0], padding[0])
        red, green, blue, _ = padding[0]
        assert red == green == blue


@pytest.mark.parametrize("length", [4, 10, 23, 50])
def test_padding_tokens_stay_in_their_cells(length, draw):
    tokens = [["##zation", "of", *["[PAD]"] * (length - 2)]]
    fig = plot_padding(tokens, [[1, 1, *[0] * (length - 2)]], "Padding")
    renderer = draw(fig)
    for ax in fig.axes:
        for text in ax.texts:
            x, y = text.get_position()
            cell = ax.transData.transform([(x - 0.5, y - 0.5), (x + 0.5, y + 0.5)])
            (left, bottom), (right, top) = cell.min(axis=0) - 1, cell.max(axis=0) + 1
            box = text.get_window_extent(renderer)
            assert left <= box.x0 <= box.x1 <= right
            assert bottom <= box.y0 <= box.y1 <= top


@pytest.mark.parametrize(
    ("tokens", "mask", "message"),
    [
        ([["a"], ["b", "c"]], [[1, 1], [1, 1]], r"lengths \[1, 2\]"),
        ([["a"]], [[1], [1]], "padded batch"),
        ([], np.zeros((0, 0)), "padded batch"),
        ([["a"]], [[2]], "only 0 and 1"),
        ([["a"] * 51], [[1] * 51], "at most 50"),
    ],
)
def test_padding_refuses(tokens, mask, message):
    with pytest.raises(ValueError, match=message):
        plot_padding(tokens, mask, "Padding")
