"""Distributions over the next word: what is kept has colour, and the numbers are those drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from utils.plotting import PALETTE, plot_next_words, plot_token_distribution
from utils.plotting.text import visible_spaces

pytestmark = pytest.mark.filterwarnings("error")

FLAT = [0.16, 0.13, 0.11, 0.10, 0.09, 0.09, 0.085, 0.08, 0.08, 0.075]
SHARP = [0.55, 0.27, 0.13, 0.02, 0.012, 0.008, 0.004, 0.003, 0.002, 0.001]
WORDS = list("abcdefghij")
FIRST_SIX = np.arange(10) < 6


def test_kept_words_have_colour_and_the_first_stands_on_top(draw):
    kept = np.array([True, False, True])
    fig = plot_next_words({"a": (["x", " y", "\n"], [0.5, 0.3, 0.2], kept)}, title="Title")
    draw(fig)
    (ax,) = fig.axes
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.3, 0.2]
    assert [bar.get_facecolor() == to_rgba(PALETTE[0]) for bar in ax.patches] == list(kept)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["x", "␣y", "↵"]
    tops = [bar.get_window_extent().y0 for bar in ax.patches]
    assert tops == sorted(tops, reverse=True)


def test_number_and_mass_of_the_kept_words_stand_above_each_panel():
    panels = {"after The": (WORDS, FLAT, FIRST_SIX), "after The car": (WORDS, SHARP, FIRST_SIX)}
    flat, sharp = plot_next_words(panels, title="Top-k").axes
    assert flat.get_title() == "after The\nkept: 6 of 10, 68.0% of the mass"
    assert sharp.get_title() == "after The car\nkept: 6 of 10, 99.0% of the mass"
    assert flat.get_xlim() == sharp.get_xlim()


def test_entries_without_a_word_count_but_have_no_bar():
    fig = plot_next_words({"all": (WORDS[:2], FLAT, FIRST_SIX)}, title="Title")
    assert len(fig.axes[0].patches) == 2
    assert "kept: 6 of 10, 68.0%" in fig.axes[0].get_title()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
def test_there_are_as_many_panels_as_settings(number):
    panels = {str(i): (WORDS, FLAT, FIRST_SIX) for i in range(number)}
    assert len(plot_next_words(panels, title="Title").axes) == number


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels is empty"),
        ({"a": ([], [1], [True])}, "words of 'a' is empty"),
        ({"a": (["x"], [np.nan], [True])}, "probabilities of 'a' holds NaN"),
        ({"a": (["x"], [1.5], [True])}, "between 0 and 1"),
        ({"a": (["x"], [0.9, 0.9], [True, True])}, "sum to at most 1"),
        ({"a": (["x"], [0.5, 0.5], [True])}, "probabilities has 2, is_kept has 1"),
        ({"a": (["x", "y"], [1.0], [True])}, "2 words for 1 probabilities"),
    ],
)
def test_next_words_refuses(panels, message):
    with pytest.raises(ValueError, match=message):
        plot_next_words(panels, title="Title")


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "␣the"),
        ("the", "the"),
        ("\n\n", "↵↵"),
        (" a b\t", "␣a b→"),
        ("", ""),
    ],
)
def test_white_space_at_the_ends_becomes_visible(token, shown):
    assert visible_spaces(token) == shown


def test_cumulative_probability_by_rank_in_any_order_of_the_vocabulary():
    upper, lower = plot_token_distribution([0.1, 0.6, 0.3], k=2, p=0.65, title="Title").axes
    curve, vertical, horizontal, crossings = lower.lines
    np.testing.assert_allclose(curve.get_xydata(), [(1, 0.6), (2, 0.9), (3, 1.0)])
    assert set(vertical.get_xdata()) == {2}
    assert set(horizontal.get_ydata()) == {0.65}
    np.testing.assert_allclose(crossings.get_xydata(), [(2, 0.9), (2, 0.9)])
    assert upper.get_xscale() == lower.get_xscale() == "log"


def test_the_lines_say_what_is_kept():
    _, lower = plot_token_distribution(SHARP, k=3, p=0.92, title="Title").axes
    assert [text.get_text() for text in lower.texts] == [
        "top-k: k = 3 keeps 95.0% of the mass",
        "top-p: p = 0.92 keeps 3 tokens",
    ]


@pytest.mark.parametrize(("p", "kept"), [(0.9, "9 tokens"), (1, "10 tokens"), (0.05, "1 token")])
def test_the_nucleus_is_the_smallest_that_reaches_p(p, kept):
    _, lower = plot_token_distribution(np.full(10, 0.1), k=1, p=p, title="Title").axes
    assert lower.texts[1].get_text().endswith(f"keeps {kept}")


def test_every_token_is_in_the_histogram_or_counted_beside_it():
    probabilities = np.array([0.5, 0.25, 1e-20, 0.25 - 1e-20, 0.0, 0.0])
    upper, _ = plot_token_distribution(probabilities, k=1, p=0.5, title="Title").axes
    assert sum(bar.get_height() for bar in upper.patches) == 4
    assert "2 tokens with 0 left out" in upper.get_xlabel()


@pytest.mark.parametrize(
    ("probabilities", "k", "p", "message"),
    [
        ([], 1, 0.5, "probabilities is empty"),
        ([[1.0]], 1, 0.5, "must have 1 axes"),
        ([0.5, 0.4], 1, 0.5, "sum to 0.900"),
        ([1.5, -0.5], 1, 0.5, "between 0 and 1"),
        ([1.0], 0, 0.5, "k is 0"),
        ([1.0], 2, 0.5, "from 1 to 1"),
        ([1.0], 1, 0.0, "p is 0.0"),
        ([1.0], 1, 1.1, "p is 1.1"),
    ],
)
def test_token_distribution_refuses(probabilities, k, p, message):
    with pytest.raises(ValueError, match=message):
        plot_token_distribution(probabilities, k=k, p=p, title="Title")
