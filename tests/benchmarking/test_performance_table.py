"""Systems side by side, and their records."""

import io
import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value
from rich.console import Console

from utils.benchmarking import (
    BenchmarkError,
    Comparison,
    PerformanceBenchmark,
    PerformanceTable,
    Record,
    Timing,
    performance_table,
)

MB = 2**20


def numbers(size, median, accuracy, **others):
    measured = {"time_avg_ms": 2 * median, "time_std_ms": 0.5, "p95_ms": 9.0, "p99_ms": 10.0}
    rest = {"in_scope_accuracy": 0.95, "oos_recall": 0.75, "oos_precision": None}
    speed = {"queries_per_s": 100.0, "queries_per_s_batch_32": 400.0}
    memory = {"peak_memory_mb": 12.0, "peak_gpu_mb": None, "threads": 1}
    first = {"size_mb": size, "p50_ms": median, "accuracy": accuracy}
    return first | measured | rest | speed | memory | others


@pytest.fixture
def table() -> PerformanceTable:
    details = {
        "teacher": numbers(400.0, 10.0, 0.9),
        "student": numbers(100.0, 4.0, 0.875, oos_recall=0.5),
    }
    return PerformanceTable(details, baseline="teacher")


def test_ratios_are_to_the_baseline_and_changes_in_points(table):
    frame = table.frame()
    assert list(frame.index) == ["teacher", "student"]
    assert frame["smaller (x)"].tolist() == [1, 4]
    assert frame["speed-up (x)"].tolist() == [1, 2.5]  # of medians, not of means
    assert frame["change (points)"].tolist() == pytest.approx([0, -2.5])
    assert frame["accuracy (%)"].tolist() == [90, 87.5]
    assert frame["oos recall (%)"].tolist() == [75, 50]
    assert frame["oos precision (%)"].isna().all()
    assert frame["peak GPU (MB)"].isna().all()
    assert set(frame.dtypes.map(str)) == {"float64"}


def test_any_system_can_be_the_baseline(table):
    frame = PerformanceTable(table.details, baseline="student").frame()
    assert frame["smaller (x)"].tolist() == [0.25, 1]


@pytest.fixture
def benchmarks(tmp_path):
    """Two that answer alike and have files of 4 and 1 MB."""
    features = Features({"text": Value("string"), "intent": ClassLabel(names=["timer", "oos"])})
    dataset = Dataset.from_dict({"text": ["a", "b"], "intent": [0, 1]}, features)

    def answer(texts):
        return [
            {"label": "timer", "score": 1.0} for _ in ([texts] if isinstance(texts, str) else texts)
        ]

    systems = []
    for name, size in (("large", 4), ("small", 1)):
        file = tmp_path / name
        file.write_bytes(bytes(size * MB))
        systems.append(PerformanceBenchmark(answer, dataset, name, files=[file]))
    return systems


def test_benchmarks_become_rows_of_what_they_measured(benchmarks):
    table = performance_table(benchmarks)
    assert table.baseline == "large"
    assert table.details == {each.optim_type: each.details() for each in benchmarks}
    frame = table.frame()
    assert frame["size (MB)"].tolist() == [4, 1]
    assert frame["in scope (%)"].tolist() == [100, 100]
    assert frame["oos recall (%)"].tolist() == [0, 0]
    assert performance_table(benchmarks, baseline="small").baseline == "small"


def test_latencies_taken_in_turns_replace_those_taken_alone(benchmarks):
    timings = {"large": Timing((0.25, 0.5, 0.25)), "small": Timing((0.125, 0.125, 0.125))}
    comparison = Comparison(timings, "large", items=1, unit="queries", threads=1)
    frame = performance_table(benchmarks, comparison=comparison).frame()
    assert frame["p50 (ms)"].tolist() == [250, 125]
    assert frame["speed-up (x)"].tolist() == [1, 2]
    assert frame.loc["small", "std (ms)"] == 0


def test_tables_of_nothing_get_one_sentence(benchmarks):
    large, small = benchmarks
    alone = Comparison({"large": Timing((1.0,))}, "large", items=1, unit="queries", threads=1)
    with pytest.raises(BenchmarkError, match=r"^There are no systems: give at least one benchmark"):
        performance_table([])
    with pytest.raises(BenchmarkError, match=r"^Two systems have one name: large, small, large\.$"):
        performance_table([large, small, large])
    with pytest.raises(BenchmarkError, match=r'^The baseline "huge" is no system: choose from lar'):
        performance_table(benchmarks, baseline="huge")
    with pytest.raises(BenchmarkError, match=r"^The comparison has no timings of small: compare"):
        performance_table(benchmarks, comparison=alone)


@pytest.fixture
def record(table):
    comparison = Comparison({"teacher": Timing((2.0, 4.0))}, "teacher", 1, "queries", threads=1)
    return Record.now(
        "efficiency", "Compression", {"threads": 1}, {"seed 0": table, "turns": comparison}
    )


def test_records_keep_tables_beside_comparisons(record, table, tmp_path):
    assert list(record.systems) == ["seed 0"]
    assert list(record.cases) == ["turns"]
    assert Record.load(record.save(tmp_path)) == record
    assert record.systems_frame().loc[("seed 0", "student"), "smaller (x)"] == 4


def test_records_from_before_tables_can_be_read(record, tmp_path):
    path = record.save(tmp_path)
    fields = json.loads(path.read_text())
    del fields["systems"]
    path.write_text(json.dumps(fields))
    assert Record.load(path).systems == {}


def test_a_terminal_shows_what_matters_most_of_systems(record):
    console = Console(file=io.StringIO(), width=80)
    console.print(*record.tables())
    text = console.file.getvalue()
    row = next(line for line in text.splitlines() if "student" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["seed 0", "student", "100", "4", "4", "2.5", "95", "50"]
    assert max(map(len, text.splitlines())) <= 80
    assert "queries/s" in text  # of the comparison
