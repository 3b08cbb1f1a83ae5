"""What stands on a page, from notebooks with outputs made by hand."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from utils.runner.pages.markdown import mathml, sentences
from utils.runner.pages.notebook import body

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


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


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.org/require.js"></script>',
        '<link rel="stylesheet" href="//cdn.example.org/style.css">',
        '<iframe src="http://example.org"></iframe>',
        '<video poster="https://example.org/a.png"></video>',
        '<svg><image xlink:href="https://example.org/a.png"/></svg>',
        '<style>@import "https://example.org/a.css"; p {color: red}</style>',
        '<p style="background: url(https://example.org/a.png)">x</p>',
    ],
)
def test_nothing_is_loaded_from_hosts(html: str) -> None:
    page = shown(new_markdown_cell(html), output(text_html=html))
    assert "example.org" not in str(page)


def test_styles_and_what_lies_in_removed_tags_survive_or_go_as_a_whole() -> None:
    video = '<video src="https://a.example.org/v"><source src="https://b.example.org/v"></video>'
    page = shown(output(text_html=f"{video}<style>p > a {{color: red}}</style>"))
    assert "example.org" not in str(page)
    assert "p > a {color: red}" in str(page)


def test_pictures_from_hosts_become_links() -> None:
    badge = "[![Open in Colab](https://example.org/badge.svg)](https://example.org/colab)"
    page = shown(new_markdown_cell(f"{badge} and ![a plot](https://example.org/plot.png)"))
    assert page.find("img") is None
    links = [(link.text, link["href"]) for link in page("a")]
    assert links == [
        ("Open in Colab", "https://example.org/colab"),
        ("a plot", "https://example.org/plot.png"),
    ]


def test_pictures_beside_the_notebook_are_embedded(tmp_path: Path) -> None:
    (tmp_path / "plot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    page = shown(new_markdown_cell("![a plot](plot.svg)"), folder=tmp_path)
    assert page.img["src"].startswith("data:image/svg+xml;base64,")


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
