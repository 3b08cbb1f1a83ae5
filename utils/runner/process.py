"""Execute one notebook in a process of its own, so that it can be stopped with all it started.

The runner starts a worker, the worker runs papermill, papermill starts the kernel. The worker sends
a `Cell` when a cell begins and, as its last act, a `Failure` or None. A worker whose runner is gone
stops its kernel and ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

GRACE = 10  # seconds for a stopped kernel to clean up after itself


@dataclass(frozen=True)
class Job:
    """One execution.

    Attributes:
        output: where the executed notebook goes; it is rewritten after every cell.
        root: the project's folder, from which the kernel imports `utils`.
        parameters: what papermill injects; nothing is injected if it is empty.
        threads: how many the libraries may use, unless OMP_NUM_THREADS says it; None: all cores.
    """

    source: Path
    output: Path
    folder: Path
    root: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None

    @property
    def log(self) -> Path:
        """What the worker and the kernel print past the notebook, such as why none started."""
        return self.output.with_suffix(".log")


@dataclass(frozen=True)
class Cell:
    """A code cell that begins: the `number`-th (the n of its In [n]) of `total`."""

    number: int
    total: int
    source: str


@dataclass(frozen=True)
class Failure:
    """Why a notebook failed: a sentence, the traceback and the cell, as far as there are any."""

    reason: str
    trace: str = ""
    cell: Cell | None = None


Watch = Callable[[Cell | None], None]


def execute(job: Job, timeout: float, watch: Watch) -> Failure | None:
    """Execute `job` within `timeout` seconds; None if all its cells ran.

    `watch` is called at least once a second, with the cell that runs. When this returns or raises,
    the worker, the kernel and what they started have ended.
    """
    context = multiprocessing.get_context("spawn")
    events, sender = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(job, sender))
    worker.start()
    sender.close()
    try:
        failure = _follow(events, timeout, watch)
    finally:
        _stop(worker)
    if failure and not failure.cell and not failure.trace and job.log.exists():
        return replace(failure, trace=job.log.read_text(encoding="utf-8", errors="replace"))
    return failure


def run_papermill(job: Job, report: Callable[[Cell], object]) -> Failure | None:
    """Execute `job` in this process and its kernel, and `report` every code cell that begins."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    from utils.notebooks.files import write
    from utils.runner.kernel import EnvironmentKernelManager

    numbers, total = count(1), 0

    def open_notebook(notebook: Any) -> None:
        nonlocal total
        total = sum(c.cell_type == "code" and bool(c.source.strip()) for c in notebook.cells)

    def begin_cell(cell: Any, **_: Any) -> None:
        report(Cell(next(numbers), total, cell.source))

    try:
        notebook = papermill.execute_notebook(
            job.source,
            job.output,
            parameters=job.parameters,
            cwd=job.folder,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=EnvironmentKernelManager,
            on_notebook_start=open_notebook,
            on_cell_execute=begin_cell,
            iopub_timeout=60,  # papermill fails a notebook whose output comes later than that
            record_timing=False,
            coalesce_streams=True,
        )
        if notebook.metadata.pop("widgets", None):  # their state is of use to a kernel only
            write(notebook, job.output)
    except papermill.PapermillExecutionError as error:
        return Failure(f"{error.ename}: {error.evalue}", trace="\n".join(error.traceback))
    except DeadKernelError:
        return Failure("The kernel died: out of memory, or a crash in compiled code.")
    except RuntimeError as error:
        return Failure(f"The kernel did not start: {error}.")
    except Exception as error:  # whatever else goes wrong here is for the runner to show
        return Failure(f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    return None


def _work(job: Job, events: Connection) -> None:
    """The worker: SIGTERM ends it through papermill, which shuts the kernel down."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches all; the runner decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_runner, daemon=True).start()
    with job.log.open("wb") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    path = (str(job.root), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    if job.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a busy wait would stop the other job
    events.send(run_papermill(job, events.send))


def _end_with_runner() -> None:
    """Once the runner is gone, killed perhaps, stop this worker as if it had asked for that."""
    runner = multiprocessing.parent_process()
    if runner:
        runner.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _follow(events: Connection, timeout: float, watch: Watch) -> Failure | None:
    """Watch a worker until it sends how it went, dies, or the time is over."""
    end = time.monotonic() + timeout
    cell: Cell | None = None
    while (left := end - time.monotonic()) > 0:
        watch(cell)
        if not events.poll(min(left, 1)):
            continue
        try:
            event = events.recv()
        except EOFError:
            return Failure("The process that ran it ended unexpectedly.", cell=cell)
        if not isinstance(event, Cell):
            return event and replace(event, cell=cell)
        cell = event
    return Failure(f"It ran for more than {timeout:g} s and was stopped: see --timeout.", cell=cell)


def _stop(worker: BaseProcess) -> None:
    """End `worker` and everything below it: by asking, then by force."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(worker.pid).children(recursive=True)
    try:
        worker.terminate()
        worker.join(GRACE)
    finally:
        worker.kill()
        worker.join()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=1)
