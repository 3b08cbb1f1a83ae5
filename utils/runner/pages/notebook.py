"""One executed notebook as the body of a page, which needs no network."""

from __future__ import annotations

import base64
import copy
import io
import re
from collections import Counter
from collections.abc import Iterator
from html import escape
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from utils.notebooks.clean import INJECTED_TAG
from utils.notebooks.files import has_tag
from utils.notebooks.generated import SETUP_TAG
from utils.runner.pages.markdown import OfflineRenderer, mathml, sentences
from utils.runner.pages.templates import data_url

SHOWN = ["text/html", "text/markdown", "image/png", "image/jpeg", "text/plain"]
REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
ASSIGNMENT = re.compile(r"^(\w+) = (\"[^\"]*\"|\S+)", re.MULTILINE)
HEADING = re.compile(r'<h([23])[^>]* id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
SVG = "image/svg+xml"
THUMBNAIL = (480, 360)  # pixels, at most

CONFIG = Config(
    {
        "NbConvertBase": {"display_data_priority": SHOWN},
        "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": [SETUP_TAG]},
        "HTMLExporter": {
            "template_name": "basic",
            "exclude_anchor_links": True,
            "exclude_input_prompt": True,
            "exclude_output_prompt": True,
        },
    }
)


class OfflineExporter(HTMLExporter):
    """nbconvert's exporter, with formulas as MathML."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """The filter that the templates call for markdown cells and outputs."""
        renderer = OfflineRenderer(
            escape=False,
            exclude_anchor_links=self.exclude_anchor_links,
            attachments=context.get("cell", {}).get("attachments", {}),
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def body(notebook: NotebookNode, folder: Path) -> str:
    """An executed notebook as HTML without head; pictures (from `folder`) and styles are in it."""
    prepared = copy.deepcopy(notebook)
    merge_parameters(prepared)
    describe_figures(prepared)
    typeset_outputs(prepared)
    html, _ = OfflineExporter(config=CONFIG).from_notebook_node(prepared)
    soup = BeautifulSoup(html, "html.parser")
    link_remote_pictures(soup)
    embed_pictures(soup, folder)
    link_pages(soup)
    name_headings(soup)
    return str(soup)


def outline(html: str) -> list[tuple[str, str, str]]:
    """Level ("2" or "3"), id and words of each section and subsection in a page's body."""
    return [(level, name, Markup(text).striptags()) for level, name, text in HEADING.findall(html)]


def thumbnail(notebook: NotebookNode) -> str:
    """The first figure, made small, as a data URL; empty if there is none."""
    figures = [data["image/png"] for data in _bundles(*notebook.cells) if "image/png" in data]
    if not figures:
        return ""
    picture = Image.open(io.BytesIO(base64.b64decode(figures[0])))
    picture.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=80)
    return data_url(file.getvalue(), "image/webp")


def merge_parameters(notebook: NotebookNode) -> None:
    """Show the dials once, in place: where the author sets them, with what papermill injected."""
    injected = [cell.source for cell in notebook.cells if has_tag(cell, INJECTED_TAG)]
    values = dict(ASSIGNMENT.findall("\n".join(injected)))
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, INJECTED_TAG)]
    for cell in notebook.cells:
        if has_tag(cell, "parameters"):
            cell.source = ASSIGNMENT.sub(
                lambda found: f"{found[1]} = {values.get(found[1], found[2])}", cell.source
            )


def describe_figures(notebook: NotebookNode) -> None:
    """Give each code cell the alternative text for its figures, in place.

    It is the first sentence after the cell. Where none follows, the last one before it serves.
    """
    padded = [None, *notebook.cells, None]
    for before, cell, after in zip(padded, notebook.cells, padded[2:], strict=False):
        following = sentences(_paragraphs(after)[0])[:1]
        preceding = sentences(_paragraphs(before)[-1])[-1:]
        if cell.cell_type == "code" and (text := following or preceding):
            cell.metadata["alt"] = text[0]


def typeset_outputs(notebook: NotebookNode) -> None:
    """Show formulas and vector graphics that code displayed, in place."""
    for cell in notebook.cells:
        for data in _bundles(cell):
            if "text/latex" in data and "text/html" not in data:
                data["text/html"] = mathml(data["text/latex"].strip().strip("$"), "block")
            elif SVG in data and "text/html" not in data:
                alt, url = cell.metadata.get("alt", ""), data_url(data[SVG].encode(), SVG)
                data["text/html"] = f'<img alt="{escape(alt)}" src="{url}">'


def embed_pictures(soup: BeautifulSoup, folder: Path) -> None:
    """Put pictures that lie beside the notebook into the page, and say which are missing."""
    for picture in soup.select("img[src]:not([src^='data:'])"):
        file = folder / unquote(picture["src"])
        if file.is_file():
            picture["src"] = data_url(file.read_bytes(), guess_type(file)[0])
        else:
            picture.replace_with(f"The picture {picture['src']} is missing.")


def name_headings(soup: BeautifulSoup) -> None:
    """Give headings the ids that JupyterLab gives them; a second one of that name gets a number."""
    seen = Counter[str]()
    for heading in soup.select(".text_cell_render :is(h1, h2, h3, h4)"):
        name = re.sub(r"[\"'<>&]", "", heading.get_text()).strip().replace(" ", "-")
        heading["id"] = f"{name}-{seen[name]}" if seen[name] else name
        seen[name] += 1


def link_remote_pictures(soup: BeautifulSoup) -> None:
    """Replace pictures from other hosts by links; the page's policy loads nothing from there."""
    for picture in soup("img", src=REMOTE.match):
        picture.replace_with(_link_to(picture, soup))


def link_pages(soup: BeautifulSoup) -> None:
    """Let links to other notebooks lead to their pages."""
    for link in soup.select("a[href]"):
        if not REMOTE.match(link["href"]):
            link["href"] = re.sub(r"\.ipynb(?=#|$)", ".html", link["href"])


def _link_to(picture: Tag, soup: BeautifulSoup) -> Tag | str:
    """The words for a picture; where it stands in a link already, they suffice."""
    words = picture.get("alt") or picture["src"]
    if picture.find_parent("a"):
        return words
    link = soup.new_tag("a", href=picture["src"])
    link.string = words
    return link


def _bundles(*cells: NotebookNode) -> Iterator[NotebookNode]:
    """The data by MIME type of all outputs that have any."""
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    return (output.data for output in outputs if "data" in output)


def _paragraphs(cell: NotebookNode | None) -> list[str]:
    """The paragraphs of a markdown cell; an empty one where there is none."""
    source = cell.source if cell and cell.cell_type == "markdown" else ""
    return source.strip().split("\n\n")
