"""Records of benchmark runs: JSON, tables, conditions."""

import io
import json

import pytest
import torch
from rich.console import Console

from utils.benchmarking import Comparison, Record, Timing, compare, environment


@pytest.fixture
def record() -> Record:
    matrix = torch.ones(8, 8)
    candidates = {"sum": matrix.sum, "product": lambda: matrix @ matrix}
    return Record(
        name="adding",
        title="Adding and multiplying",
        created="2026-01-02T03:04:05+00:00",
        options={"threads": 1, "assets": "packaged"},
        environment=environment(),
        cases={
            "small": compare(candidates, rounds=3, items=64, unit="numbers"),
            "slow": Comparison({"sum": Timing((2.0, 4.0))}, "sum", 64, "numbers", threads=1),
        },
    )


def test_round_trip_keeps_every_sample(record, tmp_path):
    path = record.save(tmp_path / "new" / "folder")
    assert path.name == "adding-2026-01-02T030405+0000.json"
    assert Record.load(path) == record


def test_records_lie_under_build_and_hold_plain_json(record, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = record.save()
    assert path.parent.as_posix() == "build/benchmarks"
    assert json.loads(path.read_text())["cases"]["slow"]["timings"]["sum"]["samples"] == [2.0, 4.0]


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
    if found["cpu_capability"] == "AVX512":
        assert "avx512f" in found["cpu_flags"]


def test_frame_has_the_rows_of_all_cases(record):
    frame = record.frame()
    assert list(frame.index) == [("small", "sum"), ("small", "product"), ("slow", "sum")]
    assert frame.loc[("slow", "sum"), "median (ms)"] == pytest.approx(3000)


def test_table_fits_a_terminal_and_shows_three_digits(record):
    console = Console(file=io.StringIO(), width=80)
    console.print(*record.tables())
    text = console.file.getvalue()
    row = next(line for line in text.splitlines() if "slow" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["slow", "sum", "3000", "1000", "21.3", "1", "1", "1"]
    assert "Adding and multiplying" in text
    assert "assets packaged" in " ".join(text.split())
