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
from matplotlib.colors import to_hex
from PIL import Image
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from utils.assets.models import checkpoint
from utils.plotting import head_view, model_view, neuron_view, plot_attention_heads
from utils.plotting.attention import AttentionView

SENTENCES = ("time flies like an arrow, sir", "fruit flies like a banana")  # 15 tokens
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


@pytest.fixture(scope="module")
def views(encoder) -> dict[str, AttentionView]:
    """Each view of the encoder and its pair of sentences."""
    pair, vectors = (encoder["attention"], encoder["tokens"]), (encoder["queries"], encoder["keys"])
    return {
        "head": head_view(*pair, "Flies", sentence_b=encoder["second"]),
        "model": model_view(*pair, "Flies"),
        "neuron": neuron_view(*vectors, encoder["tokens"], "Flies", head=8, query=2),
    }


@pytest.fixture(params=["head", "model", "neuron"])
def view(views, request: pytest.FixtureRequest) -> AttentionView:
    return views[request.param]


# What the views carry


def test_weights_are_those_of_the_model_and_of_bertviz(views, encoder):
    from bertviz import head_view as bertviz_head_view

    html = bertviz_head_view(encoder["attention"], encoder["tokens"], html_action="return").data
    params, _ = json.JSONDecoder().raw_decode(html.split("const params = ")[1])
    (theirs,) = params["attention"]
    weights = stacked(encoder["attention"])
    for name in ("head", "model"):
        data = payload(views[name])
        ours = decoded(data["weights"], "<u2", *weights.shape) / 65535
        np.testing.assert_allclose(ours, weights, atol=0.51 / 65535)
        np.testing.assert_allclose(ours, theirs["attn"], atol=0.51 / 65535)
        assert data["tokens"] == theirs["left_text"] == encoder["tokens"]
        assert (data["num_layers"], data["num_heads"]) == weights.shape[:2]


def test_softmax_of_the_neuron_views_scores_is_the_attention(views, encoder):
    data, weights = payload(views["neuron"]), stacked(encoder["attention"])
    codes = decoded(data["scores"], "<u2", *weights.shape)
    scales = [[scale[name] for scale in data["score_scales"]] for name in ("low", "step")]
    low, step = np.array(scales).reshape(2, *weights.shape[:2], 1, 1)
    shown = F.softmax(torch.from_numpy(low + step * codes), dim=-1).numpy()
    np.testing.assert_allclose(shown, weights, atol=step.max() / 4 + 1e-6)


def test_queries_and_keys_are_kept_to_their_step(views, encoder):
    data = payload(views["neuron"])
    queries, keys = stacked(encoder["queries"]), stacked(encoder["keys"])
    largest = np.abs([queries, keys]).max((0, 3, 4))[..., None, None]  # of each head
    for name, values in (("queries", queries), ("keys", keys)):
        codes = decoded(data[name], "i1", *values.shape)
        np.testing.assert_allclose(codes / 127, values / largest, atol=0.51 / 127)


def test_an_array_shows_the_same_as_a_models_tuple_and_half_precision_is_taken(views, encoder):
    array, tokens = stacked(encoder["attention"]), encoder["tokens"]
    assert model_view(array, tokens, "Flies").document == views["model"].document
    halves = [layer.bfloat16() for layer in encoder["attention"]]
    assert payload(model_view(halves, tokens, "bf16"))["num_layers"] == 6


def test_a_view_is_small_and_refers_to_no_host(view):
    assert len(view.html.encode()) <= MAX_SIZE
    for text in (view.html, frame(view).prettify()):
        assert not re.search(r"https?:|//\w|@import|\burl\(|\bimport\b|fetch\(", strip_data(text))


def strip_data(html: str) -> str:
    """`html` without base64 and comments, in which anything may occur."""
    return re.sub(r"[A-Za-z0-9+/]{200,}={0,2}|(?<=\s)// .*", "", html)


def test_a_view_is_one_bundle_with_a_picture_and_words(view):
    bundle, _ = DisplayFormatter().format(view)
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert (picture.format, picture.width) == ("PNG", 770)
    assert "6 layers, 12 heads, 15 tokens" in bundle["text/plain"]


def test_the_iframe_is_sandboxed_and_a_hint_stands_below_the_picture(view):
    shown = BeautifulSoup(view.html, "html.parser")
    assert shown.iframe["sandbox"] == ["allow-scripts"]
    assert shown.iframe["title"] == view.text
    hint = shown.img.find_next_sibling()
    assert "For the interactive view run the cell" in hint.text
    assert hint.find_next_sibling() is shown.iframe  # which lies over both once it is drawn
    policy = frame(view).find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
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


def test_lines_lead_from_query_to_key_and_are_as_opaque_as_the_weight(views, encoder):
    weights = stacked(encoder["attention"])[-1, 3]
    view = head_view(encoder["attention"], encoder["tokens"], "Lines", layer=-1, heads=[3])
    (lines,) = view.figure.axes[0].collections
    places = np.array(lines.get_segments())
    assert (places[:, 0, 0] == 0).all()
    assert (places[:, 1, 0] == 1).all()
    queries, keys = places[:, :, 1].round().astype(int).T
    shown = np.zeros_like(weights)
    shown[queries, keys] = lines.get_alpha()
    np.testing.assert_allclose(shown, np.where(weights < 1 / 255, 0, weights), rtol=1e-6)
    color = payload(view)["colors"][3]
    assert view.figure.legends[0].get_lines()[0].get_color() == color
    assert to_hex(lines.get_color()[0]) == color
    assert payload(view)["layer"] == 5


def test_the_grid_has_each_head_in_its_place():
    weights = random_weights(2, 3, 4, 4)
    collections = model_view(weights, words(4), "Grid").figure.axes[0].collections
    for (layer, head), lines in zip(np.ndindex(2, 3), collections, strict=True):
        places = np.array(lines.get_segments()).reshape(-1, 2)
        assert (np.floor(places + 1e-9) == (head, layer)).all()
        visible = weights[layer, head][weights[layer, head] >= 1 / 255]
        np.testing.assert_allclose(lines.get_alpha(), visible)


def test_the_neuron_figure_leads_from_query_to_attention(views, encoder):
    queries, keys = (stacked(encoder[name])[0, 8] for name in ("queries", "keys"))
    q, k, product, score, softmax = views["neuron"].figure.axes
    np.testing.assert_allclose(q.images[0].get_array()[0], queries[2])
    np.testing.assert_allclose(k.images[0].get_array(), keys)
    np.testing.assert_allclose(product.images[0].get_array(), queries[2] * keys)
    widths = [[bar.get_width() for bar in ax.patches] for ax in (score, softmax)]
    np.testing.assert_allclose(widths[0], queries[2] @ keys.T / 32**0.5, rtol=1e-4)
    np.testing.assert_allclose(widths[1], stacked(encoder["attention"])[0, 8, 2], atol=1e-5)


# What is refused

WEIGHTS = random_weights(2, 3, 4, 4)
VECTORS = np.ones((2, 3, 4, 8))


@pytest.mark.parametrize(
    ("show", "values", "message"),
    [
        (head_view, [()], "attn_implementation='eager'"),  # what models return with "sdpa"
        (head_view, [[None, None]], "attn_implementation='eager'"),
        (head_view, [WEIGHTS[0]], "pass L layers (1, H, T, ...)"),
        (head_view, [[WEIGHTS, WEIGHTS]], "shows one example"),
        (head_view, [random_weights(2, 3, 5, 5)], "(5, 5) positions for (4, 4) tokens"),
        (head_view, [WEIGHTS * 0.9], "sums to 0.900 instead of 1"),
        (head_view, [np.log(WEIGHTS)], "after the softmax"),
        (head_view, [WEIGHTS * np.nan], "sums to nan"),
        (neuron_view, [[], []], "queries is empty"),
        (neuron_view, [VECTORS, VECTORS[..., :4]], "pass both of the same input"),
        (neuron_view, [VECTORS[:, :, :3], VECTORS[:, :, :3]], "(3,) positions for (4,) tokens"),
        (neuron_view, [VECTORS * np.nan, VECTORS], "NaN"),
        (plot_attention_heads, [{}], "panels is empty"),
        (plot_attention_heads, [{"a": WEIGHTS[0, 0, :3]}], "'a' has (3, 4) positions"),
        (plot_attention_heads, [{"a": WEIGHTS[0, 0] / 2}], "A row of 'a' sums to 0.500"),
    ],
)
def test_what_would_be_shown_wrongly_is_refused(show, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        show(*values, words(4), "Title")


def test_more_tokens_than_fit_a_screen_are_refused():
    with pytest.raises(ValueError, match="at most 48"):
        head_view(random_weights(1, 1, 49, 49), words(49), "Title")


@pytest.mark.parametrize("place", [{"layer": 2}, {"head": 3}, {"query": 4}])
def test_there_is_no_layer_head_or_query_beyond_the_last(place):
    with pytest.raises(IndexError):
        neuron_view(VECTORS, VECTORS, words(4), "Title", **place)


def test_a_constant_head_is_shown_without_warnings():
    view = neuron_view(np.zeros((1, 1, 3, 2)), np.zeros((1, 1, 3, 2)), words(3), "Zeros")
    assert decoded(payload(view)["scores"], "<u2", 9).tolist() == [0] * 9
