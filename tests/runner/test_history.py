import json
from pathlib import Path

import pytest

from utils.chapter import Result
from utils.runner import history
from utils.runner.executions import Execution, Stamp
from utils.runner.provenance import Dials, Provenance

VERSIONS = {"python": "3.11.7", "torch": "2.13.0"}
RESULTS = [
    Result("accuracy", 0.87, book=0.9, low=0.8, high=0.95),
    Result("speed-up (x)", 2.5),
    Result("best word", "naïve"),
]


def execution(time: str = "2026-11-21T03:00:00.000+00:00", **changes: object) -> Execution:
    dials = Dials(scale=str(changes.get("scale", "small")))
    provenance = Provenance("c0ffee", False, "5eed", dials, VERSIONS)
    stamp = Stamp("02_tiny", time, 12.5, str(changes.get("failure", "")), provenance)
    return Execution(stamp, "CPU with 2 threads", RESULTS)


@pytest.fixture
def file(project: Path) -> Path:
    (project / "build").mkdir()
    return project / "build" / "history.jsonl"


def test_a_line_says_all_that_a_reader_needs(project: Path, file: Path) -> None:
    history.add(execution(), project)
    seconds, accuracy, *_ = map(json.loads, file.read_text().splitlines())
    common = {
        "time": "2026-11-21T03:00:00.000+00:00",
        "notebook": "02_tiny",
        "failure": "",
        "device": "CPU with 2 threads",
        "commit": "c0ffee",
        "modified": False,
        "sources": "5eed",
        "assets": "packaged",
        "scale": "small",
        "versions": VERSIONS,
    }
    assert seconds == common | {"metric": "seconds", "value": 12.5, "low": None, "high": None}
    assert accuracy == common | {"metric": "accuracy", "value": 0.87, "low": 0.8, "high": 0.95}


def test_of_a_failure_one_short_line_is_kept(project: Path, file: Path) -> None:
    history.add(execution(failure="RuntimeError: keys " + "w" * 500 + "\nmore"), project)
    assert {line.failure for line in history.read(project)[0]} == {
        "RuntimeError: keys " + "w" * 181
    }


def test_an_execution_counts_once(project: Path, file: Path) -> None:
    history.add(execution(), project)
    once = file.read_bytes()
    history.add(execution(), project)
    assert file.read_bytes() == once
    history.add(execution(time="2026-11-22T03:00:00.000+00:00"), project)
    assert file.read_bytes().startswith(once)
    assert len(history.read(project)[0]) == 8


def test_wherever_an_append_breaks_the_history_survives(project: Path, file: Path) -> None:
    history.add(execution(), project)
    first = file.read_bytes()
    history.add(execution(time="2026-11-22T03:00:00.000+00:00"), project)
    both = file.read_bytes()
    for cut in range(len(first), len(both), 37):
        file.write_bytes(both[:cut])
        lines, complaints = history.read(project)
        assert len(lines) == both[:cut].count(b"\n")
        assert len(complaints) == (not both[:cut].endswith(b"\n"))
        history.add(execution(time="2026-11-22T03:00:00.000+00:00"), project)
        assert file.read_bytes() == both


def test_a_torn_last_line_is_named(project: Path, file: Path) -> None:
    file.write_bytes(b'{"time": "2026')
    _, (complaint,) = history.read(project)
    assert complaint == f"The last line of {file} was cut off while it was written: left out."


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"time": 1}', b"\xff\xfe"])
def test_a_damaged_line_is_named_and_the_rest_counts(
    project: Path, file: Path, damage: bytes
) -> None:
    history.add(execution(), project)
    file.write_bytes(damage + b"\n" + file.read_bytes())
    lines, complaints = history.read(project)
    assert len(lines) == 4
    assert complaints == [f"Line 1 of {file} is damaged and left out."]


def test_no_history_is_an_empty_one(project: Path) -> None:
    assert history.read(project) == ([], [])
