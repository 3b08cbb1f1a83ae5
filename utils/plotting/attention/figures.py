"""Static figures of attention: heatmaps, lines between tokens, all heads, one query in detail."""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike

from utils.plotting.attention.inputs import as_floats, check_weights, softmax_scores
from utils.plotting.style import LIGHT_GREY, PAGE_WIDTH, PALETTE, lighten, new_figure
from utils.plotting.text import drawable, text_width
from utils.plotting.validation import not_empty

LABEL = {"size": 8, "parse_math": False}  # of a token
ROW = 0.2  # inches, of a token in a column
MIN_CELL = 0.12  # inches, of a heatmap
MAX_CELL = 0.3
MAX_THUMBNAIL = 0.9  # inches
VISIBLE = 1 / 255  # a line fainter than this has no colour on a screen

# Yellow and black cannot serve as thin lines; after six heads the colours return darker, then
# lighter, so that twelve to eighteen heads stay apart.
HUES = [to_rgb(color) for color in PALETTE[:6]]
DARKER, LIGHTER = 0.6 * np.array(HUES), [lighten(color, 0.7) for color in HUES]
HEAD_COLORS = [to_hex(color) for color in (*HUES, *DARKER, *LIGHTER)]
# Blue above zero, orange below: apart for every form of colour blindness.
DIVERGING = LinearSegmentedColormap.from_list("signed", [PALETTE[1], "white", PALETTE[0]])


def head_colors(count: int) -> list[str]:
    """One hexadecimal colour for each of `count` heads, the same in figures and views."""
    return list(islice(cycle(HEAD_COLORS), count))


def plot_attention_heads(
    panels: Mapping[str, ArrayLike],
    tokens: Sequence[str],
    title: str,
    *,
    key_tokens: Sequence[str] | None = None,
) -> Figure:
    """One heatmap per head: row = query, column = key, dark = 1.

    Args:
        panels: name ("layer 0, head 8", say) -> weights (T, S), rows summing to 1.
        tokens: T query tokens.
        key_tokens: S key tokens, for attention from one text to another; `tokens` if not given.

    Raises:
        ValueError: no panel, shapes that do not fit the tokens, or rows that do not sum to 1.
    """
    not_empty("panels", panels)
    keys = tokens if key_tokens is None else key_tokens
    fig, axes = heatmap_axes(title, len(panels), tokens, keys)
    turn = 90 if max(map(len, keys)) > 1 else 0  # single characters stand upright
    for ax, (name, panel) in zip(axes, panels.items(), strict=True):
        weights = as_floats(panel)
        check_weights(repr(name), weights, tokens, keys)
        image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        ax.set_title(drawable(name), parse_math=False)
        ax.set_xlabel("key")
        ax.set_xticks(range(len(keys)), [*map(drawable, keys)], rotation=turn, **LABEL)
        ax.set_yticks(range(len(tokens)), [*map(drawable, tokens)], **LABEL)
        first = ax.get_subplotspec().is_first_col()
        ax.tick_params(length=0, labelleft=first)
        ax.set_ylabel("query" if first else "")
    fig.colorbar(image, ax=axes, label="attention weight", aspect=40)
    return fig


def heatmap_axes(
    title: str, num_panels: int, queries: Sequence[str], keys: Sequence[str]
) -> tuple[Figure, list[Axes]]:
    """A figure as high as its panels of square cells need, with axes for each panel."""
    query_names, key_names = (
        max(text_width(drawable(token), LABEL["size"]) for token in texts) / 72  # inches
        for texts in (queries, keys)
    )
    room = PAGE_WIDTH - query_names - 1.6  # beside labels and colour bar
    columns = min(num_panels, max(1, int(room / (MIN_CELL * len(keys) + 0.15))))
    rows = -(-num_panels // columns)
    cell = min(MAX_CELL, (room / columns - 0.15) / len(keys))
    fig = new_figure(title, height=0.6 + rows * (cell * len(queries) + key_names + 0.6))
    fig.set_layout_engine("compressed", h_pad=0.08)  # inches around each panel
    grid = fig.add_gridspec(rows, columns)
    return fig, [fig.add_subplot(grid[divmod(panel, columns)]) for panel in range(num_panels)]


def line_figure(
    weights: np.ndarray, heads: Sequence[int], tokens: Sequence[str], title: str
) -> Figure:
    """Lines from each query on the left to each key on the right, as opaque as the weight.

    Args:
        weights: (H, T, T) of all heads of a layer.
        heads: those to draw, each in its colour.
    """
    fig = new_figure(title, height=1.2 + ROW * len(tokens) + 0.2 * (len(heads) // 6))
    ax = fig.add_subplot(xlim=(-0.6, 1.6), ylim=(len(tokens) - 0.4, -1.5))
    ax.axis("off")
    colors = head_colors(len(weights))
    width = max(0.7, 1.8 / len(heads) ** 0.5)
    for lane, head in enumerate(heads):
        shift = 0.7 * ((lane + 0.5) / len(heads) - 0.5)  # side by side at each token
        ax.add_collection(attention_lines(weights[head], colors[head], width, origin=(0, shift)))
    for x, side, heading in ((-0.02, "right", "query"), (1.02, "left", "key")):
        ax.text(x, -1, heading, ha=side, va="center", weight="bold")
        for y, token in enumerate(tokens):
            ax.text(x, y, drawable(token), ha=side, va="center", **LABEL)
    handles = [Line2D([], [], color=colors[head], label=f"head {head}", lw=3) for head in heads]
    fig.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)))
    return fig


def attention_lines(
    weights: np.ndarray,
    color: str,
    width: float,
    origin: tuple[float, float] = (0, 0),
    scale: tuple[float, float] = (1, 1),
) -> LineCollection:
    """One line per visible weight of (T, T), from (0, query) to (1, key), scaled and moved."""
    queries, keys = np.nonzero(weights >= VISIBLE)
    starts = np.stack([np.zeros(len(queries)), queries], axis=-1)
    ends = np.stack([np.ones(len(keys)), keys], axis=-1)
    places = np.stack([starts, ends], axis=1) * scale + origin  # (lines, 2, xy)
    alpha = weights[queries, keys].clip(max=1)
    return LineCollection(places, colors=color, alpha=alpha, linewidths=width)


def grid_figure(weights: np.ndarray, title: str) -> Figure:
    """All heads of all layers at once, (L, H, T, T), each as small lines from queries to keys."""
    num_layers, num_heads, num_tokens, _ = weights.shape
    side = min(MAX_THUMBNAIL, (PAGE_WIDTH - 0.7) / num_heads)
    fig = new_figure(title, height=0.9 + side * num_layers)
    ax = fig.add_subplot(xlim=(-0.1, num_heads), ylim=(num_layers, -0.1))
    ax.set(xlabel="head", ylabel="layer", aspect="equal")
    colors = head_colors(num_heads)
    scale = (0.9, 0.9 / max(1, num_tokens - 1))
    for layer, head in np.ndindex(num_layers, num_heads):
        origin = (head, layer)
        lines = attention_lines(weights[layer, head], colors[head], 0.7, origin, scale)
        ax.add_collection(lines)
        ax.add_patch(Rectangle((head - 0.04, layer - 0.04), 0.97, 0.97, ec=LIGHT_GREY, fc="none"))
    ax.set_xticks(np.arange(num_heads) + 0.45, map(str, range(num_heads)))
    ax.set_yticks(np.arange(num_layers) + 0.45, map(str, range(num_layers)))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def query_figure(
    q: np.ndarray, k: np.ndarray, tokens: Sequence[str], title: str, query: int
) -> Figure:
    """How one query (d,) and all keys (T, d) of a head become attention: product, score, softmax.

    Args:
        query: position of the query's token.
    """
    scores, weights = softmax_scores(q[None], k)  # (1, T) each
    fig = new_figure(title, height=1.7 + ROW * (len(tokens) + 1))
    grid = fig.add_gridspec(2, 4, height_ratios=[1, len(tokens)], width_ratios=[3, 3, 1.6, 1.6])
    upper = fig.add_subplot(grid[0, 0], title="query (q)")
    lower = [fig.add_subplot(grid[1, column]) for column in range(4)]
    largest = max(np.abs(q).max(), np.abs(k).max())
    draw_bands(upper, q[None], [f"q: {tokens[query]}"], largest)
    upper.set_xticks([])
    draw_bands(lower[0], k, tokens, largest)
    draw_bands(lower[1], q * k, [""] * len(tokens), np.abs(q * k).max())
    draw_bars(lower[2], scores[0])
    draw_bars(lower[3], weights[0])
    texts = [("keys (k)", "dimension"), ("q \N{MULTIPLICATION SIGN} k, elementwise", "dimension")]
    texts += [(r"score q · k / $\sqrt{d}$", "score"), ("softmax", "attention weight")]
    for ax, (heading, unit) in zip(lower, texts, strict=True):
        ax.set(title=heading, xlabel=unit)
    lower[3].set_xlim(0, 1)
    signs = [Patch(color=PALETTE[0], label="positive"), Patch(color=PALETTE[1], label="negative")]
    fig.legend(handles=signs, loc="outside lower center", ncols=2)
    return fig


def draw_bands(ax: Axes, values: np.ndarray, tokens: Sequence[str], largest: float) -> None:
    """One row of (T, d) `values` per token: blue above zero, orange below."""
    limit = largest or 1.0
    ax.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    ax.set_yticks(range(len(tokens)), [*map(drawable, tokens)], **LABEL)
    ax.tick_params(axis="y", length=0)


def draw_bars(ax: Axes, values: np.ndarray) -> None:
    """One horizontal bar per value, from the top down."""
    colors = [PALETTE[0] if value >= 0 else PALETTE[1] for value in values]
    ax.barh(range(len(values)), values, color=colors, height=0.7)
    ax.set(ylim=(len(values) - 0.5, -0.5))
    ax.set_yticks([])
