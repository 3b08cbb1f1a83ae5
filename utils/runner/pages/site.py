"""All pages of one run, and the contents page that leads to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from markupsafe import Markup
from nbformat import NotebookNode

from utils.notebooks.clean import ERROR_TAG
from utils.notebooks.files import FOLDER, NotebookError, find, has_tag, read, title, write_text
from utils.runner.executions import Execution, executed_file, headline, read_execution
from utils.runner.pages.notebook import body, thumbnail
from utils.runner.pages.templates import render
from utils.runner.provenance import Dials


@dataclass(frozen=True)
class Entry:
    """A notebook on the contents page.

    Attributes:
        title, description: of the notebook.
        href: its page; empty if it was not executed.
        thumbnail: its first figure as a data URL, if it has one.
        result: the headline result in words, if it has one.
        status: "ok", "failed" or "missing".
        verdict: the status in words, with the seconds.
        moment: when it was executed.
    """

    title: str
    description: str
    href: str = ""
    thumbnail: str = ""
    result: str = ""
    status: str = "missing"
    verdict: str = "not executed"
    moment: str = ""


def build(root: Path, dials: Dials) -> Path:
    """Write the page of each notebook that was executed at `dials`; the contents page's path.

    Raises:
        NotebookError: no notebook was.
    """
    site = root / "build" / "pages" / dials.folder
    entries = {path: _write_page(path, root, dials, site) for path in find(root)}
    if not any(entry.href for entry in entries.values()):
        raise NotebookError(f"No notebook was executed at {dials}: run them first, with make run.")
    index = site / "index.html"
    sections = groupby(entries, key=lambda path: _section(path, root))
    text = render(
        "contents.html.j2",
        title="Natural Language Processing with Transformers, executed",
        facts=_summary(entries.values(), dials),
        sections=[(section, [entries[path] for path in paths]) for section, paths in sections],
    )
    write_text(text, index)
    return index


def _write_page(path: Path, root: Path, dials: Dials, site: Path) -> Entry:
    """Write the page of the notebook in `path` if it was executed; its entry."""
    found = read_execution(executed_file(path, root, dials))
    if found is None:
        notebook = read(path)
        return Entry(title(notebook), notebook.metadata.get("description", ""))
    execution, notebook = found
    if has_tag(notebook.cells[0], ERROR_TAG):  # the page shows the failure itself
        del notebook.cells[0]
    page = (site / path.relative_to(root / FOLDER)).with_suffix(".html")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(_page(execution, notebook, path.parent, os.path.relpath(site, page.parent)), page)
    return _entry(execution, notebook, page.relative_to(site).as_posix())


def _page(execution: Execution, notebook: NotebookNode, folder: Path, up: str) -> str:
    return render(
        "page.html.j2",
        title=title(notebook),
        contents=f"{up}/index.html",
        facts=" · ".join(_facts(execution)),
        failure=execution.stamp.failure,
        body=Markup(body(notebook, folder)),
    )


def _entry(execution: Execution, notebook: NotebookNode, href: str) -> Entry:
    failed, best = bool(execution.stamp.failure), headline(execution.results)
    return Entry(
        title=title(notebook),
        description=notebook.metadata.get("description", ""),
        href=href,
        thumbnail=thumbnail(notebook),
        result=str(best or ""),
        status="failed" if failed else "ok",
        verdict=f"{'failed after' if failed else 'ok,'} {execution.stamp.seconds:.0f} s",
        moment=_moment(execution),
    )


def _facts(execution: Execution) -> Iterator[str]:
    """What a reader must know to judge the numbers on a page."""
    stamp = execution.stamp
    yield f"Executed {_moment(execution)}"
    yield f"{stamp.seconds:.0f} s"
    yield str(stamp.provenance.dials)
    if execution.device:
        yield execution.device
    if stamp.provenance.commit:
        modified = " with modifications" if stamp.provenance.modified else ""
        yield f"commit {stamp.provenance.commit[:9]}{modified}"
    yield from (f"{name} {number}" for name, number in stamp.provenance.versions.items())


def _moment(execution: Execution) -> str:
    time = datetime.fromisoformat(execution.stamp.time)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _summary(entries: Iterable[Entry], dials: Dials) -> str:
    statuses = [entry.status for entry in entries]
    counts = {status: statuses.count(status) for status in ("ok", "failed", "missing")}
    return f"{dials}: " + ", ".join(
        f"{count} {status}" for status, count in counts.items() if count
    )


def _section(path: Path, root: Path) -> str:
    """The heading under which a notebook stands: its folder."""
    folder = path.parent.relative_to(root / FOLDER).as_posix()
    return "Chapters" if folder == "." else folder.capitalize()
