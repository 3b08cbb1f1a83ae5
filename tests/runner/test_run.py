"""The command `run`, with real kernels."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from nbformat import NotebookNode
from tiny_notebooks import add, tiny, unfinished
from typer.testing import CliRunner, Result

from utils.chapter import read_summary
from utils.notebooks.files import read
from utils.runner.cli import app
from utils.runner.executions import read_execution
from utils.runner.process import Cell, Job, run_papermill

HANG = """\
import json, os, pathlib, subprocess, tempfile, time
scratch = tempfile.TemporaryDirectory(prefix="scratch-", dir=".")
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pids.json").write_text(json.dumps([os.getpid(), os.getppid(), child.pid]))
time.sleep(600)"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def executed_files(project: Path) -> list[str]:
    folder = project / "build" / "notebooks"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def hanging(project: Path) -> Iterator[Path]:
    """A project whose one notebook never ends; `notebooks/pids.json` names its processes."""
    add(project, "01_endless", tiny(HANG))
    yield project
    for pid in pids(project):
        if is_running(pid):
            psutil.Process(pid).kill()


def pids(project: Path) -> list[int]:
    path = project / "notebooks" / "pids.json"
    return json.loads(path.read_text()) if path.exists() and path.stat().st_size else []


def test_dials_arrive_failures_are_shown_and_the_rest_goes_on(project: Path) -> None:
    add(project, "01_fails", tiny("a = 1\nb = 0", "value = a\nvalue / b"))
    sliders = "import ipywidgets\nipywidgets.interactive(lambda x=1: display(x))"
    add(project, "02_works", tiny("open('seen', 'w').close()", sliders))
    add(project, "articles/works_too", tiny('if False: chapter.dataset("only packaged")'))
    before = (project / "notebooks" / "02_works.ipynb").read_bytes()

    result = invoke("run", "--assets", "hub", "--scale", "full")

    assert result.exit_code == 1
    assert "[1/3] 01_fails: failed" in result.output
    assert "In [4] of 5:" in result.output
    assert "        value / b" in result.output
    assert "ZeroDivisionError: division by zero" in result.output
    assert "[3/3] works_too: ok" in result.output
    assert executed_files(project) == [
        "hub-full/01_fails.ipynb",
        "hub-full/02_works.ipynb",
        "hub-full/articles/works_too.ipynb",
    ]
    row = next(line for line in result.output.splitlines() if line.startswith("│ works_too"))
    assert [cell.strip() for cell in row.split("│")[3:7]] == ["accuracy", "0.500", "0.900", "ok"]
    executed = project / "build" / "notebooks" / "hub-full"
    assert str(executed) in result.output
    assert "widgets" not in read(executed / "02_works.ipynb").metadata
    summary = read_summary(read(executed / "02_works.ipynb"))
    assert (summary["assets"], summary["scale"]) == ("hub", "full")
    assert (project / "notebooks" / "seen").exists(), "the kernel works in the notebook's folder"
    assert (project / "notebooks" / "02_works.ipynb").read_bytes() == before


def deaf(notebook: NotebookNode) -> NotebookNode:
    """The notebook without a cell for its dials: the runner does not start its kernel."""
    notebook.cells[1].metadata.tags = []
    return notebook


def test_a_notebook_that_does_not_arrive_fails(project: Path) -> None:
    odd = {
        "01_deaf": (deaf(tiny()), "0 cells are tagged parameters, there must be one"),
        "02_no_summary": (unfinished(), "it has no closing table"),
        "03_no_time": (tiny(seconds=0.2), "it ran in about 0 s"),
        "04_dead_kernel": (tiny("import os\nos._exit(1)"), "The kernel died"),
        "05_dead_worker": (tiny("import os\nos.kill(os.getppid(), 9)"), "ended unexpectedly"),
    }
    for name, (notebook, _) in odd.items():
        add(project, name, notebook)

    result = invoke("run", "--jobs", "2")

    assert result.exit_code == 1
    folder = project / "build" / "notebooks" / "packaged-small"
    for name, (_, sentence) in odd.items():
        execution, _ = read_execution(folder / f"{name}.ipynb")
        assert sentence in execution.stamp.failure
        assert sentence in result.output
    written = read(folder / "01_deaf.ipynb")
    assert [cell.execution_count for cell in written.cells[1:]] == [None, None]


def test_a_kernel_that_cannot_start_says_why(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(project, "01_early", tiny())
    (project / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel in here')")
    result = invoke("run")
    assert result.exit_code == 1
    assert "no kernel in here" in result.output
    assert "The kernel did not start: Kernel died before replying" in result.output


def test_timeout_ends_the_kernel_and_its_children(
    hanging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()  # a minute passes at once when the notebook hangs
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 60 * bool(pids(hanging)))
    monkeypatch.setattr("utils.runner.process.time", clock)
    result = invoke("run", "--timeout", "60")
    assert result.exit_code == 1
    assert time.monotonic() - started < 60
    assert "It ran for more than 60 s" in result.output
    assert "time.sleep(600)" in result.output
    assert len(pids(hanging)) == 3, "it was stopped before it began"
    assert not any(map(is_running, pids(hanging)))
    assert not list(hanging.rglob(".running-*"))
    assert not list(hanging.rglob("scratch-*")), "the kernel had no time to clean up"


def test_a_killed_runner_takes_its_kernel_with_it(hanging: Path) -> None:
    command = [sys.executable, "-m", "utils.runner", "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as runner:
        deadline = time.monotonic() + 60
        while not pids(hanging) and time.monotonic() < deadline:
            time.sleep(0.1)
        runner.kill()
    deadline = time.monotonic() + 30
    kernel, worker, _ = pids(hanging)
    while any(map(is_running, (kernel, worker))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(worker)
    assert not is_running(kernel)
    assert executed_files(hanging) == []


def test_kernel_is_this_pythons_whatever_kernelspecs_exist(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = project / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(project / "jupyter"))
    path = add(project, "01_where", tiny("import sys\nprint(sys.executable)"))
    job = Job(path, project / "out.ipynb", path.parent, project)
    cells: list[Cell] = []

    assert run_papermill(job, cells.append) is None

    assert [(cell.number, cell.total) for cell in cells] == [(1, 3), (2, 3), (3, 3)]
    assert read(job.output).cells[2].outputs[0].text.strip() == sys.executable


def test_what_is_no_error_of_a_cell_is_reported_too(project: Path) -> None:
    path = add(project, "01_fails", tiny("1 / 0"))
    job = Job(path, project / "out.ipynb", path.parent, project)
    assert "ZeroDivisionError" in run_papermill(job, print).reason
    missing = Job(project / "no.ipynb", job.output, path.parent, project)
    assert "FileNotFoundError" in run_papermill(missing, print).reason


def test_packaged_assets_are_fetched_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(project, "01_data", deaf(tiny('chapter.dataset("tweets")')))
    add(project, "02_other", deaf(tiny('chapter.dataset("questions")')))
    fetched: list[str] = []
    monkeypatch.setattr("utils.assets.fetch.fetch", fetched.append)
    invoke("run", "1")
    assert fetched == ["tweets"]


def test_an_asset_that_cannot_be_had_stops_the_run(project: Path) -> None:
    add(project, "01_data", tiny('chapter.dataset("no_such_data")'))
    result = invoke("run")
    assert result.exit_code == 1
    assert "no_such_data" in result.stderr
    assert executed_files(project) == []


def test_unknown_chapter_is_one_sentence(project: Path) -> None:
    add(project, "02_classification", tiny())
    result = invoke("run", "clasification")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        'There is no notebook "clasification"; choose one of: 02_classification.'
    ]


@pytest.mark.parametrize("dial", ["--assets", "--scale"])
def test_dials_take_known_values_only(project: Path, dial: str) -> None:
    result = invoke("run", dial, "huge")
    assert result.exit_code == 2
    assert "huge" in result.output
