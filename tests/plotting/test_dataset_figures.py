"""Lengths of texts: the boxes are the quartiles."""

import numpy as np
import pytest

from utils.plotting import plot_lengths

pytestmark = pytest.mark.filterwarnings("error")


def test_length_boxes_are_the_quartiles_by_ascending_median(draw):
    rng = np.random.default_rng(0)
    sizes = {"long": (30, 40), "short": (5, 60), "middle": (12, 9)}
    lengths = {name: rng.poisson(mean, number) for name, (mean, number) in sizes.items()}
    groups = [name for name, values in lengths.items() for _ in values]
    fig = plot_lengths(np.concatenate(list(lengths.values())), groups, title="Lengths")
    draw(fig)
    (ax,) = fig.axes
    drawn = [tick.get_text() for tick in ax.get_yticklabels()]
    assert drawn == ["short (n = 60)", "middle (n = 9)", "long (n = 40)"]
    assert "words" in ax.get_xlabel()
    for box, name in zip(ax.patches, ["short", "middle", "long"], strict=True):
        quartiles = np.unique(box.get_path().vertices[:, 0])
        np.testing.assert_allclose(quartiles, np.percentile(lengths[name], [25, 75]))


@pytest.mark.parametrize(
    ("lengths", "groups", "message"),
    [([1, 2], ["a"], "lengths has 2, groups has 1"), ([], [], "empty"), ([np.nan], ["a"], "NaN")],
)
def test_lengths_refuses(lengths, groups, message):
    with pytest.raises(ValueError, match=message):
        plot_lengths(lengths, groups, title="Lengths")
