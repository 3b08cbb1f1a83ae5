"""Attention figures and views: they show the numbers they are given, and carry no others."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgba
from PIL import Image
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from utils.assets.models import checkpoint
from utils.plotting import (
    head_view,
    model_view,
    neuron_view,
    plot_attention_grid,
    plot_attention_heads,
    plot_attention_lines,
    plot_query_and_keys,
)
from utils.plotting.attention import AttentionView

SENTENCES = ("time flies like an arrow", "fruit flies like a banana")
MAX_SIZE = 200_000  # bytes of HTML

rng = np.random.default_rng(0)


def random_weights(*shape: int) -> np.ndarray:
    """(..., T, S) rows that sum to 1."""
    return F.softmax(torch.from_numpy(rng.normal(size=shape) * 2), dim=-1).numpy()


def words(count: int) -> list[str]:
    return [f"token{i}" for i in range(count)]


@pytest.fixture(scope="module")
def encoder() -> dict:
    """Attention, queries, keys and tokens of a pair of sentences in the packaged encoder."""
    name = checkpoint("encoder")
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModel.from_pretrained(name, attn_implementation="eager").eval()
    encoded = tokenizer(*SENTENCES, return_tensors="pt")
    kept = {"query": [], "key": []}
    for layer in model.encoder.layer:
        for projection, outputs in kept.items():
            getattr(layer.attention.self, projection).register_forward_hook(
                lambda module, inputs, output, outputs=outputs: outputs.append(
                    output.unflatten(-1, (12, -1)).transpose(1, 2)
                )
            )
    attentions = model(**encoded, output_attentions=True).attentions
    return {
        "attention": attentions,  # still with gradients
        "queries": kept["query"],
        "keys": kept["key"],
        "tokens": tokenizer.convert_ids_to_tokens(encoded.input_ids[0]),
        "second": int((encoded.token_type_ids == 0).sum()),
    }


def stacked(tensors: list[torch.Tensor]) -> np.ndarray:
    """(L, H, T, ...) of L tensors (1, H, T, ...)."""
    return torch.cat(list(tensors)).detach().numpy()


def frame(view: AttentionView) -> BeautifulSoup:
    """The document that a browser would find in the iframe of the view's HTML."""
    html = BeautifulSoup(view.html, "html.parser")
    return BeautifulSoup(html.iframe["srcdoc"], "html.parser")


def payload(view: AttentionView) -> dict:
    return json.loads(frame(view).find(id="data").text)


def decoded(text: str, kind: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


# What the views carry


@pytest.mark.parametrize("make", [head_view, model_view])
def test_weights_are_kept_to_their_step(encoder, make):
    data = payload(make(encoder["attention"], encoder["tokens"], "Flies"))
    weights = stacked(encoder["attention"])
    codes = decoded(data["weights"], "<u2", *weights.shape)
    np.testing.assert_allclose(codes / 65535, weights, atol=0.51 / 65535)
    assert data["tokens"] == encoder["tokens"]
    assert (data["num_layers"], data["num_heads"]) == weights.shape[:2]


def test_weights_are_those_that_bertviz_shows(encoder):
    from bertviz import head_view as bertviz_head_view

    html = bertviz_head_view(encoder["attention"], encoder["tokens"], html_action="return").data
    start = html.index("const params = ") + len("const params = ")
    params, _ = json.JSONDecoder().raw_decode(html[start:])
    (theirs,) = params["attention"]
    data = payload(head_view(encoder["attention"], encoder["tokens"], "Flies"))
    shape = np.shape(theirs["attn"])
    ours = decoded(data["weights"], "<u2", *shape) / 65535
    np.testing.assert_allclose(ours, theirs["attn"], atol=0.51 / 65535)
    assert data["tokens"] == theirs["left_text"]


def test_softmax_of_the_neuron_views_scores_is_the_attention(encoder):
    view = neuron_view(encoder["queries"], encoder["keys"], encoder["tokens"], "Flies")
    data, weights = payload(view), stacked(encoder["attention"])
    codes = decoded(data["scores"], "<u2", *weights.shape)
    scales = [[scale[name] for scale in data["score_scales"]] for name in ("low", "step")]
    low, step = np.array(scales).reshape(2, *weights.shape[:2], 1, 1)
    shown = F.softmax(torch.from_numpy(low + step * codes), dim=-1).numpy()
    np.testing.assert_allclose(shown, weights, atol=1e-4)


def test_queries_and_keys_are_kept_to_their_step(encoder):
    view = neuron_view(encoder["queries"], encoder["keys"], encoder["tokens"], "Flies")
    data = payload(view)
    queries, keys = stacked(encoder["queries"]), stacked(encoder["keys"])
    largest = np.abs([queries, keys]).max((0, 3, 4))[..., None, None]  # of each head
    for name, values in (("queries", queries), ("keys", keys)):
        codes = decoded(data[name], "i1", *values.shape)
        np.testing.assert_allclose(codes / 127, values / largest, atol=0.51 / 127)


def test_an_array_shows_the_same_as_a_models_tuple(encoder):
    tuple_view = model_view(encoder["attention"], encoder["tokens"], "Flies")
    array_view = model_view(stacked(encoder["attention"]), encoder["tokens"], "Flies")
    assert array_view.html == tuple_view.html


def test_half_precision_is_taken():
    model = BertModel._from_config(
        BertConfig(hidden_size=24, num_hidden_layers=2, intermediate_size=8),
        attn_implementation="eager",
        dtype=torch.bfloat16,
    ).eval()
    attention = model(torch.arange(9)[None], output_attentions=True).attentions
    assert attention[0].dtype == torch.bfloat16
    assert payload(head_view(attention, words(9), "bf16"))["num_layers"] == 2


MINILM_WEIGHTS = random_weights(6, 12, 15, 15)
MINILM_VECTORS = rng.normal(size=(2, 6, 12, 15, 32))  # of queries and keys
VIEWS = {
    "head": lambda: head_view(MINILM_WEIGHTS, words(15), "Heads", sentence_b=8),
    "model": lambda: model_view(MINILM_WEIGHTS, words(15), "Model"),
    "neuron lines": lambda: neuron_view(*MINILM_VECTORS, words(15), "Neurons"),
    "neuron": lambda: neuron_view(*MINILM_VECTORS, words(15), "Neurons", query=1),
}


@pytest.fixture(scope="module", params=VIEWS)
def big_view(request: pytest.FixtureRequest) -> AttentionView:
    """A view as large as the packaged encoder needs for a pair of sentences."""
    return VIEWS[request.param]()


def test_a_view_is_small(big_view):
    assert len(big_view.html.encode()) <= MAX_SIZE


def test_a_view_refers_to_no_host(big_view):
    for text in (big_view.html, frame(big_view).prettify()):
        assert not re.search(r"https?:|//\w|@import|\burl\(|\bimport\b|fetch\(", strip_data(text))


def strip_data(html: str) -> str:
    """`html` without base64 and comments, in which anything may occur."""
    return re.sub(r"[A-Za-z0-9+/]{200,}={0,2}|(?<=\s)// .*", "", html)


def test_a_view_is_one_bundle_with_a_picture_and_words(big_view):
    bundle, _ = DisplayFormatter().format(big_view)
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert (picture.format, picture.width) == ("PNG", 770)
    assert "6 layers, 12 heads, 15 tokens" in bundle["text/plain"]


def test_the_iframe_is_sandboxed_and_has_words(big_view):
    (iframe,) = BeautifulSoup(big_view.html, "html.parser")("iframe")
    assert iframe["sandbox"] == ["allow-scripts"]
    assert iframe["title"] == big_view.text
    policy = frame(big_view).find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")


def test_tokens_and_title_cannot_break_out_of_the_view():
    tokens = ["</script><b>", '"&quot;', "<!--"]
    view = model_view(random_weights(1, 2, 3, 3), tokens, '</title>"&')
    assert payload(view)["tokens"] == tokens
    assert frame(view).title.text == frame(view).h1.text == '</title>"&'
    assert BeautifulSoup(view.html, "html.parser").img["alt"] == view.text


# What the figures show


def test_heatmaps_show_the_weights():
    panels = {f"head {i}": random_weights(3, 5) for i in range(2)}
    fig = plot_attention_heads(panels, words(3), "Cross-attention", key_tokens=words(5))
    for ax, (name, weights) in zip(fig.axes, panels.items(), strict=False):
        np.testing.assert_array_equal(ax.images[0].get_array(), weights)
        assert ax.get_title() == name
        assert [label.get_text() for label in ax.get_xticklabels()] == words(5)
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == words(3)


def test_lines_lead_from_query_to_key_and_are_as_opaque_as_the_weight():
    heads = {f"head {i}": random_weights(4, 4) for i in range(2)}
    fig = plot_attention_lines(heads, words(4), "Lines")
    colors = [line.get_color() for line in fig.legends[0].get_lines()]
    collections = fig.axes[0].collections
    for lines, weights, color in zip(collections, heads.values(), colors, strict=True):
        places = np.array(lines.get_segments())
        assert (places[:, 0, 0] == 0).all()
        assert (places[:, 1, 0] == 1).all()
        queries, keys = places[:, :, 1].round().astype(int).T
        shown = np.zeros_like(weights)
        shown[queries, keys] = lines.get_alpha()
        np.testing.assert_allclose(shown, np.where(weights < 1 / 255, 0, weights))
        assert to_rgba(lines.get_color()[0])[:3] == to_rgba(color)[:3]


def test_the_grid_has_each_head_in_its_place():
    weights = random_weights(2, 3, 4, 4)
    collections = plot_attention_grid(weights, words(4), "Grid").axes[0].collections
    for (layer, head), lines in zip(np.ndindex(2, 3), collections, strict=True):
        places = np.array(lines.get_segments()).reshape(-1, 2)
        assert (np.floor(places + 1e-9) == (head, layer)).all()
        visible = weights[layer, head][weights[layer, head] >= 1 / 255]
        np.testing.assert_allclose(lines.get_alpha(), visible)


def test_the_neuron_figure_leads_from_query_to_attention(encoder):
    queries, keys = (stacked(encoder[name])[0, 8] for name in ("queries", "keys"))
    fig = plot_query_and_keys(queries, keys, encoder["tokens"], "flies", query=2)
    q, k, product, score, softmax = fig.axes
    np.testing.assert_allclose(q.images[0].get_array()[0], queries[2])
    np.testing.assert_allclose(k.images[0].get_array(), keys)
    np.testing.assert_allclose(product.images[0].get_array(), queries[2] * keys)
    widths = [[bar.get_width() for bar in ax.patches] for ax in (score, softmax)]
    np.testing.assert_allclose(widths[0], queries[2] @ keys.T / 32**0.5, rtol=1e-4)
    np.testing.assert_allclose(widths[1], stacked(encoder["attention"])[0, 8, 2], atol=1e-5)


# What is refused

WEIGHTS = random_weights(2, 3, 4, 4)
VECTORS = np.ones((2, 3, 4, 8))
EMPTY = ()  # what a model with attn_implementation="sdpa" returns


@pytest.mark.parametrize(
    ("attention", "tokens", "options", "message"),
    [
        (EMPTY, words(4), {}, "attn_implementation='eager'"),
        ([None, None], words(4), {}, "attn_implementation='eager'"),
        (WEIGHTS, words(5), {}, "there are 5 tokens"),
        (WEIGHTS[0], words(4), {}, "per layer"),
        ([WEIGHTS, WEIGHTS], words(4), {}, "holds 2 examples"),
        ([WEIGHTS[:1], WEIGHTS[:1, :2]], words(4), {}, "shapes"),
        (WEIGHTS * 0.9, words(4), {}, "sums to 0.900 instead of 1"),
        (np.log(WEIGHTS), words(4), {}, "not scores"),
        (WEIGHTS * np.nan, words(4), {}, "NaN"),
        (WEIGHTS, "four", {}, "list of strings"),
        (WEIGHTS, [1, 2, 3, 4], {}, "list of strings"),
        (random_weights(1, 1, 49, 49), words(49), {}, "at most 48"),
        (WEIGHTS, words(4), {"layer": 2}, "layer 2 does not exist: choose 0 to 1"),
        (WEIGHTS, words(4), {"heads": [0, 3]}, "head 3 does not exist: choose 0 to 2"),
        (WEIGHTS, words(4), {"heads": []}, "heads is empty"),
        (WEIGHTS, words(4), {"sentence_b": 4}, "sentence_b is 4: give a position from 1 to 3"),
    ],
)
def test_head_view_refuses(attention, tokens, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        head_view(attention, tokens, "Title", **options)


@pytest.mark.parametrize(
    ("queries", "keys", "options", "message"),
    [
        ([], [], {}, "queries is empty"),
        (VECTORS, VECTORS[..., :4], {}, "pass both of the same input"),
        (VECTORS[:, :, :3], VECTORS[:, :, :3], {}, "there are 4 tokens"),
        (VECTORS * np.nan, VECTORS, {}, "NaN"),
        (VECTORS, VECTORS, {"layer": -1}, "layer -1 does not exist"),
        (VECTORS, VECTORS, {"head": 3}, "head 3 does not exist"),
        (VECTORS, VECTORS, {"query": 4}, "query 4 does not exist"),
    ],
)
def test_neuron_view_refuses(queries, keys, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        neuron_view(queries, keys, words(4), "Title", **options)


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "panels is empty"),
        ({"a": WEIGHTS[0, 0, :3]}, "'a' has shape (3, 4)"),
        ({"a": WEIGHTS[0, 0] / 2}, "A row of 'a' sums to 0.500"),
    ],
)
@pytest.mark.parametrize("plot", [plot_attention_heads, plot_attention_lines])
def test_figures_refuse(plot, panels, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        plot(panels, words(4), "Title")


def test_the_neuron_figure_refuses_a_query_that_is_no_token():
    with pytest.raises(ValueError, match="query 4 does not exist"):
        plot_query_and_keys(VECTORS[0, 0], VECTORS[0, 0], words(4), "Title", query=4)


def test_a_constant_head_is_shown_without_warnings():
    view = neuron_view(np.zeros((1, 1, 3, 2)), np.zeros((1, 1, 3, 2)), words(3), "Zeros", query=0)
    assert decoded(payload(view)["scores"], "<u2", 9).tolist() == [0] * 9
