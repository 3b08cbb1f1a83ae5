"""What stands on a page, from notebooks with outputs made by hand."""

import base64
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from markupsafe import Markup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tiny_notebooks import add, tiny

from utils.runner.executions import Stamp, executed_file, put_stamp
from utils.runner.pages.markdown import mathml, sentences
from utils.runner.pages.notebook import body, outline
from utils.runner.pages.site import build
from utils.runner.pages.templates import render
from utils.runner.provenance import Dials, Provenance

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
SVG = "<svg xmlns='http://www.w3.org/2000/svg'/>"
SVG_URL = f"data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}"


def shown(*cells: NotebookNode, folder: Path = Path()) -> BeautifulSoup:
    return BeautifulSoup(body(new_notebook(cells=list(cells)), folder), "html.parser")


def output(**data: str) -> NotebookNode:
    """A code cell that displays `data`, its MIME types written with _ for /."""
    bundle = {mime.replace("_", "/"): value for mime, value in data.items()}
    return new_code_cell("show()", outputs=[new_output("display_data", bundle)])


def test_formulas_are_drawn_by_the_browser() -> None:
    text = (
        r"Weights are $\frac{QK^\top}{\sqrt{d_k}}$."
        "\n\n$$\\sum_{i=1}^{N} p_i$$\n\n"
        r"\begin{align} a &= b \\ c &= d \end{align}"
    )
    page = shown(new_markdown_cell(text))
    inline, block, aligned = page("math")
    assert inline["display"] == "inline"
    assert inline.mfrac.msqrt.find("msub").text == "dk"
    assert block["display"] == "block"
    assert [row.text for row in aligned("mtr")] != []
    assert "$" not in page.text
    assert "begin" not in page.text


def test_a_formula_that_cannot_be_converted_stays_readable() -> None:
    assert mathml("a^b^c", "inline") == "<code>a^b^c</code>"
    assert mathml(r"\left( x < y", "inline") == r"<code>\left( x &lt; y</code>"


def test_formulas_that_code_displays_are_drawn_too() -> None:
    page = shown(output(text_latex=r"$\displaystyle \frac{1}{2}$", text_plain="Math"))
    assert page.math.mfrac.text == "12"
    assert "Math" not in page.text


def test_prices_are_no_formulas() -> None:
    page = shown(new_markdown_cell(r"It costs \$5 or \$6."))
    assert page.find("math") is None
    assert "$5 or $6" in page.text


def test_pictures_from_hosts_become_links() -> None:
    badge = "[![Open in Colab](https://example.org/badge.svg)](https://example.org/colab)"
    page = shown(new_markdown_cell(f"{badge} and ![a plot](https://example.org/plot.png)"))
    assert page.find("img") is None
    links = [(link.text, link["href"]) for link in page("a")]
    assert links == [
        ("Open in Colab", "https://example.org/colab"),
        ("a plot", "https://example.org/plot.png"),
    ]


def test_pictures_beside_the_notebook_are_embedded_or_said_to_be_missing(tmp_path: Path) -> None:
    for file in ("figures/a plot.svg", "notebooks/plot.svg"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(SVG)
    text = "![one](plot.svg) <img src='../figures/a%20plot.svg'>\n\n![no](figures/no.svg)"
    page = shown(new_markdown_cell(text), folder=tmp_path / "notebooks")
    assert [picture["src"] for picture in page("img")] == [SVG_URL, SVG_URL]
    assert page("p")[1].text == "The picture figures/no.svg is missing."


def test_vector_graphics_of_code_are_shown_with_their_description() -> None:
    figure = output(**{"image_svg+xml": SVG, "image_png": PIXEL})
    page = shown(figure, new_markdown_cell('One "box" & one arrow.'))
    assert [(picture["src"], picture["alt"]) for picture in page("img")] == [
        (SVG_URL, 'One "box" & one arrow.')
    ]


def test_sections_are_listed_each_with_an_id_of_its_own() -> None:
    text = '# Title\n\n## 1 The *data* $x$\n\n### Its "shape"\n\n#### Deep\n\n## 1 The *data* $x$'
    table = output(text_html="<h2>no section</h2>")
    html = body(new_notebook(cells=[new_markdown_cell(text), table]), Path())
    assert outline(html) == [
        ("2", "1-The-data-x", "1 The data x"),
        ("3", "Its-shape", 'Its "shape"'),
        ("2", "1-The-data-x-1", "1 The data x"),
    ]
    page = render("page.html.j2", sections=outline(html), body=Markup(html))
    links = [
        link["href"].removeprefix("#")
        for link in BeautifulSoup(page, "html.parser").select(".sections a")
    ]
    assert links == [name for _, name, _ in outline(html)]
    assert all(BeautifulSoup(page, "html.parser").find(id=name) for name in links)


def test_parameters_are_shown_once_with_the_values_of_the_run() -> None:
    dials = new_code_cell('a = "x"  # "x" or "y"\nb = 1', metadata={"tags": ["parameters"]})
    injected = {"tags": ["injected-parameters"]}
    page = shown(dials, new_code_cell('# Parameters\na = "y"\nb = 2\n', metadata=injected))
    assert [cell.text.strip() for cell in page("pre")] == ['a = "y"  # "x" or "y"\nb = 2']


def test_widgets_and_scripts_of_other_libraries_give_way_to_text() -> None:
    view = "application_vnd.jupyter.widget-view+json"
    page = shown(output(**{view: "{}", "application_javascript": "$('x')", "text_plain": "100%"}))
    assert page.find("script") is None
    assert "100%" in page.text


def test_our_own_scripts_stay() -> None:
    page = shown(output(text_html="<div id='a'></div><script>draw('a')</script>"))
    assert page.script.text == "draw('a')"


def test_the_setup_cell_is_left_out() -> None:
    page = shown(new_code_cell("%pip install", metadata={"tags": ["setup"]}), new_code_cell("x"))
    assert "pip" not in page.text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("Words.", "Accuracy is 0.9 at `lr=0.1`. More.", "Accuracy is 0.9 at lr=0.1."),
        (
            "### Title\n\nLook at **this**. The plot shows it.",
            "## Next\n\nTopic.",
            "The plot shows it.",
        ),
        ("Words. See it fall.", "", "See it fall."),
        ("## Title", "A [link](x.md) to a_b here", "A link to a_b here"),
    ],
)
def test_figures_are_described_by_the_words_beside_them(before, after, text) -> None:
    figure = output(image_png=PIXEL, text_plain="Figure")
    page = shown(new_markdown_cell(before), figure, new_markdown_cell(after))
    assert page.img["alt"] == text


@pytest.mark.parametrize("markdown", ["# Title", "| a | b |", "```\ncode\n```", "", "$$x$$"])
def test_headings_tables_and_code_are_no_sentences(markdown: str) -> None:
    assert sentences(markdown) == []


def test_pages_lead_to_their_neighbours(project: Path) -> None:
    dials = Dials()
    for name in ("01_first", "02_second", "03_never_run", "articles/third"):
        notebook = tiny()
        path = add(project, name, notebook)
        if name != "03_never_run":
            stamp = Stamp(name, "2026-11-21", 1.0, "", Provenance("", False, "", dials, {}))
            put_stamp(notebook, stamp)
            add(project.joinpath("build"), f"{dials.folder}/{name}", notebook)
            assert executed_file(path, project, dials).is_file()
    site = build(project, dials).parent
    pages = ["01_first.html", "02_second.html", "articles/third.html"]
    for before, page, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
        links = BeautifulSoup((site / page).read_text(), "html.parser").nav
        for kind, target in (("prev", before), ("next", after)):
            link = links.find("a", rel=kind)
            found = (site / page).parent.joinpath(link["href"]).resolve() if link else None
            assert found == (target and site / target)
