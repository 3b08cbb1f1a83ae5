"""What holds for every figure: titled, labelled, nothing cut off, no overlaps, no warnings."""

from collections.abc import Callable
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text

from utils.plotting import (
    head_view,
    model_view,
    neuron_view,
    plot_attention_heads,
    plot_bars,
    plot_confusion_matrix,
    plot_curves,
    plot_embedding_panels,
    plot_flow,
    plot_grouped_bars,
    plot_heatmap,
    plot_histogram,
    plot_lengths,
    plot_next_words,
    plot_probability_tree,
    plot_scatter,
)

pytestmark = pytest.mark.filterwarnings("error")

CLASSES = ["abbreviation", "$10^{$", "$5-$10", "human", "location", "number"]
LONG_TITLE = "Why does $5 buy less\tthan $6, \U0001f917 and who asked? " * 4
QUESTION = ["[CLS]", "is", "the", "token", "##ization", "department", "'", "s", "$", "6", "[SEP]"]
NUM_EXAMPLES = 300

rng = np.random.default_rng(0)
y_true = rng.integers(6, size=NUM_EXAMPLES)
y_pred = np.where(rng.random(NUM_EXAMPLES) < 0.7, y_true, rng.integers(6, size=NUM_EXAMPLES))
names = [CLASSES[i] for i in y_true]

attention = rng.dirichlet(np.ones(len(QUESTION)) / 4, size=(4, 12, len(QUESTION)))
vectors = rng.normal(size=(2, 1, 1, len(QUESTION), 32))

words = ["nice", " dog", "\n", "Transformers", "$10^{$"]
shares = rng.dirichlet(np.ones(1000) / 20)
tree = {
    (): {" a": 0.6, "$b$": 0.3, "a long continuation": 0.1},
    (" a",): {"\n": 0.95, "c": 0.001},
    (" a", "\n"): {"d": 0.5, "Transformers": 0.5},
    ("$b$",): {"e": 0.4},
}

weights = rng.normal(size=(2, 90, 60))

FIGURES = {
    "attention heatmaps": lambda: plot_attention_heads(
        {f"layer 0, head {i}": attention[0, i] for i in range(5)}, QUESTION, LONG_TITLE
    ),
    "attention heatmap": lambda: plot_attention_heads(
        {"$8^{$": attention[0, 8, :3]}, QUESTION[:3], "Attention", key_tokens=QUESTION
    ),
    "attention lines": lambda: head_view(attention, QUESTION, LONG_TITLE).figure,
    "attention grid": lambda: model_view(attention, QUESTION, "All heads").figure,
    "query and keys": lambda: neuron_view(*vectors, QUESTION, "Neurons", query=4).figure,
    "lengths": lambda: plot_lengths(y_true + 3, names, title="Lengths"),
    "embedding": lambda: plot_embedding_panels(
        rng.normal(size=(NUM_EXAMPLES, 2)), y_true, CLASSES, "Embeddings"
    ),
    "one matrix": lambda: plot_confusion_matrix({"$10^{$": (y_true, y_pred)}, CLASSES, "Confusion"),
    "three matrices": lambda: plot_confusion_matrix(
        dict.fromkeys(("features", "fine-tuned", "forest"), (y_true, y_pred)), CLASSES, "Three"
    ),
    "many classes": lambda: plot_confusion_matrix(
        dict.fromkeys("ab", (y_true, y_pred)), [*CLASSES, *"abcdefghi"], "Fifteen classes"
    ),
    "curves": lambda: plot_curves(
        {"words": ([100, 1000, 10000], [40, 20, 3]), "$10^{$": ([100, 10000], [5, 0])},
        title="Unknown tokens",
        xlabel="vocabulary size (entries)",
        ylabel="unknown tokens (%)",
        xscale="log",
        intervals={"words": ([35, 15, 2], [45, 25, 4])},
    ),
    "long curves": lambda: plot_curves(
        {
            f"sampling $10^{{$ with temperature {t}": (range(1, 200), np.arange(1.0, 200) ** -t)
            for t in (1, 2)
        },
        title="Temperature",
        xlabel="rank of the token",
        ylabel="probability",
        xscale="log",
        yscale="log",
        references={"uniform over all tokens": 1 / 200, "one in a million": 1e-6},
    ),
    "next words": lambda: plot_next_words(
        {name: (words, shares[:5], np.arange(5) < 3) for name in ("flat", LONG_TITLE)}, title="Two"
    ),
    "six panels": lambda: plot_next_words(
        {f"T = {i}\n2 bits": (words, shares, shares > 1e-3) for i in range(6)}, title=LONG_TITLE
    ),
    "tree": lambda: plot_probability_tree(
        tree,
        title=LONG_TITLE,
        paths={"$greedy$": (" a", "\n", "d"), "beam search": (" a", "\n", "Transformers")},
        values={(" a",): -0.5, (" a", "\n"): -10.75},
        value_label="log-probability",
    ),
    "small tree": lambda: plot_probability_tree({("The",): {"dog": 0.5, "cat": 0.5}}, title="Tree"),
    "scatter": lambda: plot_scatter(
        {f"system {i}": (i % 3, i // 3) for i in range(6)},
        title="Quality against time",
        xlabel="time (s)",
        ylabel="accuracy (share correct)",
        x_intervals={"system 1": (0.9, 1.4)},
        y_intervals={"system 1": (-0.1, 0.1)},
    ),
    "discs": lambda: plot_scatter(
        {"$large$ \U0001f917": (300, 0.9), "small": (100, 0.7), "tiny": (40, 0.5)},
        title="Sizes",
        xlabel="latency (ms)",
        ylabel="accuracy",
        xscale="log",
        sizes={"$large$ \U0001f917": 400, "small": 80, "tiny": 5},
        size_label="size (MB)",
    ),
    "the current disc": lambda: plot_scatter(
        {"BERT baseline": (54.2, 86.7), "DistilBERT": (27.5, 85.8), "ORT, 8 bits": (9.2, 87.7)},
        title="Accuracy against latency",
        xlabel="latency (ms)",
        ylabel="accuracy (%)",
        sizes={"BERT baseline": 418, "DistilBERT": 256, "ORT, 8 bits": 64},
        size_label="size (MB)",
        current="ORT, 8 bits",
        xlim=(1, 57),
        ylim=(80, 90),
    ),
    "histogram": lambda: plot_histogram(
        weights,
        title=LONG_TITLE,
        xlabel="weight",
        bins=250,
        value_range=(-3, 3),
        inset=((0.5, 1.0), (20, 90)),
    ),
    "two histograms": lambda: plot_histogram(
        {"$magnitude$": weights[0], "movement": weights[1] / 2},
        title="Weights",
        xlabel="weight",
        inset=((-1, -0.5), (0, 20)),
    ),
    "distillation": lambda: plot_flow(
        [
            "query",
            ("teacher", "fine-tuned"),
            ("student", "smaller"),
            ("KL divergence", "softened by T, times T²"),
            ("cross-entropy", "with the label"),
            "loss",
        ],
        [
            ("query", "teacher"),
            ("query", "student"),
            ("teacher", "KL divergence"),
            ("student", "KL divergence"),
            ("student", "cross-entropy"),
            ("KL divergence", "loss", "1 - alpha"),
            ("cross-entropy", "loss", "alpha"),
        ],
        "Knowledge distillation",
        kinds={"teacher": "frozen", "student": "$trained$"},
    ),
    "heatmap": lambda: plot_heatmap(
        pd.DataFrame(
            rng.random((4, 4)), ["de", "each", "$de$ + fr", "all"], ["de", "fr", "it", "en"]
        ),
        title=LONG_TITLE,
        xlabel="tested on",
        ylabel="trained on",
        label="entity F1",
        limits=(0, 1),
    ),
    "wide heatmap": lambda: plot_heatmap(
        pd.DataFrame(rng.random((14, 14)), QUESTION + CLASSES[:3], QUESTION + CLASSES[:3]),
        title="Similarities",
        xlabel="word",
        ylabel="word",
        label="cosine similarity",
    ),
    "grouped bars": lambda: plot_grouped_bars(
        pd.DataFrame(rng.random((4, 2)) + 0.2, ["de", "fr", "$it$", "en"], ["zero-shot", "$all$"]),
        title=LONG_TITLE,
        xlabel="language",
        ylabel="entity F1",
        intervals={"zero-shot": ([0.1] * 4, [1.3] * 4)},
    ),
    "many grouped bars": lambda: plot_grouped_bars(
        pd.DataFrame(rng.normal(size=(8, 4)), [f"a_long_group_name_{i}" for i in range(8)]),
        title="Upright numbers",
        xlabel="slot",
        ylabel="change",
    ),
    "crossing": lambda: plot_curves(
        {"fine-tuned": ([25, 50, 100, 250, 500], [0.1, 0.3, 0.5, 0.6, 0.7])},
        title="Zero-shot and fine-tuned",
        xlabel="training sentences",
        ylabel="entity F1",
        xscale="log",
        references={"zero-shot": 0.55},
        crossings={"as good from 158 on": 158},
    ),
    "bars": lambda: plot_bars(
        {"majority class": 0.23, "fine-tuned": 0.93, "$10^{$": -0.1},
        title="Accuracy",
        xlabel="accuracy (share correct)",
        references={"majority class": 0.352, "fine-tuned": 0.9225},
    ),
    "flow": lambda: plot_flow(
        [("Source text", "English"), ("Encoder", "N layers"), "Target text", "Decoder", "Logits"],
        [
            ("Source text", "Encoder"),
            ("Encoder", "Decoder", "keys, values"),
            ("Target text", "Decoder"),
            ("Decoder", "Logits"),
            ("Logits", "Target text", "append the chosen token"),
        ],
        "Encoder-decoder",
        kinds={"Encoder": "frozen", "Decoder": "trained"},
    ),
}


@pytest.fixture(scope="module", params=FIGURES)
def fig(request: pytest.FixtureRequest, draw: Callable[[Figure], RendererAgg]) -> Figure:
    """Each figure, drawn once for all the rules."""
    figure = FIGURES[request.param]()
    draw(figure)
    return figure


def drawn_texts(fig: Figure) -> list[Text]:
    """All texts but the labels of ticks beyond the ends of their axis, which are not drawn."""
    hidden = set()
    for axis in (axis for ax in fig.findobj(Axes) for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks()
        hidden |= {t.label1 for t in ticks if not low <= t.get_loc() <= high}
    shown = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [t for t in shown if t not in hidden]


def test_is_titled_as_wide_as_the_page_and_unknown_to_pyplot(fig):
    assert fig.get_figwidth() == 7
    assert fig.get_suptitle()
    assert plt.get_fignums() == []


def test_axes_are_labelled(fig):
    for ax in (ax for ax in fig.axes if ax.axison):
        place = ax.get_subplotspec()
        if place is None:  # a colour bar, or axes placed by hand
            assert ax.get_xlabel() or ax.get_ylabel()
            continue
        shared_below = not place.is_last_row() or fig.get_supxlabel()
        shared_left = not place.is_first_col() or fig.get_supylabel()
        names_as_ticks = any(t.get_text()[:1].isalpha() for t in ax.get_yticklabels())
        assert ax.get_xlabel() or shared_below
        assert ax.get_ylabel() or shared_left or names_as_ticks


def test_nothing_is_cut_off(fig):
    needed, page = fig.get_tightbbox(fig.canvas.get_renderer()), fig.bbox_inches.padded(0.01)
    assert page.x0 <= needed.x0 <= needed.x1 <= page.x1
    assert page.y0 <= needed.y0 <= needed.y1 <= page.y1


def test_texts_do_not_overlap_and_dollars_begin_no_formula(fig):
    texts, renderer = drawn_texts(fig), fig.canvas.get_renderer()
    upright = [t for t in texts if t.get_rotation() % 90 == 0]
    boxes = [(t.get_text(), t.get_window_extent(renderer).padded(-1)) for t in upright]
    assert len(boxes) > 3
    assert [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if one.overlaps(two)] == []
    formulas = [t.get_text() for t in texts if t.get_parse_math() and is_math_text(t.get_text())]
    assert [t for t in formulas if "\\" not in t] == []  # the house's own hold a command
