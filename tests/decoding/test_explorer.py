"""Sliders over the next token change picture and numbers; one picture outlives the kernel."""

import base64
import io

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from utils.assets.models import checkpoint
from utils.decoding.explorer import NextTokenExplorer, explore_next_token
from utils.notebooks.clean import WIDGET_VIEW, clean
from utils.runner.pages.notebook import body

VOCABULARY = 1000


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(checkpoint("causal_lm"))


@pytest.fixture(scope="module")
def logits() -> torch.Tensor:
    return 3 * torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def explorer(logits, tokenizer) -> NextTokenExplorer:
    return explore_next_token(logits, tokenizer)


def left(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Probabilities of what top-k and then top-p leave, best first, and 0 elsewhere; by a loop."""
    shares = np.sort((logits / temperature).softmax(-1).numpy().astype(float))[::-1].copy()
    shares[top_k:] = 0
    if top_p == 1:
        return shares
    target, reached = top_p * shares.sum(), 0.0
    for rank, share in enumerate(shares):
        shares[rank] = share if reached < target else 0
        reached += share
    return shares


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 7, 1.0), (1.0, 0, 0.8), (1.5, 50, 0.6)],
)
def test_sliders_give_number_mass_and_entropy(explorer, logits, temperature, top_k, top_p):
    explorer.temperature.value, explorer.top_k.value = temperature, top_k
    explorer.top_p.value = top_p
    shares = left(logits, temperature, top_k or VOCABULARY, top_p)
    kept = shares[shares > 0]
    drawn = kept / kept.sum()
    entropy = -(drawn * np.log2(drawn)).sum()
    words = f"{len(kept):,} of 1,000 tokens are left with {kept.sum():.1%} of the probability"
    assert words in explorer.numbers.value
    assert f"{entropy:.2f} bits" in explorer.numbers.value


@pytest.mark.parametrize(("slider", "value"), [("temperature", 0.3), ("top_k", 5), ("top_p", 0.5)])
def test_each_slider_changes_the_picture(explorer, slider, value):
    before = explorer.picture.value
    getattr(explorer, slider).value = value
    assert explorer.picture.value != before
    assert Image.open(io.BytesIO(explorer.picture.value)).format == "PNG"


def test_the_bars_are_those_of_the_most_probable_tokens(explorer, logits, tokenizer):
    best = logits.argmax().item()
    figure = explorer.draw([explorer.sampling], num_bars=4)
    (ax,) = figure.axes
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == pytest.approx(logits.softmax(-1).topk(4).values.tolist())
    assert tokenizer.decode([best]).strip() in ax.get_yticklabels()[0].get_text()


@pytest.mark.filterwarnings("error")
def test_the_bundle_holds_controls_a_picture_and_words(capfd, explorer):
    bundle = explorer._repr_mimebundle_()
    assert capfd.readouterr() == ("", "")  # also where there is no front end
    assert bundle[WIDGET_VIEW]["model_id"] == explorer.view.model_id
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).format == "PNG"
    assert len(bundle["text/plain"].splitlines()) == 7  # a title and six settings


def test_ruled_out_tokens_and_other_kinds_of_logits_are_welcome(logits, tokenizer):
    ruled_out = logits.masked_fill(torch.arange(VOCABULARY) > 2, -torch.inf)
    explorer = explore_next_token(ruled_out.bfloat16().requires_grad_(), tokenizer)
    assert "3 of 1,000 tokens are left with 100.0%" in explorer.numbers.value
    assert "of 1,000" in explore_next_token(logits.numpy(), tokenizer).numbers.value


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(1, 5), r"shape \(1, 5\): pass \(V,\)"),
        (torch.zeros(0), r"shape \(0,\)"),
        (torch.tensor([0.0, torch.nan]), "logits reach nan"),
        (torch.tensor([0.0, torch.inf]), "logits reach inf"),
        (torch.full((3,), -torch.inf), "logits reach -inf"),
    ],
)
def test_what_cannot_be_explored(wrong, message, tokenizer):
    with pytest.raises(ValueError, match=message):
        explore_next_token(wrong, tokenizer)


def test_the_picture_outlives_the_kernel(explorer, tmp_path):
    shown = new_output("display_data", data=explorer._repr_mimebundle_())
    notebook = new_notebook(cells=[new_code_cell("explorer", outputs=[shown])])
    page = BeautifulSoup(body(notebook, tmp_path), "html.parser")
    assert page.img["src"].startswith("data:image/png;base64,")
    clean(notebook)
    assert set(notebook.cells[0].outputs[0].data) == {"image/png", "text/plain"}
