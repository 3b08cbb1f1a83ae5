"""What the runner shows: progress while notebooks run, why one failed, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from utils.runner.outcomes import Outcome, headline_cells
from utils.runner.process import Cell, Failure

HEARTBEAT = 30  # seconds between lines about a running notebook where nothing can be redrawn
SOURCE_LINES = 5
TRACE_LINES = 12
LOG_WIDTH = 120


def open_console() -> Console:
    """The terminal; a log gets lines of fixed width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=LOG_WIDTH)


def open_progress(console: Console) -> Progress:
    """The live part of the screen; it stays empty where nothing can be redrawn."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("cell"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class NotebookLine:
    """What shows of one running notebook: a live line on a terminal, plain lines in a log."""

    def __init__(self, progress: Progress, label: str) -> None:
        self.progress = progress
        self.label = label
        self._task = progress.add_task(label, total=None)
        self._began = self._spoke = time.monotonic()

    def watch(self, cell: Cell | None) -> None:
        """Show that `cell` runs; called often."""
        if cell:
            self.progress.update(self._task, completed=cell.number, total=cell.total)
        now = time.monotonic()
        if self.progress.disable and now - self._spoke >= HEARTBEAT:
            self._spoke = now
            place = f"cell {cell.number} of {cell.total}" if cell else "starting"
            self._print(f"{self.label}: {place}, {now - self._began:.0f} s")

    def close(self, outcome: Outcome) -> None:
        self.progress.remove_task(self._task)
        prefix = "done before, " if outcome.kept else ""
        verdict = "failed" if outcome.failure else "ok"
        self._print(f"{self.label}: {prefix}{verdict} in {outcome.seconds:.0f} s")
        for line in explain(outcome.failure) if outcome.failure else ():
            self._print(Text("    ").append(line))

    def _print(self, line: str | Text) -> None:
        self.progress.console.print(line, markup=False, soft_wrap=True)


def explain(failure: Failure) -> Iterator[Text]:
    """Lines that show where and why a notebook failed."""
    if failure.cell:
        yield Text(f"In [{failure.cell.number}] of {failure.cell.total}:")
        yield from (Text(f"    {line}") for line in _last(failure.cell.source, SOURCE_LINES))
    trace = Text.from_ansi(failure.trace.rstrip())
    yield from map(Text.from_ansi, _last(failure.trace, TRACE_LINES))
    if not trace.plain.endswith(failure.reason):
        yield Text(failure.reason, style="bold red")


def overview(outcomes: Iterable[Outcome]) -> Table:
    """One row for each notebook."""
    grid = Table("notebook", "seconds", "headline result", "here", "book", "")
    grid.columns[1].justify = grid.columns[3].justify = grid.columns[4].justify = "right"
    for outcome in outcomes:
        verdict = Text("failed", style="red") if outcome.failure else Text("ok", style="green")
        result = map(Text, headline_cells(outcome.headline))
        grid.add_row(outcome.name, f"{outcome.seconds:.0f}", *result, verdict)
    return grid


def _last(text: str, count: int) -> list[str]:
    lines = text.rstrip().splitlines()
    return ["...", *lines[-count:]] if len(lines) > count else lines
