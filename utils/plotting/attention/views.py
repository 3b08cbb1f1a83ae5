"""Interactive views of attention: one head layer by layer, the whole model, single neurons.

A view is a sandboxed iframe that carries its data, styles and script. It loads nothing, and several
on one page cannot disturb each other. A static picture with a hint lies behind it: where a host
strips iframes or runs no scripts (an untrusted notebook, say), these are seen instead.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from utils.plotting.attention.figures import grid_figure, head_colors, line_figure, query_figure
from utils.plotting.attention.inputs import checked_attention, checked_projections, softmax_scores
from utils.plotting.style import ink_on

WIDTH = 770  # pixels, of the static picture and at most of the view
TOKEN_ROW = 22  # pixels, as in the style sheet
THUMBNAIL = 100  # pixels, with its gap, at most
PNG_COLORS = 128
HINT = (
    "Only a picture. For the interactive view run the cell, or choose Trust Notebook in the "
    "command palette (View menu)."
)
FRAME = """\
<div style="position:relative;max-width:{width}px;height:{height};overflow:hidden">
<img src="data:image/webp;base64,{picture}" alt="{text}" style="display:block;max-width:100%;\
max-height:calc(100% - 20px)">
<p style="margin:0;font-size:12px">{hint}</p>
<iframe sandbox="allow-scripts" title="{text}" srcdoc="{document}" style="position:absolute;\
top:0;left:0;width:100%;height:100%;border:0;background:transparent"></iframe></div>"""


@dataclass(frozen=True)
class AttentionView:
    """What a notebook shows as one bundle: the interactive HTML, its static picture, its words."""

    text: str
    document: str = field(repr=False)  # inside the iframe
    figure: Figure = field(repr=False)
    height: str = field(repr=False)  # of the iframe, in CSS units

    @cached_property
    def html(self) -> str:
        """A fragment to put into any page; it refers to nothing outside itself."""
        return FRAME.format(
            width=WIDTH,
            height=self.height,
            picture=encode_image(self._image, "WEBP", quality=60, method=6),
            text=escape(self.text),
            hint=HINT,
            document=escape(self.document, quote=False).replace('"', "&quot;"),
        )

    @cached_property
    def png(self) -> str:
        """The static picture, base64."""
        return encode_image(self._image.quantize(PNG_COLORS), "PNG", optimize=True)

    @cached_property
    def _image(self) -> Image.Image:
        file = io.BytesIO()
        self.figure.savefig(file, format="png")
        return Image.open(file).convert("RGB")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """Called by Jupyter, which then shows the first kind that the place supports."""
        return {"text/html": self.html, "image/png": self.png, "text/plain": self.text}


def head_view(
    attention: Sequence[ArrayLike],
    tokens: Sequence[str],
    title: str,
    *,
    sentence_b: int | None = None,
    layer: int = 0,
    heads: Sequence[int] | None = None,
) -> AttentionView:
    """Lines between tokens, as opaque as the weight and coloured by head, for one layer at a time.

    Args:
        attention: what a model returns, L tensors (1, H, T, T), or an array (L, H, T, T).
        tokens: T tokens.
        sentence_b: position where a second sentence starts; adds a choice of sentence pairs.
        layer, heads: shown at first, all heads if not given; -1 is the last.

    Raises:
        ValueError: shapes that do not fit, or rows that do not sum to 1.
    """
    weights = checked_attention(attention, tokens)
    layer, every = range(len(weights))[layer], range(weights.shape[1])
    shown = sorted({every[head] for head in heads or every})
    start = {"layer": layer, "heads": shown, "second": sentence_b}
    return AttentionView(
        text=f"Head view: {title} ({extent(weights)}).",
        document=render("head_view", title, attention_data(weights, tokens) | start),
        figure=line_figure(weights[layer], shown, tokens, f"{title}, layer {layer}"),
        height=css_height(150 + TOKEN_ROW * len(tokens), 50),
    )


def model_view(attention: Sequence[ArrayLike], tokens: Sequence[str], title: str) -> AttentionView:
    """All heads of all layers as thumbnails, each of which opens large.

    Args:
        attention: what a model returns, L tensors (1, H, T, T), or an array (L, H, T, T).
        tokens: T tokens.

    Raises:
        ValueError: shapes that do not fit, or rows that do not sum to 1.
    """
    weights = checked_attention(attention, tokens)
    num_layers, num_heads, num_tokens, _ = weights.shape
    grid = 80 + num_layers * min(THUMBNAIL, (WIDTH - 30) // num_heads)
    return AttentionView(
        text=f"Model view: {title} ({extent(weights)}).",
        document=render("model_view", title, attention_data(weights, tokens)),
        figure=grid_figure(weights, title),
        height=css_height(max(grid, 120 + TOKEN_ROW * num_tokens), 0),
    )


def neuron_view(
    queries: Sequence[ArrayLike],
    keys: Sequence[ArrayLike],
    tokens: Sequence[str],
    title: str,
    *,
    layer: int = 0,
    head: int = 0,
    query: int = 0,
) -> AttentionView:
    """From the query and key vectors of a head to its weights: product, score, softmax (no mask).

    Args:
        queries: L tensors (1, H, T, head_dim), one per layer, or an array (L, H, T, head_dim).
        keys: the same of the keys.
        tokens: T tokens.
        layer, head: shown at first; -1 is the last.
        query: position of the token whose vectors are shown at first.

    Raises:
        ValueError: shapes that do not fit, or NaN.
    """
    q, k = checked_projections(queries, keys, tokens)
    layer, head, query = (range(n)[i] for n, i in zip(q.shape, (layer, head, query), strict=False))
    place = f"{title}, layer {layer}, head {head}"
    start = {"layer": layer, "head": head, "query": query}
    return AttentionView(
        text=f"Neuron view: {title} ({extent(q)}).",
        document=render("neuron_view", title, projection_data(q, k, tokens) | start),
        figure=query_figure(q[layer, head, query], k[layer, head], tokens, place, query),
        height=css_height(250 + (TOKEN_ROW + 2) * (len(tokens) + 1), 60),
    )


def extent(values: np.ndarray) -> str:
    """How much (L, H, T, ...) values a view holds, in words."""
    num_layers, num_heads, num_tokens = values.shape[:3]
    return f"{num_layers} layers, {num_heads} heads, {num_tokens} tokens"


def css_height(pixels: int, more_on_phones: int) -> str:
    """Height of an iframe: controls break into more lines where the screen is narrow."""
    return f"calc({pixels}px + max(0px, min({more_on_phones}px, 640px - 100vw)))"


def attention_data(weights: np.ndarray, tokens: Sequence[str]) -> dict:
    """What the script of a view needs to draw (L, H, T, T) weights, to 1/65535."""
    codes = np.rint(65535 * weights.clip(0, 1)).astype("<u2")
    return shared_data(weights, tokens) | {"weights": encode(codes)}


def projection_data(queries: np.ndarray, keys: np.ndarray, tokens: Sequence[str]) -> dict:
    """What the script needs to show queries and keys, both (L, H, T, d), and their scores.

    Scores are kept to 1/65535 of their range in a head, queries and keys to 1/127 of the largest
    value in a head.
    """
    scores, _ = softmax_scores(queries, keys)  # (L, H, T, T)
    low = scores.min((2, 3), keepdims=True)
    step = (scores.max((2, 3), keepdims=True) - low) / 65535
    step[step == 0] = 1.0
    scales = [{"low": a, "step": b} for a, b in zip(low.ravel(), step.ravel(), strict=True)]
    largest = np.maximum(abs(queries).max((2, 3)), abs(keys).max((2, 3)))[..., None, None]
    largest[largest == 0] = 1.0
    return shared_data(queries, tokens) | {
        "head_dim": queries.shape[-1],
        "queries": encode(np.rint(127 * queries / largest).astype("i1")),
        "keys": encode(np.rint(127 * keys / largest).astype("i1")),
        "scores": encode(np.rint((scores - low) / step).astype("<u2")),
        "score_scales": scales,
    }


def shared_data(values: np.ndarray, tokens: Sequence[str]) -> dict:
    """What every view needs, from (L, H, T, ...) values."""
    num_layers, num_heads = values.shape[:2]
    colors = head_colors(num_heads)
    return {
        "tokens": list(tokens),
        "num_layers": num_layers,
        "num_heads": num_heads,
        "colors": colors,
        "inks": [ink_on(color) for color in colors],
    }


def encode(codes: np.ndarray) -> str:
    """The bytes of `codes` in C order, base64."""
    return base64.b64encode(codes.tobytes()).decode()


def encode_image(image: Image.Image, kind: str, **options) -> str:
    """`image` as a file of that kind, base64."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def render(view: str, title: str, data: dict) -> str:
    """The HTML document of a view, its data as JSON that cannot end the script element."""
    return Template(source("view.html")).substitute(
        title=escape(title),
        style=source("view.css"),
        script=source("view.js") + source(f"{view}.js"),
        data=json.dumps(data).replace("<", "\\u003c"),
    )


@cache
def source(name: str) -> str:
    """The text of a file beside this module."""
    return (files("utils.plotting.attention") / name).read_text(encoding="utf-8")
