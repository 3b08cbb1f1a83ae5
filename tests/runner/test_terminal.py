import io

import pytest
from rich.console import Console

from utils.runner import terminal
from utils.runner.outcomes import Outcome
from utils.runner.process import Cell, Failure
from utils.runner.terminal import NotebookLine, explain, open_progress

CELL = Cell(number=3, total=7, source="\n".join(f"line_{n}" for n in range(9)))


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)


def test_a_terminal_shows_the_running_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = console(terminal=True)
    with open_progress(screen) as progress:
        line = NotebookLine(progress, "[1/2] 02_classification")
        line.watch(None)
        line.watch(CELL)
        progress.refresh()
        line.close(Outcome("02_classification", 83.2, None, None))
    shown = screen.file.getvalue()
    assert "[1/2] 02_classification" in shown
    assert "3/7" in shown
    assert "[1/2] 02_classification: ok in 83 s" in shown


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    log = console(terminal=False)
    with open_progress(log) as progress:
        line = NotebookLine(progress, "[1/1] 01_long")
        line.watch(CELL)
        assert log.file.getvalue() == ""
        monkeypatch.setattr(terminal, "HEARTBEAT", 0)
        line.watch(None)
        line.watch(CELL)
    assert log.file.getvalue().splitlines() == [
        "[1/1] 01_long: starting, 0 s",
        "[1/1] 01_long: cell 3 of 7, 0 s",
    ]


def test_a_failure_shows_the_ends_of_source_and_traceback() -> None:
    trace = "\n".join([f"\x1b[31mframe {n}\x1b[0m" for n in range(30)] + ["ValueError: no"])
    lines = [line.plain for line in explain(Failure("ValueError: no", trace, CELL))]
    assert lines[:3] == ["In [3] of 7:", "    ...", "    line_4"]
    assert lines[6:9] == ["    line_8", "...", "frame 19"]
    assert lines[-2:] == ["frame 29", "ValueError: no"]


def test_a_failure_without_traceback_shows_its_reason() -> None:
    assert [line.plain for line in explain(Failure("It ran too long."))] == ["It ran too long."]
