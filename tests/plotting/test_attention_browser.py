"""Attention views in a real browser without a network, on a page as the project exports it."""

import os
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Locator, Page, sync_playwright

from utils.runner.pages.notebook import body
from utils.runner.pages.templates import render

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"):
    pytest.skip("no chromium here: views are not tried in a browser", allow_module_level=True)

REPOSITORY = Path(__file__).parents[2]
SCREENSHOTS = REPOSITORY / "build" / "screenshots"
DESKTOP, PHONE = 1000, 390  # pixels
OPTIONS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --host-resolver-rules=MAP~*~~NOTFOUND"""

TOKENS = ["[CLS]", "</script>", "flies", "$x$", "[SEP]", "fruit", "flies", "[SEP]"]
NUM_LAYERS, NUM_HEADS, HEAD_DIM, SECOND = 3, 4, 6, 5
INPUT = f"""\
import numpy as np
from utils.plotting import head_view, model_view, neuron_view

rng = np.random.default_rng(0)
queries, keys = rng.normal(size=(2, {NUM_LAYERS}, {NUM_HEADS}, {len(TOKENS)}, {HEAD_DIM}))
scores = queries @ keys.swapaxes(-1, -2) / np.sqrt({HEAD_DIM})
attention = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
tokens = {TOKENS}"""
VIEWS = {
    "head": f"head_view(attention, tokens, 'Pairs & heads', sentence_b={SECOND})",
    "one": "head_view(attention, tokens, 'One head', layer=1, heads=[2])",
    "model": "model_view(attention, tokens, 'All heads')",
    "neuron": "neuron_view(queries, keys, tokens, 'Neurons', layer=2, head=1)",
}


@pytest.fixture(scope="module")
def numbers() -> dict[str, np.ndarray]:
    """What the notebook below computes."""
    names: dict[str, np.ndarray] = {}
    exec(INPUT, names)
    return names


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an executed notebook that shows each view."""
    folder = tmp_path_factory.mktemp("exported")
    cells = [
        new_markdown_cell("# Views"),
        new_code_cell(INPUT),
        *map(new_code_cell, VIEWS.values()),
    ]
    notebook = new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        NotebookClient(notebook, kernel_name="python3").execute()
    page = folder / "views.html"
    page.write_text(render("page.html.j2", title="Views", body=Markup(body(notebook, folder))))
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


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; in the end, it must have asked for nothing but files and reported no error."""
    with browser.new_context(viewport={"width": DESKTOP, "height": 900}, offline=True) as context:
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        requests, errors = [], []
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
        yield tab
    assert requests
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert errors == []


def view_on(page: Page, exported: Path, name: str) -> FrameLocator:
    """The view `name` of the exported page, drawn."""
    page.goto(exported.as_uri())
    frame = page.locator("iframe").nth(list(VIEWS).index(name))
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


def test_lines_are_as_opaque_as_the_weights(page, exported, numbers):
    view = view_on(page, exported, "head")
    for lines, weights in zip(opacities(view), numbers["attention"][0], strict=True):
        assert_lines(lines, weights)
    (lines,) = opacities(view_on(page, exported, "one"))
    assert_lines(lines, numbers["attention"][1, 2])


def test_pointing_at_a_token_leaves_its_lines(page, exported, numbers):
    view, weights = view_on(page, exported, "one"), numbers["attention"][1, 2]
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


def test_a_clicked_token_stays_chosen(page, exported, numbers):
    view, weights = view_on(page, exported, "one"), numbers["attention"][1, 2]
    token(view, "query", 0).click()
    view.locator("select").first.focus()
    view.locator("h1").hover()
    assert_lines(opacities(view)[0], only(weights, 0, ALL))


def test_the_keyboard_reaches_tokens(page, exported, numbers):
    view = view_on(page, exported, "one")
    token(view, "query", 3).focus()
    page.keyboard.press("Tab")
    assert_lines(opacities(view)[0], only(numbers["attention"][1, 2], 4, ALL))


def test_heads_and_layers_are_chosen(page, exported, numbers):
    view = view_on(page, exported, "head")
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


def test_pairs_of_sentences_are_chosen(page, exported, numbers):
    view = view_on(page, exported, "head")
    first, second = slice(SECOND), slice(SECOND, None)
    pairs = {"AA": (first, first), "AB": (first, second), "BA": (second, first)}
    for value, pair in {**pairs, "BB": (second, second), "all": (ALL, ALL)}.items():
        choose(view, "Sentences", value)
        for lines, weights in zip(opacities(view), numbers["attention"][0], strict=True):
            assert_lines(lines, only(weights, *pair))


def test_a_thumbnail_of_the_model_opens_large(page, exported, numbers):
    view = view_on(page, exported, "model")
    assert view.locator(".grid button").count() == NUM_LAYERS * NUM_HEADS
    view.get_by_role("button", name="layer 1, head 2", exact=True).click()
    assert_lines(opacities(view)[0], numbers["attention"][1, 2])
    choose(view, "Head", "3")
    assert_lines(opacities(view)[0], numbers["attention"][1, 3])
    page.keyboard.press("Escape")
    for key in ("ArrowUp", "ArrowLeft", "Enter"):  # through the grid, from where it was left
        page.keyboard.press(key)
    assert_lines(opacities(view)[0], numbers["attention"][0, 2])


def test_thumbnails_are_drawn(page, exported):
    view = view_on(page, exported, "model")
    inked = """canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((_, i) => i % 4 === 3).filter(alpha => alpha > 0).length"""
    view.locator(".grid button").last.click(trial=True)  # once it is stable it has been drawn
    for canvas in view.locator(".grid canvas").all():
        assert canvas.evaluate(inked) > 500


def test_a_neuron_view_shows_how_a_weight_comes_about(page, exported, numbers):
    view, place = view_on(page, exported, "neuron"), (2, 1)
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
    blue_less_red = colors.reshape(*products.shape, 4)[..., 2] - colors.reshape(*products.shape, 4)[
        ..., 0
    ].astype(int)
    strong = abs(products) > 0.05 * abs(products).max()
    assert (np.sign(blue_less_red) == np.sign(products))[strong].all()


FIRST_ROW = "c => [...c.getContext('2d').getImageData(0, 0, c.width, 1).data]"


def row_numbers(row: Locator) -> list[str]:
    return row.locator("td.number").all_text_contents()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_views_fit_the_screen(page, exported, width):
    page.set_viewport_size({"width": width, "height": 900})
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name in VIEWS:
        view = view_on(page, exported, name)
        size = "e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]"
        assert view.locator("html").evaluate(size) == [0, 0], name
        element = page.locator("iframe").nth(list(VIEWS).index(name))
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


@pytest.mark.parametrize("damage", ["no scripts", "no iframes"])
def test_the_static_picture_shows_where_the_view_cannot(browser, exported, tmp_path, damage):
    page_file = tmp_path / "page.html"
    text = exported.read_text()
    page_file.write_text(text.replace("<iframe", "<p") if damage == "no iframes" else text)
    with browser.new_context(java_script_enabled=False, offline=True) as context:
        tab = context.new_page()
        tab.goto(page_file.as_uri())
        picture = tab.locator("img[src^='data:image/webp']").first
        assert "3 layers, 4 heads, 8 tokens" in picture.get_attribute("alt")
        shot = tmp_path / "shot.png"
        picture.screenshot(path=shot)
    colors = Image.open(shot).convert("RGB").getcolors(maxcolors=1_000_000)
    assert len(colors) > 500
