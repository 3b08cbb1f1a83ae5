"""Distributions over the next word: what is kept has colour, and the numbers are those drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from utils.plotting import PALETTE, plot_next_words
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


def test_there_are_as_many_panels_as_settings():
    panels = {str(i): (WORDS, FLAT, FIRST_SIX) for i in range(4)}
    assert len(plot_next_words(panels, title="Title").axes) == 4


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({"a": (["x"], [np.nan], [True])}, "probabilities of 'a' holds NaN"),
        ({"a": (["x"], [0.5, 0.5], [True])}, "probabilities has 2, is_kept has 1"),
        ({"a": (["x", "y"], [1.0], [True])}, "2 words for 1"),
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
