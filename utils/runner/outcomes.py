"""Run a notebook, or refresh it in place, and judge how it went."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from utils.chapter import Result, format_value, read_summary
from utils.notebooks.clean import clean
from utils.notebooks.files import FOLDER, NotebookError, read, write
from utils.notebooks.generated import regenerate
from utils.notebooks.rules import lacks_parameters, lacks_summary
from utils.runner.process import Failure, Job, Watch, execute


@dataclass(frozen=True)
class Dials:
    """The two parameters of every notebook."""

    assets: str = "packaged"
    scale: str = "small"


@dataclass(frozen=True)
class Outcome:
    """How one notebook went: `seconds` on the clock, the headline result, the failure if any."""

    name: str
    seconds: float
    headline: Result | None
    failure: Failure | None


@dataclass(frozen=True)
class Run:
    """Executes notebooks at the given dials into a folder of their own."""

    root: Path
    dials: Dials
    timeout: float

    @property
    def folder(self) -> Path:
        """Where the executed notebooks lie."""
        return self.root / "build" / FOLDER / f"{self.dials.assets}-{self.dials.scale}"

    def __call__(self, path: Path, watch: Watch) -> Outcome:
        """Execute the notebook in `path`; what lies in `folder` afterwards stems from this run."""
        target = self.folder / path.relative_to(self.root / FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with _scratch(target.parent) as scratch:
            job = Job(path, scratch / path.name, path.parent, self.root, asdict(self.dials))
            outcome, executed = _execute(job, self.timeout, watch)
            if executed:
                job.output.replace(target)
        return outcome


@dataclass(frozen=True)
class Refresh:
    """Executes notebooks at their own defaults and writes them back, if all went well."""

    root: Path
    timeout: float

    @property
    def folder(self) -> Path:
        """Where the executed notebooks lie."""
        return self.root / FOLDER

    def __call__(self, path: Path, watch: Watch) -> Outcome:
        """Regenerate, execute, clean and replace the notebook in `path`."""
        with _scratch(self.root / "build") as scratch:
            job = Job(scratch / "fresh.ipynb", scratch / path.name, path.parent, self.root)
            try:
                write(prepared(read(path), path, self.root), job.source)
            except NotebookError as error:
                return Outcome(path.stem, 0, None, Failure(str(error)))
            outcome, executed = _execute(job, self.timeout, watch)
            if executed and not outcome.failure:
                clean(executed)
                write(executed, path)
        return outcome


def prepared(notebook: NotebookNode, path: Path, root: Path) -> NotebookNode:
    """A copy that is ready to execute: clean, with its generated cells up to date."""
    fresh = copy.deepcopy(notebook)
    clean(fresh)
    regenerate(fresh, path, root)
    return fresh


def headline(notebook: Mapping[str, Any]) -> Result | None:
    """The result that stands for the notebook in tables."""
    results = (read_summary(notebook) or {}).get("results", [])
    return next((Result(**result) for result in results if result["headline"]), None)


def headline_cells(result: Result | None) -> tuple[str, str, str]:
    """Name, value and the book's value as tables show them; empty where there is no result."""
    if result is None:
        return "", "", ""
    return result.name, format_value(result.value), format_value(result.book)


def _execute(job: Job, timeout: float, watch: Watch) -> tuple[Outcome, NotebookNode | None]:
    """Execute `job`; how it went, and the executed notebook if a whole one was written."""
    started = time.monotonic()
    unfit = next(map(Failure, lacks_parameters(read(job.source))), None)
    failure = unfit or execute(job, timeout, watch)
    seconds = time.monotonic() - started
    executed = _written(job.output)
    if executed and not failure:
        failure = next(map(Failure, lacks_summary(executed)), None)
    result = headline(executed) if executed else None
    return Outcome(job.output.stem, seconds, result, failure), executed


def _written(path: Path) -> NotebookNode | None:
    """The notebook in `path`; None if it never began or was cut off while it was written."""
    try:
        return read(path)
    except (FileNotFoundError, NotebookError):
        return None


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A hidden folder in `parent`, from where a finished file moves to its place in one step."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".running-", dir=parent) as folder:
        yield Path(folder)
