"""Run a notebook, or refresh it in place, and judge how it went."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nbformat import NotebookNode

from utils.chapter import Result, format_value, scratch_folder
from utils.notebooks.clean import clean
from utils.notebooks.files import FOLDER, NotebookError, read, write
from utils.notebooks.generated import regenerate
from utils.notebooks.rules import lacks_parameters, lacks_summary
from utils.runner import history
from utils.runner.executions import (
    Execution,
    Stamp,
    executed_file,
    execution_of,
    headline,
    name_of,
    put_stamp,
    read_execution,
    results_of,
)
from utils.runner.process import Failure, Job, Watch, execute
from utils.runner.provenance import Dials, Provenance, provenance_of

RUNNING = ".running"  # names the folders of notebooks that run


@dataclass(frozen=True)
class Outcome:
    """How one notebook went; `kept`: it was done before and left alone."""

    name: str
    seconds: float
    headline: Result | None
    failure: Failure | None
    kept: bool = False


@dataclass(frozen=True)
class Run:
    """Executes notebooks at the given dials into a folder of their own, and keeps the history.

    Attributes:
        resume: whether to leave alone what was done without failure and would be done alike.
        threads: for the libraries in one notebook; None: all cores.
    """

    root: Path
    dials: Dials
    timeout: float
    resume: bool = False
    threads: int | None = None

    @property
    def folder(self) -> Path:
        return executed_file(self.root / FOLDER, self.root, self.dials)

    def __call__(self, path: Path, watch: Watch) -> Outcome:
        """Execute the notebook in `path`; what lies in `folder` afterwards is a whole execution.

        A notebook that could not be executed lies there too, without outputs, and says why.
        """
        target = executed_file(path, self.root, self.dials)
        provenance = provenance_of(path, self.root, self.dials)
        if self.resume and (done := done_before(target, provenance)):
            history.add(done, self.root)
            return Outcome(path.stem, done.stamp.seconds, headline(done.results), None, kept=True)
        target.unlink(missing_ok=True)
        return self._run(path, target, provenance, watch)

    def _run(self, path: Path, target: Path, provenance: Provenance, watch: Watch) -> Outcome:
        began = _now()
        with scratch_folder(self.root, RUNNING) as scratch:
            output = Path(scratch, path.name)
            job = Job(path, output, path.parent, self.root, asdict(self.dials), self.threads)
            outcome, executed = _execute(job, self.timeout, watch)
        name, seconds = name_of(path, self.root), round(outcome.seconds, 1)
        reason = outcome.failure.reason if outcome.failure else ""
        executed = executed or _without_outputs(path)
        put_stamp(executed, Stamp(name, began, seconds, reason, provenance))
        target.parent.mkdir(parents=True, exist_ok=True)
        write(executed, target)
        history.add(execution_of(executed), self.root)
        return outcome


@dataclass(frozen=True)
class Refresh:
    """Executes notebooks at their own defaults and writes them back, if all went well."""

    root: Path
    timeout: float

    @property
    def folder(self) -> Path:
        return self.root / FOLDER

    def __call__(self, path: Path, watch: Watch) -> Outcome:
        """Regenerate, execute, clean and replace the notebook in `path`, and keep the history."""
        began = _now()
        with scratch_folder(self.root, RUNNING) as scratch:
            fresh, output = Path(scratch, "fresh.ipynb"), Path(scratch, path.name)
            job = Job(fresh, output, path.parent, self.root)
            try:
                write(prepared(read(path), path, self.root), job.source)
            except NotebookError as error:
                return Outcome(path.stem, 0, None, Failure(str(error)))
            outcome, executed = _execute(job, self.timeout, watch)
            if executed and not outcome.failure:
                clean(executed)
                write(executed, path)
                provenance = provenance_of(path, self.root, Dials())
                seconds = round(outcome.seconds, 1)
                put_stamp(executed, Stamp(name_of(path, self.root), began, seconds, "", provenance))
                history.add(execution_of(executed), self.root)
        return outcome


def done_before(target: Path, provenance: Provenance) -> Execution | None:
    """The execution in `target` if it went well and depended on the same."""
    execution, _ = read_execution(target) or (None, None)
    if execution and not execution.stamp.failure and execution.stamp.provenance == provenance:
        return execution
    return None


def prepared(notebook: NotebookNode, path: Path, root: Path) -> NotebookNode:
    """A copy that is ready to execute: clean, with its generated cells up to date."""
    fresh = copy.deepcopy(notebook)
    clean(fresh)
    regenerate(fresh, path, root)
    return fresh


def headline_cells(result: Result | None) -> tuple[str, str, str]:
    """Name, value and the book's value as tables show them; empty where there is no result."""
    if result is None:
        return "", "", ""
    return result.name, format_value(result.value), format_value(result.book)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _execute(job: Job, timeout: float, watch: Watch) -> tuple[Outcome, NotebookNode | None]:
    """Execute `job`; how it went, and the executed notebook if a whole one was written."""
    started = time.monotonic()
    unfit = next(map(Failure, lacks_parameters(read(job.source))), None)
    failure = unfit or execute(job, timeout, watch)
    seconds = time.monotonic() - started
    executed = _written(job.output)
    if executed and not failure:
        failure = next(map(Failure, lacks_summary(executed)), None)
    result = headline(results_of(executed)) if executed else None
    return Outcome(job.output.stem, seconds, result, failure), executed


def _written(path: Path) -> NotebookNode | None:
    """The notebook in `path`; None if it never began or was cut off while it was written."""
    try:
        return read(path)
    except (FileNotFoundError, NotebookError):
        return None


def _without_outputs(path: Path) -> NotebookNode:
    """The notebook in `path` as if nobody had ever executed it."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook
