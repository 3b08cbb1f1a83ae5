"""Static figures of attention: heatmaps, lines between tokens, all heads, one query in detail."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike

from utils.plotting.attention.inputs import (
    as_array,
    check_index,
    checked_attention,
    checked_panels,
    checked_projections,
    softmax_scores,
)
from utils.plotting.style import LIGHT_GREY, PAGE_WIDTH, PALETTE, new_figure
from utils.plotting.text import drawable, text_width

TOKEN_SIZE = 8.0  # points
ROW = 0.2  # inches, of a token in a column
MIN_CELL = 0.12  # inches, of a heatmap
MAX_CELL = 0.3
PANEL_GAP = 0.15
MAX_THUMBNAIL = 0.9  # inches
VISIBLE = 1 / 255  # a line fainter than this has no colour on a screen

# Yellow and black cannot serve as thin lines; after six heads the colours return darker, then
# lighter, so that twelve to eighteen heads stay apart.
HUES = PALETTE[:6]
# Blue above zero, orange below: apart for every form of colour blindness.
DIVERGING = LinearSegmentedColormap.from_list("signed", [PALETTE[1], "white", PALETTE[0]])


def head_colors(count: int) -> list[str]:
    """One hexadecimal colour for each of `count` heads, the same in figures and views."""
    rounds = [HUES, [shade(c, 0.6) for c in HUES], [shade(c, 1.45) for c in HUES]]
    flat = [color for colors in rounds for color in colors]
    return [flat[head % len(flat)] for head in range(count)]


def shade(color: str, factor: float) -> str:
    """`color` darker for a factor below 1, lighter above."""
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    mixed = (
        [c * factor for c in channels]
        if factor < 1
        else [255 - (255 - c) / factor for c in channels]
    )
    return "#" + "".join(f"{round(c):02X}" for c in mixed)


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
    keys = tokens if key_tokens is None else key_tokens
    weights = checked_panels(panels, tokens, keys)
    fig = new_figure(title, height=1)
    axes = heatmap_axes(fig, len(weights), tokens, keys)
    for ax, (name, panel) in zip(axes, weights.items(), strict=False):
        image = draw_heatmap(ax, panel, tokens, keys)
        ax.set(title=name, xlabel="key")
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("query")
        else:
            ax.tick_params(labelleft=False)
    fig.colorbar(image, cax=axes[-1], label="attention weight")
    return fig


def heatmap_axes(
    fig: Figure, num_panels: int, queries: Sequence[str], keys: Sequence[str]
) -> list[Axes]:
    """Axes with square cells for each panel, and one more for a colour bar; sets the height.

    All lengths are in inches: the layout engines leave gaps or cut off labels of square cells.
    """
    query_names, key_names = (widest(texts) / 72 for texts in (queries, keys))
    left, right, bottom = query_names + 0.45, 0.9, key_names + 0.4
    top = 0.5 + 0.2 * len(fig.get_suptitle().splitlines())
    room = PAGE_WIDTH - left - right
    columns = min(num_panels, max(1, int(room / (MIN_CELL * len(keys) + PANEL_GAP))))
    rows = -(-num_panels // columns)
    cell = min(MAX_CELL, (room - PANEL_GAP * (columns - 1)) / columns / len(keys))
    width, height = cell * len(keys), cell * len(queries)
    row_gap = key_names + 0.7
    total_width = columns * (width + PANEL_GAP) - PANEL_GAP
    total_height = rows * (height + row_gap) - row_gap
    left += (room - total_width) / 2
    page = bottom + total_height + top
    fig.set_layout_engine("none")
    fig.set_figheight(page)
    fig.suptitle(fig.get_suptitle(), y=1 - 0.1 / page, va="top", parse_math=False)
    grid = fig.add_gridspec(
        rows,
        columns,
        left=left / PAGE_WIDTH,
        right=(left + total_width) / PAGE_WIDTH,
        bottom=bottom / page,
        top=1 - top / page,
        wspace=PANEL_GAP / width,
        hspace=row_gap / height,
    )
    panels = [fig.add_subplot(grid[divmod(panel, columns)]) for panel in range(num_panels)]
    bar = (left + total_width + 0.15) / PAGE_WIDTH, bottom / page
    return [*panels, fig.add_axes((*bar, 0.12 / PAGE_WIDTH, total_height / page))]


def widest(tokens: Sequence[str]) -> float:
    """Width in points of the widest token."""
    return max(text_width(drawable(token), TOKEN_SIZE) for token in tokens)


def draw_heatmap(
    ax: Axes, weights: np.ndarray, queries: Sequence[str], keys: Sequence[str]
) -> AxesImage:
    """The weights (T, S) with a token at each row and column."""
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    style = {"size": TOKEN_SIZE, "parse_math": False}
    turn = 90 if max(map(len, keys)) > 1 else 0  # single characters stand upright
    ax.set_xticks(range(len(keys)), [*map(drawable, keys)], rotation=turn, **style)
    ax.set_yticks(range(len(queries)), [*map(drawable, queries)], **style)
    ax.tick_params(length=0)
    return image


def plot_attention_lines(
    heads: Mapping[str, ArrayLike], tokens: Sequence[str], title: str
) -> Figure:
    """Lines from each query on the left to each key on the right, as opaque as the weight.

    Args:
        heads: name -> weights (T, T), rows summing to 1; each head has its colour.
        tokens: T tokens.

    Raises:
        ValueError: no head, shapes that do not fit the tokens, or rows that do not sum to 1.
    """
    weights = checked_panels(heads, tokens, tokens)
    return line_figure(weights, head_colors(len(weights)), tokens, title)


def line_figure(
    heads: Mapping[str, np.ndarray], colors: Sequence[str], tokens: Sequence[str], title: str
) -> Figure:
    """`plot_attention_lines` of checked weights in given colours."""
    fig = new_figure(title, height=1.2 + ROW * len(tokens) + 0.2 * (len(heads) // 6))
    ax = fig.add_subplot(xlim=(-0.6, 1.6), ylim=(len(tokens) - 0.4, -1.5))
    ax.axis("off")
    width = max(0.7, 1.8 / len(heads) ** 0.5)
    for lane, (weights, color) in enumerate(zip(heads.values(), colors, strict=True)):
        shift = 0.7 * ((lane + 0.5) / len(heads) - 0.5)  # side by side at each token
        ax.add_collection(attention_lines(weights, color, width, origin=(0, shift)))
    for x, side, heading in ((-0.02, "right", "query"), (1.02, "left", "key")):
        ax.text(x, -1, heading, ha=side, va="center", weight="bold")
        for y, token in enumerate(tokens):
            label = drawable(token)
            ax.text(x, y, label, size=TOKEN_SIZE, ha=side, va="center", parse_math=False)
    handles = [
        Line2D([], [], color=color, label=name, lw=3)
        for name, color in zip(heads, colors, strict=True)
    ]
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


def plot_attention_grid(
    attention: Sequence[ArrayLike], tokens: Sequence[str], title: str
) -> Figure:
    """All heads of all layers at once, each as small lines from queries to keys.

    Args:
        attention: what a model returns, L tensors (1, H, T, T), or an array (L, H, T, T).
        tokens: T tokens.

    Raises:
        ValueError: shapes that do not fit, or rows that do not sum to 1.
    """
    weights = checked_attention(attention, tokens)
    num_layers, num_heads = weights.shape[:2]
    side = min(MAX_THUMBNAIL, (PAGE_WIDTH - 0.7) / num_heads)
    fig = new_figure(title, height=0.9 + side * num_layers)
    ax = fig.add_subplot(xlim=(-0.1, num_heads), ylim=(num_layers, -0.1))
    ax.set(xlabel="head", ylabel="layer", aspect="equal")
    colors = head_colors(num_heads)
    scale = (0.9, 0.9 / max(1, len(tokens) - 1))
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


def plot_query_and_keys(
    queries: ArrayLike, keys: ArrayLike, tokens: Sequence[str], title: str, *, query: int
) -> Figure:
    """How one query of one head becomes attention: q, k, their product, score, softmax.

    Args:
        queries: (T, head_dim) of one head.
        keys: (T, head_dim) of the same head.
        tokens: T tokens.
        query: position of the token that looks.

    Raises:
        ValueError: shapes that do not fit the tokens, or no such token.
    """
    q, k = checked_projections(as_array(queries)[None, None], as_array(keys)[None, None], tokens)
    check_index("query", query, len(tokens))
    q, k = q[0, 0, query], k[0, 0]  # (d,), (T, d)
    scores, weights = softmax_scores(q[None], k)  # (1, T) each
    fig = new_figure(title, height=1.7 + ROW * (len(tokens) + 1))
    grid = fig.add_gridspec(2, 4, height_ratios=[1, len(tokens)], width_ratios=[3, 3, 1.6, 1.6])
    upper = fig.add_subplot(grid[0, 0], title="query (q)")
    lower = [fig.add_subplot(grid[1, column]) for column in range(4)]
    largest = max(np.abs(q).max(), np.abs(k).max())
    draw_bands(upper, q[None], [f"q: {tokens[query]}"], largest)
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
    ax.set_yticks(range(len(tokens)), [*map(drawable, tokens)], size=TOKEN_SIZE, parse_math=False)
    ax.tick_params(axis="y", length=0)
    if len(values) == 1:
        ax.set_xticks([])


def draw_bars(ax: Axes, values: np.ndarray) -> None:
    """One horizontal bar per value, from the top down, with its number in the margin."""
    colors = [PALETTE[0] if value >= 0 else PALETTE[1] for value in values]
    ax.barh(range(len(values)), values, color=colors, height=0.7)
    ax.set(ylim=(len(values) - 0.5, -0.5))
    ax.set_yticks([])
