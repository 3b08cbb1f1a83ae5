"""`run --jobs`, with real kernels."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from tiny_notebooks import add, tiny
from typer.testing import CliRunner

from utils.notebooks.files import read
from utils.runner.cli import app
from utils.runner.outcomes import Outcome
from utils.runner.process import Cell
from utils.runner.schedule import Schedule, available_cores, threads_per_job
from utils.runner.terminal import open_progress

MEET = """\
import os, pathlib, time
pathlib.Path("here-MINE").touch()
while not pathlib.Path("here-OTHER").exists():
    time.sleep(0.05)
print(os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"])"""
HANG = """\
import json, os, pathlib, tempfile, time
scratch = tempfile.TemporaryDirectory(prefix="scratch-", dir=".")
pathlib.Path("MINE.json").write_text(json.dumps([os.getpid(), os.getppid()]))
time.sleep(600)"""


def test_two_notebooks_run_at_the_same_time_and_share_the_cores(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(variable, raising=False)
    add(project, "01_left", tiny(MEET.replace("MINE", "left").replace("OTHER", "right")))
    add(project, "02_right", tiny(MEET.replace("MINE", "right").replace("OTHER", "left")))

    result = CliRunner().invoke(app, ["run", "--jobs", "2", "--timeout", "60"])

    assert result.exit_code == 0, result.output
    folder = project / "build" / "notebooks" / "packaged-small"
    for name in ("01_left", "02_right"):
        (_, _, _, cell, _) = read(folder / f"{name}.ipynb").cells
        threads, policy = cell.outputs[0].text.split()
        assert (int(threads), policy) == (max(1, available_cores() // 2), "PASSIVE")
    rows = [line for line in result.output.splitlines() if line.startswith("│ 0")]
    assert [row.split()[1] for row in rows] == ["01_left", "02_right"]


def test_each_job_gets_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.runner.schedule.available_cores", lambda: 8)
    assert [threads_per_job(jobs) for jobs in (1, 2, 3, 16)] == [None, 4, 2, 1]


def test_a_cancelled_run_leaves_no_process_and_no_file(project: Path) -> None:
    for name in ("01_left", "02_right", "03_waits"):
        add(project, name, tiny(HANG.replace("MINE", name)))
    command = [sys.executable, "-m", "utils.runner", "run", "--jobs", "2"]
    files = [project / "notebooks" / f"{name}.json" for name in ("01_left", "02_right")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        deadline = time.monotonic() + 60
        while not all(map(Path.exists, files)) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)  # so that the files are not only there but written
        runner.send_signal(signal.SIGTERM)  # for the runner the same as Ctrl-C
        output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "headline result" in output
    assert not any(psutil.pid_exists(pid) for file in files for pid in json.loads(file.read_text()))
    assert not (project / "notebooks" / "03_waits.json").exists()
    assert not list(project.rglob("scratch-*")), "the kernels had no time to clean up"
    assert os.listdir(project / "build") == ["results.json"]


def test_the_screen_shows_all_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, highlight=False)
    progress = open_progress(screen)
    shown: list[str] = []

    def action(path: Path, watch) -> Outcome:
        watch(Cell(2, 7, "pass"))
        while len(progress.tasks) < 2 and not shown:
            time.sleep(0.01)
        shown.append(" ".join(task.description for task in progress.tasks))
        return Outcome(path.stem, 1, None, None)

    with progress:
        Schedule(action, 2, progress).execute([Path("01_a.ipynb"), Path("02_b.ipynb")])
    assert "[1/2] 01_a" in shown[0]
    assert "[2/2] 02_b" in shown[0]
