"""The command `python -m utils.benchmarking`, and the records that it keeps."""

import importlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from utils.assets.errors import AssetError
from utils.benchmarking import Comparison, Timing, compare
from utils.benchmarks import records
from utils.benchmarks.cli import app
from utils.benchmarks.records import BENCHMARKS, Record, environment, run_benchmark

ROOT = Path(records.__file__).parents[2]


def add(*, rounds=4, threads=1, assets="packaged"):
    candidates = {"sum": lambda: sum(range(10)), "len": lambda: len(range(10))}
    return {"ten": compare(candidates, rounds=rounds, threads=threads, items=10, unit="numbers")}


@pytest.fixture
def adding(tmp_path, monkeypatch):
    """One tiny benchmark instead of the real ones; records go to a scratch folder."""
    monkeypatch.setattr(records, "BENCHMARKS", BENCHMARKS)
    for name in [*BENCHMARKS]:
        monkeypatch.delitem(BENCHMARKS, name)
    monkeypatch.setitem(BENCHMARKS, "adding", "Adding numbers")
    monkeypatch.setitem(sys.modules, "utils.benchmarks.adding", SimpleNamespace(run=add))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # so that what the command sets is undone
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def saved() -> dict:
    (path,) = Path("build/benchmarks").iterdir()
    return json.loads(path.read_text())


def test_every_benchmark_has_a_module_that_runs():
    for name in BENCHMARKS:
        assert callable(importlib.import_module(f"utils.benchmarks.{name}").run)


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
    record = saved()
    assert record["options"] == {"threads": 1, "assets": "packaged"}
    assert len(record["results"]["ten"]["timings"]["sum"]["samples"]) == 4  # its own number


@pytest.mark.usefixtures("adding")
def test_options_reach_the_benchmark():
    assert invoke("adding", "--rounds", "2", "--threads", "2", "--assets", "hub").exit_code == 0
    record = saved()
    assert record["options"] == {"threads": 2, "assets": "hub", "rounds": 2}
    assert record["results"]["ten"]["threads"] == 2
    assert len(record["results"]["ten"]["timings"]["sum"]["samples"]) == 2


@pytest.mark.usefixtures("adding")
@pytest.mark.parametrize(("assets", "offline"), [("packaged", "1"), ("hub", None)])
def test_packaged_assets_keep_the_hub_library_offline(assets, offline, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    invoke("adding", "--rounds", "2", "--assets", assets)
    assert os.environ.get("HF_HUB_OFFLINE") == offline


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"assets": "moon"}, 'assets must be "packaged" or "hub", not "moon".'),
        ({"rounds": 0}, "rounds is 0: choose a whole number of 1 or more."),
    ],
)
def test_a_benchmark_says_what_it_cannot_do_before_it_trains(option, message):
    with pytest.raises((AssetError, ValueError), match=message):
        run_benchmark("efficiency", **option)


def test_an_error_ends_the_command_with_one_sentence(tmp_path):
    """In a process of its own, where the command is `__main__` and nothing was imported before."""
    result = subprocess.run(
        [sys.executable, "-m", "utils.benchmarking", "finetuning", "--assets", "moon"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr == 'Error: assets must be "packaged" or "hub", not "moon".\n'


@pytest.fixture
def record() -> Record:
    results = {
        "slow": Comparison({"sum": Timing((2.0, 4.0))}, 64, "numbers", threads=1),
        "mean": pd.DataFrame({"size (MB)": 4.0, "oos recall (%)": float("nan")}, ["one"]),
    }
    results["mean"].index.name = "system"
    options = {"threads": 1, "assets": "packaged"}
    title = "Adding and multiplying"
    return Record("adding", title, "2026-01-02T03:04:05+00:00", options, environment(), results)


def test_records_are_plain_json_with_every_sample(record, tmp_path):
    path = record.save(tmp_path / "new" / "folder")
    assert path.name == "adding-2026-01-02T030405+0000.json"
    fields = json.loads(path.read_text())
    assert fields["title"] == record.title
    assert fields["environment"] == record.environment
    assert fields["results"]["slow"]["timings"]["sum"]["samples"] == [2.0, 4.0]
    assert fields["results"]["mean"] == {"one": {"size (MB)": 4, "oos recall (%)": None}}


def test_a_failed_write_leaves_nothing_behind(record, tmp_path):
    target = record.save(tmp_path)
    target.unlink()
    target.mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(IsADirectoryError):
        record.save(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_environment_names_what_durations_depend_on():
    found = environment()
    assert found["device"] == found["cpu"] or torch.cuda.is_initialized()
    assert found["cpu_count"] >= 1
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["versions"]["torch"] == torch.__version__


def test_tables_fit_a_terminal_and_show_three_digits(record):
    console = Console(file=io.StringIO(), width=80)
    console.print(*record.tables())
    lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert ["slow", "sum", "3000", "1000", "21.3", "1", "1", "1"] in cells
    assert ["mean", "one", "4", "nan"] in cells
    assert max(map(len, lines)) <= 80
    text = " ".join(console.file.getvalue().split())
    assert "Adding and multiplying" in text
    assert "assets packaged" in text
