"""The command `python -m utils.benchmarking`."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from utils import benchmarks
from utils.benchmarking import Record, app, benchmark_titles

ROOT = Path(benchmarks.__file__).parents[2]
ADDING = '''"""Adding numbers.

More about it.
"""

from utils.benchmarking import compare


def run(*, rounds=4, threads=1, assets="packaged"):
    candidates = {"sum": lambda: sum(range(10)), "len": lambda: len(range(10))}
    return {"ten": compare(candidates, rounds=rounds, threads=threads, items=10, unit="numbers")}
'''


@pytest.fixture
def adding(tmp_path, monkeypatch):
    """One tiny benchmark, as a module in a folder of benchmarks; records go to a scratch folder."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "adding.py").write_text(ADDING)
    monkeypatch.setattr(benchmarks, "__path__", [str(folder)])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that what the command sets is undone
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("utils.benchmarks.adding", None)


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def saved() -> list[Record]:
    return [Record.load(path) for path in sorted(Path("build/benchmarks").iterdir())]


def test_every_benchmark_in_the_folder_has_a_title_and_run():
    files = (ROOT / "utils" / "benchmarks").glob("[!_]*.py")
    titles = benchmark_titles()
    assert set(titles) == {file.stem for file in files}
    assert all(titles.values())
    assert all(callable(importlib.import_module(f"utils.benchmarks.{name}").run) for name in titles)


@pytest.mark.usefixtures("adding")
def test_list_shows_names_and_titles():
    result = invoke("--list")
    assert (result.exit_code, result.output) == (0, "adding: Adding numbers\n")


@pytest.mark.usefixtures("adding")
def test_unknown_name_gets_one_sentence_with_the_names():
    result = invoke("finetunign")
    assert result.exit_code == 1
    assert result.output.endswith(
        'Error: There is no benchmark "finetunign": choose from adding.\n'
    )
    assert not Path("build").exists()


@pytest.mark.usefixtures("adding")
@pytest.mark.parametrize("arguments", [["adding"], []], ids=["by name", "all"])
def test_a_run_shows_its_table_and_saves_its_record(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert "Adding numbers" in result.output
    assert "numbers/s" in result.output
    (record,) = saved()
    assert record.options == {"threads": 1, "assets": "packaged"}
    assert len(record.cases["ten"].timings["sum"].samples) == 4  # the benchmark's own number


@pytest.mark.usefixtures("adding")
def test_options_reach_the_benchmark():
    assert invoke("adding", "--rounds", "2", "--threads", "2", "--assets", "hub").exit_code == 0
    (record,) = saved()
    assert record.options == {"threads": 2, "assets": "hub", "rounds": 2}
    assert record.cases["ten"].threads == 2
    assert len(record.cases["ten"].timings["sum"].samples) == 2


@pytest.mark.usefixtures("adding")
@pytest.mark.parametrize(("assets", "offline"), [("packaged", "1"), ("hub", None)])
def test_packaged_assets_keep_the_hub_library_offline(assets, offline, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    invoke("adding", "--rounds", "1", "--assets", assets)
    assert os.environ.get("HF_HUB_OFFLINE") == offline


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--assets", "moon"], 'assets must be "packaged" or "hub", not "moon".'),
        (["--rounds", "0"], "rounds is 0: give 1 or more."),
    ],
)
def test_errors_of_a_benchmark_end_the_command_with_one_sentence(option, message, tmp_path):
    """In a process of its own, where the command is `__main__` and benchmarks import it by name."""
    result = subprocess.run(
        [sys.executable, "-m", "utils.benchmarking", "finetuning", *option],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == f"Error: {message}\n"
