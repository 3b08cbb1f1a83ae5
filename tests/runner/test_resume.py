"""`run --resume`, with real kernels, also after kill -9."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from nbformat.v4 import new_output
from tiny_notebooks import add, tiny
from typer.testing import CliRunner, Result

from utils.notebooks.files import read, write
from utils.runner import history
from utils.runner.cli import app
from utils.runner.executions import Stamp, executed_file, put_stamp, read_execution
from utils.runner.outcomes import done_before
from utils.runner.provenance import LIBRARIES, Dials, provenance_of

PAUSES = (0.0, 1.0)  # seconds after a notebook began: two moments to be killed
BEGIN = 'import time\nopen("began", "a").write("x")\ntime.sleep(0.3)'
COMMAND = [sys.executable, "-m", "utils.runner", "run", "--resume", "--jobs", "2"]


def resume(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "--resume", *arguments])


def times(project: Path) -> dict[str, str]:
    """When each notebook that lies in build/ was executed; all of them must be whole."""
    files = (project / "build" / "notebooks").rglob("*.ipynb")
    found = [read_execution(file) for file in files]
    assert all(found), "a half-written notebook lies among the results"
    return {execution.stamp.notebook: execution.stamp.time for execution, _ in found}


def history_keys(project: Path) -> list[tuple[str, str, str]]:
    lines, _ = history.read(project)
    return [(line.notebook, line.time, line.metric) for line in lines]


def test_kills_leave_nothing_half_done(project: Path) -> None:
    names = [f"{number:02d}_tiny" for number in range(1, 5)]
    for name in names:
        add(project, name, tiny(BEGIN))
    before: dict[str, str] = {}
    cut_off = 0
    for pause in PAUSES:
        family = kill_runner(project / "notebooks" / "began", pause)
        assert not psutil.wait_procs(family, timeout=20)[1], "kernels outlive the runner"
        assert before.items() <= times(project).items(), "what was done is lost or done again"
        before = times(project)
        cut_off += bool(list((project / "build").glob(".running-*")))
    assert cut_off, "no kill hit a running notebook"

    result = resume("--jobs", "2")

    assert result.exit_code == 0, result.output
    after = times(project)
    assert before.items() <= after.items()
    assert sorted(after) == names
    metrics = ("seconds", "accuracy")
    assert sorted(history_keys(project)) == sorted(
        (name, moment, metric) for name, moment in after.items() for metric in metrics
    )
    entries = json.loads((project / "build" / "results.json").read_text())
    assert {entry["notebook"]: entry["time"] for entry in entries} == after


def kill_runner(began: Path, pause: float) -> list[psutil.Process]:
    """Start the runner; kill it `pause` seconds after a notebook began. What it had started."""
    size = len(began.read_bytes()) if began.exists() else 0
    with subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL) as runner:
        while runner.poll() is None and not (began.exists() and began.stat().st_size > size):
            time.sleep(0.02)
        time.sleep(pause)
        ended = runner.poll() is not None
        family = [] if ended else psutil.Process(runner.pid).children(recursive=True)
        runner.kill()
    return family


def test_resume_does_again_what_failed_or_is_missing_in_the_history(project: Path) -> None:
    add(project, "01_works", tiny())
    add(project, "02_fails_once", tiny("open('seen').read()"))
    assert resume().exit_code == 1
    works = times(project)["01_works"]
    (project / "notebooks" / "seen").touch()
    first, *_ = history.file(project).read_bytes().splitlines(keepends=True)
    history.file(project).write_bytes(first + b'{"time": "2026-11-2')

    result = resume()

    assert result.exit_code == 0, result.output
    assert "01_works: done before, ok" in result.output
    assert "02_fails_once: ok" in result.output
    assert times(project)["01_works"] == works
    assert sorted((name, metric) for name, _, metric in history_keys(project)) == [
        ("01_works", "accuracy"),
        ("01_works", "seconds"),
        ("02_fails_once", "accuracy"),
        ("02_fails_once", "seconds"),
    ]
    assert not list((project / "build").glob(".running-*"))


@pytest.fixture
def done(project: Path) -> Path:
    """A notebook in a git repository as if executed at the default dials."""
    (project / "utils").mkdir()
    (project / "utils" / "models.py").write_text("layers = 6\n")
    path = add(project, "01_tiny", tiny())
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        git(project, *arguments)
    executed, dials = tiny(), Dials()
    put_stamp(
        executed, Stamp("01_tiny", "2026-11-21", 1.0, "", provenance_of(path, project, dials))
    )
    add(project / "build", f"{dials.folder}/01_tiny", executed)
    assert is_done(path, project)
    return path


def git(project: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=project, check=True)


def is_done(path: Path, project: Path, dials: Dials = Dials()) -> bool:  # noqa: B008 (frozen)
    target = executed_file(path, project, Dials())
    return done_before(target, provenance_of(path, project, dials)) is not None


def test_what_changes_results_is_not_taken_for_done(
    project: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_done(done, project, Dials(scale="full"))

    module = project / "utils" / "models.py"
    module.write_text("layers = 12\n")
    assert provenance_of(done, project, Dials()).modified
    assert not is_done(done, project)
    module.write_text("layers = 6\n")
    assert is_done(done, project)

    notebook = read(done)
    notebook.cells[-1].outputs = [new_output("stream", text="new")]
    write(notebook, done)
    assert is_done(done, project), "outputs alone are no reason"
    notebook.cells[-1].source += "\n# changed"
    write(notebook, done)
    assert not is_done(done, project)
    write(tiny(), done)

    git(project, "commit", "-q", "--allow-empty", "-m", "second")
    assert not is_done(done, project)
    git(project, "reset", "-q", "--soft", "HEAD~")

    versions = dict.fromkeys(LIBRARIES, "9.9")
    monkeypatch.setattr("utils.runner.provenance.version", versions.get)
    assert not is_done(done, project)


def test_a_torn_or_foreign_notebook_is_not_taken_for_done(project: Path, done: Path) -> None:
    target = executed_file(done, project, Dials())
    content = target.read_bytes()
    for size in (0, len(content) // 2, len(content) - 3):
        target.write_bytes(content[:size])
        assert not is_done(done, project)
    target.write_bytes(content)
    notebook = read(target)
    notebook.metadata["nlp-transformers"]["from the future"] = 1
    write(notebook, target)
    assert not is_done(done, project)
    write(tiny(), target)
    assert not is_done(done, project), "somebody else wrote it"
