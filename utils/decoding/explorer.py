"""The distribution over the next token, with sliders for temperature, top-k and top-p."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from utils.decoding.filters import Sampling
from utils.plotting import plot_next_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
NUM_BARS, NUM_BARS_IN_GRID = 15, 8  # tokens drawn; all others count too
MAX_TOP_K = 200
GRID = tuple(  # columns of temperatures, without filters above and with both below
    Sampling(temperature, **filters)
    for filters in ({}, {"top_k": 50, "top_p": 0.9})
    for temperature in (0.5, 1.0, 1.5)
)


class Candidates(NamedTuple):
    """The tokens of a vocabulary under one setting, the most probable first."""

    probabilities: Tensor  # (V,), after the temperature and before the filters
    is_kept: Tensor  # (V,), whether the filters leave the token in
    entropy: float  # bits, of what is left to draw from

    def __str__(self) -> str:
        mass = self.probabilities[self.is_kept].sum()
        return (
            f"{self.is_kept.sum():,} of {len(self.is_kept):,} tokens are left with {mass:.1%} of "
            f"the probability; the entropy of the draw is {self.entropy:.2f} bits."
        )


def explore_next_token(
    logits: Tensor, tokenizer: PreTrainedTokenizerBase, title: str = "The next token"
) -> NextTokenExplorer:
    """What temperature, top-k and top-p do to the next token, to be tried with sliders.

    As the value of a cell, the result shows live controls; beside them it stores a picture of a few
    settings for all places where no kernel runs, such as a page or a saved notebook.

    Args:
        logits: (V,) for one position, for instance `model(ids).logits[0, -1]`.

    Raises:
        ValueError: other than one axis, or NaN.
    """
    return NextTokenExplorer(checked_logits(logits), tokenizer, title)


def checked_logits(logits: Tensor) -> Tensor:
    """`logits` as floats (V,) on the CPU, or ValueError; -inf rules a token out."""
    values = torch.as_tensor(logits).detach().float().cpu()
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"logits have shape {tuple(values.shape)}: pass (V,), those of one position, such as "
            "model(ids).logits[0, -1]."
        )
    if not values.max().isfinite():  # the maximum of what holds NaN is NaN
        raise ValueError(
            f"logits reach {values.max():g}: pass numbers, with -inf at most for some."
        )
    return values


class NextTokenExplorer:
    """Sliders over one distribution.

    Attributes:
        temperature, top_k, top_p: the sliders; top_k 0 and top_p 1 leave all tokens in.
        picture: the bars, a png.
        numbers: what is left, in words.
        view: all of these.
    """

    def __init__(self, logits: Tensor, tokenizer: PreTrainedTokenizerBase, title: str) -> None:
        import ipywidgets

        self.title = title
        self.logits, order = logits.sort(descending=True)  # no setting changes the order
        self.words = [tokenizer.decode([token]) for token in order[:NUM_BARS].tolist()]
        wide = {"style": {"description_width": "9em"}, "layout": {"width": "30em"}}
        self.temperature = ipywidgets.FloatSlider(
            1.0, min=0.1, max=3.0, step=0.1, description="temperature", **wide
        )
        self.top_k = ipywidgets.IntSlider(
            0, min=0, max=min(MAX_TOP_K, len(logits)), description="top-k (0: off)", **wide
        )
        self.top_p = ipywidgets.FloatSlider(
            1.0, min=0.05, max=1.0, step=0.01, description="top-p (1: off)", **wide
        )
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.numbers = ipywidgets.HTML()
        sliders = [self.temperature, self.top_k, self.top_p]
        self.view = ipywidgets.VBox([*sliders, self.numbers, self.picture])
        for slider in sliders:
            slider.observe(self.redraw, "value")
        self.redraw()

    @property
    def sampling(self) -> Sampling:
        """The setting of the sliders."""
        top_p = self.top_p.value if self.top_p.value < 1 else None
        return Sampling(self.temperature.value, top_k=self.top_k.value or None, top_p=top_p)

    def redraw(self, _: Any = None) -> None:
        """Bring picture and numbers to the setting of the sliders."""
        figure = self.draw([self.sampling], NUM_BARS)
        figure.axes[0].set_xlim(0, 1.1)  # else the axis would follow the bars, and hide the change
        self.picture.value = png(figure)
        self.numbers.value = str(self.candidates(self.sampling))

    def candidates(self, sampling: Sampling) -> Candidates:
        """What one setting leaves to draw from."""
        probabilities = Sampling(sampling.temperature)(self.logits).softmax(-1)
        left = sampling(self.logits)
        entropy = torch.special.entr(left.softmax(-1)).sum().item() / math.log(2)
        return Candidates(probabilities, left.isfinite(), entropy)

    def draw(self, settings: Sequence[Sampling], num_bars: int) -> Figure:
        """A panel per setting."""
        panels = {}
        for sampling in settings:
            found = self.candidates(sampling)
            name = f"{describe(sampling)}\nentropy {found.entropy:.2f} bits"
            panels[name] = (self.words[:num_bars], found.probabilities, found.is_kept)
        return plot_next_words(panels, title=self.title)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Called by Jupyter: the controls, and what to show where they cannot be."""
        lines = [f"{describe(sampling)}: {self.candidates(sampling)}" for sampling in GRID]
        return {
            WIDGET_VIEW: self.view._repr_mimebundle_()[WIDGET_VIEW],
            "image/png": b64encode(png(self.draw(GRID, NUM_BARS_IN_GRID))).decode(),
            "text/plain": "\n".join([self.title, *lines]),
        }


def describe(sampling: Sampling) -> str:
    """For instance "T = 0.7, top-k 50"."""
    words = [f"T = {sampling.temperature:g}"]
    words += [f"top-k {sampling.top_k}"] if sampling.top_k else []
    words += [f"top-p {sampling.top_p:g}"] if sampling.top_p else []
    return ", ".join(words)


def png(figure: Figure) -> bytes:
    """`figure` as a file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
