"""Pages in a real browser without a network: their layout, and the attention views on them."""

import io
import os
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Locator, Page, sync_playwright

from utils.plotting import head_view, model_view, neuron_view
from utils.runner.pages.notebook import body, outline
from utils.runner.pages.templates import render

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"):
    pytest.skip("no chromium here: views are not tried in a browser", allow_module_level=True)

REPOSITORY = Path(__file__).parents[2]
SCREENSHOTS = REPOSITORY / "build" / "screenshots"
BESIDE, PHONE = 1280, 390  # pixels; from BESIDE on, sections stand beside the text
OPTIONS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --host-resolver-rules=MAP~*~~NOTFOUND"""

TOKENS = ["[CLS]", "</script>", "flies", "$x$", "[SEP]", "fruit", "flies", "[SEP]"]
NUM_LAYERS, NUM_HEADS, HEAD_DIM, SECOND = 3, 4, 6, 5
CODE = "x" * 100
VIEWS = ["head", "one", "model", "neuron"]


@pytest.fixture(scope="module")
def numbers() -> dict[str, np.ndarray]:
    """Queries, keys, scores and attention of a model, each (layers, heads, ...)."""
    shape = NUM_LAYERS, NUM_HEADS, len(TOKENS), HEAD_DIM
    queries, keys = np.random.default_rng(0).normal(size=(2, *shape))
    scores = queries @ keys.swapaxes(-1, -2) / np.sqrt(HEAD_DIM)
    attention = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return {"queries": queries, "keys": keys, "scores": scores, "attention": attention}


@pytest.fixture(scope="module")
def exported(numbers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a notebook that shows each view."""
    attention = numbers["attention"]
    shown = [
        head_view(attention, TOKENS, "Pairs & heads", sentence_b=SECOND),
        head_view(attention, TOKENS, "One head", layer=1, heads=[2]),
        model_view(attention, TOKENS, "All heads"),
        neuron_view(numbers["queries"], numbers["keys"], TOKENS, "Neurons", layer=2, head=1),
    ]
    outputs = [new_output("display_data", view._repr_mimebundle_()) for view in shown]
    text = "# Views\n\n## 1 First\n\n### Deeper\n\n" + "Words. " * 50
    cells = [new_markdown_cell(text), new_code_cell(CODE, outputs=outputs)]
    page = tmp_path_factory.mktemp("exported") / "views.html"
    html = body(new_notebook(cells=cells), page.parent)
    around = {"up": ".", "neighbours": (None, {"href": "next.html", "title": "Next " * 9})}
    values = {"title": "Views", "sections": outline(html), "body": Markup(html)}
    page.write_text(render("page.html.j2", **around, **values))
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which reaches no host."""
    if CHROMIUM is None:
        pytest.fail("REQUIRE_BROWSER is set, but there is no chromium: apt-get install chromium.")
    with sync_playwright() as playwright:
        arguments = [option.replace("~", " ") for option in OPTIONS.split()]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="module")
def page(browser: Browser, exported: Path) -> Iterator[Page]:
    """The exported page; in the end, it must have asked for no host and reported no error."""
    with browser.new_context(viewport={"width": 1000, "height": 900}, offline=True) as context:
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        requests, errors = [], []
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
        tab.goto(exported.as_uri())
        yield tab
    assert requests
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert errors == []


def view_on(page: Page, name: str) -> FrameLocator:
    """The view `name` of the page, drawn."""
    frame = page.locator("iframe").nth(VIEWS.index(name))
    frame.scroll_into_view_if_needed()
    return drawn(frame.content_frame)


def drawn(view: FrameLocator) -> FrameLocator:
    view.locator("html.drawn").wait_for(state="attached")
    return view


def opacities(view: FrameLocator) -> list[np.ndarray]:
    """For each drawn head, rows (query, key, opacity), of the lines in the large picture."""
    script = """group => [...group.querySelectorAll('line')].map(
        line => ['y1', 'y2', 'stroke-opacity'].map(name => Number(line.getAttribute(name))))"""
    heads = [np.array(group.evaluate(script)) for group in view.locator(".lines g").all()]
    for head in heads:
        head[:, :2] //= 22  # height of a token's row
    return heads


def assert_lines(lines: np.ndarray, weights: np.ndarray) -> None:
    """`lines` show all visible `weights` (T, T), and nothing else."""
    expected = np.where(weights >= 1 / 255, weights, 0)
    shown = np.zeros_like(weights)
    shown[lines[:, 0].astype(int), lines[:, 1].astype(int)] = lines[:, 2]
    np.testing.assert_allclose(shown, expected, atol=0.001)


def only(weights: np.ndarray, query: slice | int, key: slice | int) -> np.ndarray:
    """`weights` (T, T) with all but the named pairs set to zero."""
    kept = np.zeros_like(weights)
    kept[query, key] = weights[query, key]
    return kept


def token(view: FrameLocator, side: str, position: int) -> Locator:
    return view.locator(f".{side} .token").nth(position)


def choose(view: FrameLocator, name: str, value: str) -> None:
    """Set a drop-down list."""
    view.get_by_role("combobox", name=name).select_option(value)


ALL = slice(None)


def test_pointing_clicking_or_the_keyboard_leaves_the_lines_of_a_token(page, numbers):
    view, weights = view_on(page, "one"), numbers["attention"][1, 2]
    (lines,) = opacities(view)
    assert_lines(lines, weights)
    token(view, "query", 2).hover()
    assert_lines(opacities(view)[0], only(weights, 2, ALL))
    assert token(view, "key", 5).locator("output").text_content() == f"{weights[2, 5]:.2f}"
    best = weights[2].argmax()
    words = f"flies attends most to {TOKENS[best]} {weights[2, best]:.2f}"
    assert view.get_by_text(words).is_visible()
    token(view, "key", 6).hover()
    assert_lines(opacities(view)[0], only(weights, ALL, 6))
    view.locator("h1").hover()
    assert_lines(opacities(view)[0], weights)
    token(view, "query", 3).focus()
    page.keyboard.press("Tab")
    assert_lines(opacities(view)[0], only(weights, 4, ALL))
    token(view, "query", 0).click()
    view.locator("select").first.focus()
    view.locator("h1").hover()
    assert_lines(opacities(view)[0], only(weights, 0, ALL))


def test_heads_layers_and_pairs_of_sentences_are_chosen(page, numbers):
    view = view_on(page, "head")
    first, second = slice(SECOND), slice(SECOND, None)
    pairs = {"AA": (first, first), "AB": (first, second), "BA": (second, first)}
    for value, pair in {**pairs, "BB": (second, second), "all": (ALL, ALL)}.items():
        choose(view, "Sentences", value)
        for lines, weights in zip(opacities(view), numbers["attention"][0], strict=True):
            assert_lines(lines, only(weights, *pair))
    heads = view.get_by_role("group", name="Heads").get_by_role("button")
    heads.nth(1).click()
    assert heads.nth(1).get_attribute("aria-pressed") == "false"
    assert len(opacities(view)) == NUM_HEADS - 1
    heads.nth(3).dblclick()
    choose(view, "Layer", "2")
    (lines,) = opacities(view)
    assert_lines(lines, numbers["attention"][2, 3])
    view.get_by_role("button", name="All heads").click()
    assert len(opacities(view)) == NUM_HEADS


def test_thumbnails_of_the_model_are_drawn_and_open_large(page, numbers):
    view = view_on(page, "model")
    inked = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((_, i) => i % 4 === 3).filter(alpha => alpha > 0).length"""
    view.locator(".grid button").last.click(trial=True)  # once it is stable it has been drawn
    drawings = view.locator(".grid canvas").all()
    assert len(drawings) == NUM_LAYERS * NUM_HEADS
    assert min(canvas.evaluate(inked) for canvas in drawings) > 500
    view.get_by_role("button", name="layer 1, head 2", exact=True).click()
    assert_lines(opacities(view)[0], numbers["attention"][1, 2])
    choose(view, "Head", "3")
    assert_lines(opacities(view)[0], numbers["attention"][1, 3])
    page.keyboard.press("Escape")
    for key in ("ArrowUp", "ArrowLeft", "Enter"):  # through the grid, from where it was left
        page.keyboard.press(key)
    assert_lines(opacities(view)[0], numbers["attention"][0, 2])
    page.keyboard.press("Escape")


def test_a_neuron_view_shows_how_a_weight_comes_about(page, numbers):
    view, place = view_on(page, "neuron"), (2, 1)
    assert_table(view, numbers, place, query=0)
    view.get_by_role("button", name="Back to the lines").click()
    assert_lines(opacities(view)[0], numbers["attention"][place])
    token(view, "query", 2).click()
    assert_table(view, numbers, place, query=2)
    view.locator(".chips .token").nth(6).hover()
    assert_table(view, numbers, place, query=6)
    view.locator("h1").hover()
    choose(view, "Head", "0")
    assert_table(view, numbers, (2, 0), query=2)
    view.get_by_role("button", name="Back to the lines").click()
    assert_lines(opacities(view)[0], numbers["attention"][2, 0])


def assert_table(view: FrameLocator, numbers: dict, place: tuple[int, int], query: int) -> None:
    """The table shows scores, weights and the colours of the products of one query."""
    first, *rows = view.locator("tbody tr").all()
    assert first.locator("th").text_content() == f"q: {TOKENS[query]}"
    shown = np.array(
        [[float(t.replace("\N{MINUS SIGN}", "-")) for t in row_numbers(row)] for row in rows]
    )
    np.testing.assert_allclose(shown[:, 0], numbers["scores"][*place, query], atol=0.0051)
    np.testing.assert_allclose(shown[:, 1], numbers["attention"][*place, query], atol=0.0051)
    products = numbers["queries"][*place, query] * numbers["keys"][place]
    colors = np.array([row.locator("canvas").nth(1).evaluate(FIRST_ROW) for row in rows])
    colors = colors.reshape(*products.shape, 4).astype(int)
    blue_less_red = colors[..., 2] - colors[..., 0]
    strong = abs(products) > 0.05 * abs(products).max()
    assert (np.sign(blue_less_red) == np.sign(products))[strong].all()


FIRST_ROW = "c => [...c.getContext('2d').getImageData(0, 0, c.width, 1).data]"


def row_numbers(row: Locator) -> list[str]:
    return row.locator("td.number").all_text_contents()


@pytest.mark.parametrize("width", [1440, 1280, 1000, 390])
def test_page_and_views_fit_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.reload()
    size = "e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]"
    assert page.locator("html").evaluate(size)[0] == 0
    code, sections = page.locator("pre", has_text=CODE), page.locator(".sections")
    if width > PHONE:  # 100 columns need no scrolling
        assert code.evaluate(size)[0] == 0
    place, text = sections.bounding_box(), page.locator("main").bounding_box()
    if width >= BESIDE:
        assert place["x"] + place["width"] <= text["x"]
    else:
        assert place["y"] + place["height"] <= text["y"]
        assert not sections.get_by_text("Deeper").is_visible()
    if width in (BESIDE, PHONE):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for name in VIEWS:
            assert view_on(page, name).locator("html").evaluate(size) == [0, 0], name
            element = page.locator("iframe").nth(VIEWS.index(name))
            element.screenshot(path=SCREENSHOTS / f"attention_{name}_{width}.png")


def test_a_view_works_in_a_sandboxed_frame_of_a_host(page, exported, numbers, tmp_path):
    inner = exported.read_text()  # as Colab shows outputs: in a frame without its origin
    host = tmp_path / "host.html"
    host.write_text(
        f'<iframe sandbox="allow-scripts" width=900 height=700 srcdoc="{escape(inner)}"></iframe>'
    )
    page.goto(host.as_uri())
    view = drawn(page.frame_locator("iframe").frame_locator("iframe").nth(1))
    token(view, "query", 2).hover()
    assert_lines(opacities(view)[0], only(numbers["attention"][1, 2], 2, ALL))


def test_the_static_picture_and_a_hint_show_where_the_view_cannot(browser, exported):
    with browser.new_context(java_script_enabled=False, offline=True) as context:
        tab = context.new_page()
        tab.goto(exported.as_uri())
        picture = tab.locator("img[src^='data:image/webp']").first
        assert "3 layers, 4 heads, 8 tokens" in picture.get_attribute("alt")
        assert picture.locator("+ p").text_content().startswith("Only a picture.")
        places = [picture, picture.locator("+ p"), picture.locator("..")]
        shown, hint, frame = (place.bounding_box() for place in places)
        assert shown["y"] + shown["height"] <= hint["y"]
        assert hint["y"] + hint["height"] <= frame["y"] + frame["height"]
        shot = io.BytesIO(picture.screenshot())
    colors = Image.open(shot).convert("RGB").getcolors(maxcolors=1_000_000)
    assert len(colors) > 500
