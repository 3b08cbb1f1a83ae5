"""All pages of one run, and the contents page that leads to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from markupsafe import Markup
from nbformat import NotebookNode

from utils.files import write_text
from utils.notebooks.clean import ERROR_TAG
from utils.notebooks.files import FOLDER, NotebookError, find, has_tag, read, title
from utils.runner.executions import Execution, executed_file, headline, read_execution
from utils.runner.pages.notebook import body, outline, thumbnail
from utils.runner.pages.templates import render
from utils.runner.provenance import Dials


@dataclass(frozen=True)
class Entry:
    """A notebook on the contents page."""

    title: str
    description: str
    href: str = ""  # of its page, if it was executed
    thumbnail: str = ""  # its first figure as a data URL
    result: str = ""  # the headline result in words
    status: str = "missing"  # or "ok" or "failed"
    verdict: str = "not executed"
    moment: str = ""


def build(root: Path, dials: Dials) -> Path:
    """Write the page of each notebook that was executed at `dials`; the contents page's path."""
    site = root / "build" / "pages" / dials.folder
    paths = find(root)
    found = {path: each for path in paths if (each := _find(path, root, dials))}
    if not found:
        raise NotebookError(f"No notebook was executed at {dials}: run them first, with make run.")
    entries = {path: _entry(path, root, found.get(path)) for path in paths}
    _write_pages(found, [entries[path] for path in found], site)
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


def _find(path: Path, root: Path, dials: Dials) -> tuple[Execution, NotebookNode] | None:
    """The execution of the notebook in `path`, if there is one, with what it left."""
    found = read_execution(executed_file(path, root, dials))
    if found and has_tag(found[1].cells[0], ERROR_TAG):  # the page shows the failure itself
        del found[1].cells[0]
    return found


def _write_pages(
    found: dict[Path, tuple[Execution, NotebookNode]], entries: Sequence[Entry], site: Path
) -> None:
    """Write the page of each execution, with links to those before and after it."""
    rows = zip(found.items(), [None, *entries], entries, [*entries[1:], None], strict=False)
    for (path, (execution, notebook)), before, entry, after in rows:
        page = site / entry.href
        page.parent.mkdir(parents=True, exist_ok=True)
        html = body(notebook, path.parent)
        text = render(
            "page.html.j2",
            title=entry.title,
            up=os.path.relpath(site, page.parent),
            neighbours=(before, after),
            sections=outline(html),
            facts=" · ".join(_facts(execution)),
            failure=execution.stamp.failure,
            body=Markup(html),
        )
        write_text(text, page)


def _entry(path: Path, root: Path, found: tuple[Execution, NotebookNode] | None) -> Entry:
    execution, notebook = found or (None, read(path))
    words = title(notebook, path), notebook.metadata.get("description", "")
    if execution is None:
        return Entry(*words)
    failed = bool(execution.stamp.failure)
    return Entry(
        *words,
        href=path.relative_to(root / FOLDER).with_suffix(".html").as_posix(),
        thumbnail=thumbnail(notebook),
        result=str(headline(execution.results) or ""),
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
