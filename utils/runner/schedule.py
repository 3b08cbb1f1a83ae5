"""Execute several notebooks at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.progress import Progress

from utils.runner.outcomes import Outcome
from utils.runner.process import Cell, Watch
from utils.runner.terminal import NotebookLine

Action = Callable[[Path, Watch], Outcome]


def threads_per_job(jobs: int) -> int | None:
    """The cores of this machine shared out among `jobs`; None, no limit, for a single one."""
    return max(1, available_cores() // jobs) if jobs > 1 else None


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class StoppedError(Exception):
    """Ends a notebook because the run as a whole ends; nobody sees it."""


class Schedule:
    """Executes notebooks, `jobs` at a time; `outcomes` holds how those went that have ended."""

    def __init__(self, action: Action, jobs: int, progress: Progress) -> None:
        self.action = action
        self.jobs = jobs
        self.progress = progress
        self.outcomes: dict[Path, Outcome] = {}
        self._stopped = threading.Event()

    def execute(self, paths: Sequence[Path]) -> None:
        """Execute `paths`; if this is interrupted, nothing of it runs on when it raises."""
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                running = [
                    pool.submit(self._execute, path, f"[{number}/{len(paths)}] {path.stem}")
                    for number, path in enumerate(paths, start=1)
                ]
                for ended in as_completed(running):
                    ended.result()
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _execute(self, path: Path, label: str) -> None:
        line = NotebookLine(self.progress, label)

        def watch(cell: Cell | None) -> None:
            if self._stopped.is_set():
                raise StoppedError(path.stem)
            line.watch(cell)

        outcome = self.outcomes[path] = self.action(path, watch)
        line.close(outcome)
