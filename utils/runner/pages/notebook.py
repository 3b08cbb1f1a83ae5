"""One executed notebook as the body of a page, with nothing left in it that needs the network."""

from __future__ import annotations

import base64
import copy
import io
import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from utils.notebooks.generated import SETUP_TAG
from utils.runner.pages.markdown import OfflineRenderer, mathml, sentences

SHOWN = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/plain"]
REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
REMOTE_STYLE = re.compile(r"@import[^;]*;|url\(\s*[\"']?(?:https?:)?//[^)]*\)", re.IGNORECASE)
LOADED = ("src", "srcset", "href", "xlink:href", "data", "poster", "action")
THUMBNAIL = (480, 360)  # pixels, at most

CONFIG = Config(
    {
        "NbConvertBase": {"display_data_priority": SHOWN},
        "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": [SETUP_TAG]},
        "HTMLExporter": {
            "template_name": "basic",
            "embed_images": True,
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
            embed_images=self.embed_images,
            exclude_anchor_links=self.exclude_anchor_links,
            path=context["resources"]["metadata"]["path"],
            attachments=context.get("cell", {}).get("attachments", {}),
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def body(notebook: NotebookNode, folder: Path) -> str:
    """The notebook as HTML without head; pictures, styles and formulas stand in it.

    Args:
        notebook: an executed notebook.
        folder: from where its markdown names pictures.
    """
    prepared = copy.deepcopy(notebook)
    describe_figures(prepared)
    typeset_outputs(prepared)
    resources = {"metadata": {"path": str(folder)}}
    html, _ = OfflineExporter(config=CONFIG).from_notebook_node(prepared, resources)
    soup = BeautifulSoup(html, "html.parser")
    drop_remote(soup)
    link_pages(soup)
    return str(soup)


def thumbnail(notebook: NotebookNode) -> str:
    """The first figure, made small, as a data URL; empty if there is none."""
    first = next((data["image/png"] for data in _bundles(notebook) if "image/png" in data), None)
    if first is None:
        return ""
    picture = Image.open(io.BytesIO(base64.b64decode(first)))
    picture.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


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
    """Show formulas that code displayed, in place."""
    for data in _bundles(notebook):
        if "text/latex" in data and "text/html" not in data:
            data["text/html"] = mathml(data["text/latex"].strip().strip("$"), "block")


def drop_remote(soup: BeautifulSoup) -> None:
    """Replace pictures from other hosts by links and remove all else that would be loaded."""
    for tag in soup.find_all(_loads_remote):
        if tag.name == "img":
            tag.replace_with(_link_to(tag, soup))
        else:
            tag.decompose()
    for style in soup("style"):
        style.string = REMOTE_STYLE.sub("", style.get_text())
    for tag in soup.select("[style]"):
        tag["style"] = REMOTE_STYLE.sub("", tag["style"])


def link_pages(soup: BeautifulSoup) -> None:
    """Let links to other notebooks lead to their pages."""
    for link in soup.select("a[href]"):
        if not REMOTE.match(link["href"]):
            link["href"] = re.sub(r"\.ipynb(?=#|$)", ".html", link["href"])


def _loads_remote(tag: Tag) -> bool:
    return tag.name != "a" and any(REMOTE.match(tag.get(name, "")) for name in LOADED)


def _link_to(picture: Tag, soup: BeautifulSoup) -> Tag | str:
    """The words for a picture; where it stands in a link already, they suffice."""
    words = picture.get("alt") or picture["src"]
    if picture.find_parent("a"):
        return words
    link = soup.new_tag("a", href=picture["src"])
    link.string = words
    return link


def _bundles(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """The data by MIME type of all outputs that have any."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return (output.data for output in outputs if "data" in output)


def _paragraphs(cell: NotebookNode | None) -> list[str]:
    """The paragraphs of a markdown cell; an empty one where there is none."""
    source = cell.source if cell and cell.cell_type == "markdown" else ""
    return source.strip().split("\n\n")
