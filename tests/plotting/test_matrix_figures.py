"""Attention patterns and position encodings are drawn cell by cell."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from utils.plotting import plot_attention_patterns, plot_positions

pytestmark = pytest.mark.filterwarnings("error")

CAUSAL = np.tril(np.ones((6, 6), dtype=bool))
CROSS = np.ones((3, 5), dtype=int)


def test_each_pattern_gets_a_panel_with_its_name_and_share():
    fig = plot_attention_patterns({"causal": CAUSAL, "cross": CROSS}, "Patterns")
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == ["causal\n58% of the cells", "cross\n100% of the cells"]
    assert {(ax.get_xlabel(), ax.get_ylabel()) for ax in fig.axes} == {
        ("key position", "query position")
    }


def test_exactly_the_true_cells_are_coloured_the_first_query_on_top(draw):
    fig = plot_attention_patterns({"causal": CAUSAL}, "Patterns")
    draw(fig)
    (ax,) = fig.axes
    (mesh,) = ax.findobj(QuadMesh)
    colors = mesh.get_facecolors().reshape(6, 6, 4)
    seen, hidden = colors[CAUSAL], colors[~CAUSAL]
    assert (seen == seen[0]).all()
    assert (hidden == hidden[0]).all()
    assert not np.allclose(seen[0], hidden[0])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_rectangular_pattern_keeps_keys_along_x():
    (ax,) = plot_attention_patterns({"cross": CROSS}, "Patterns").axes
    assert np.ptp(ax.get_xlim()) == 5
    assert np.ptp(ax.get_ylim()) == 3


@pytest.mark.parametrize("number", [1, 4, 6])
def test_there_are_as_many_panels_as_patterns(number):
    patterns = {f"pattern {i}": CAUSAL for i in range(number)}
    assert len(plot_attention_patterns(patterns, "Patterns").axes) == number


@pytest.mark.parametrize(
    ("patterns", "message"),
    [({}, "patterns is empty"), ({"a": [1, 0]}, "'a' must have 2 axes"), ({"a": [[2]]}, "only 0")],
)
def test_patterns_refuse(patterns, message):
    with pytest.raises(ValueError, match=message):
        plot_attention_patterns(patterns, "Patterns")


def test_positions_are_drawn_from_the_top_with_colours_symmetric_around_zero():
    matrix = np.array([[0.0, 1.0], [0.5, -2.0], [0.1, 0.2]])
    ax, colorbar = plot_positions(matrix, "Positions").axes
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), matrix)
    assert image.get_clim() == (-2, 2)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("dimension", "position")
    assert colorbar.get_ylabel() == "value"


def test_an_encoding_of_zeros_can_be_drawn(draw):
    draw(plot_positions(np.zeros((2, 3)), "Zeros"))


@pytest.mark.parametrize("matrix", [np.zeros(3), np.zeros((0, 2)), [[np.nan]]])
def test_positions_refuse(matrix):
    with pytest.raises(ValueError, match="matrix"):
        plot_positions(matrix, "Positions")
