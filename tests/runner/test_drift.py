import random

import pytest

from utils.runner.drift import findings
from utils.runner.history import Line

CPU = "CPU with 2 threads"


def line(day: int, value: float | str, metric: str = "accuracy", **changes: object) -> Line:
    usual = {"low": None, "high": None, "failure": "", "device": CPU, "scale": "small"}
    return Line(
        time=f"2026-11-{day:02d}T03:00:00.000+00:00",
        notebook="02_tiny",
        metric=metric,
        value=value,
        commit="c0ffee",
        modified=False,
        sources="5eed",
        assets="packaged",
        versions={},
        **usual | changes,
    )


def test_the_expected_range_decides_where_there_is_one() -> None:
    steady = [line(day, 0.9, low=0.8, high=0.95) for day in range(1, 5)]
    assert list(findings([*steady, line(5, 0.81, low=0.8, high=0.95)])) == []
    assert list(findings([*steady, line(5, 0.79, low=0.8, high=0.95)])) == [
        "02_tiny at packaged/small: accuracy is 0.790, outside the expected range 0.800 to 0.950."
    ]
    assert len(list(findings([line(1, 0.1, low=0.8, high=0.95)]))) == 1, "also the first time"


def test_without_a_range_earlier_values_decide() -> None:
    noise = random.Random(0)
    earlier = [line(day, noise.gauss(100, 2)) for day in range(1, 20)]
    assert list(findings([*earlier, line(20, 104)])) == []
    (sentence,) = findings([*earlier, line(20, 115.0)])
    assert "accuracy is 115.0, outside" in sentence
    assert "around the 19 values before (median " in sentence


def test_one_earlier_value_allows_one_per_cent() -> None:
    assert list(findings([line(1, 50.0), line(2, 50.4)])) == []
    assert list(findings([line(1, 50.0), line(2, 50.6)])) == [
        "02_tiny at packaged/small: accuracy is 50.6, outside 49.5 to 50.5, "
        "around the one value before (median 50.0)."
    ]


def test_a_lasting_change_becomes_the_new_normal() -> None:
    history = [line(day, 0.9 if day < 12 else 0.7) for day in range(1, 29)]
    assert list(findings(history)) == []
    assert len(list(findings(history[:12]))) == 1


@pytest.mark.parametrize("other", [{"device": "NVIDIA H100"}, {"scale": "full"}])
def test_other_devices_and_dials_are_not_compared(other: dict[str, str]) -> None:
    assert list(findings([line(1, 0.9, **other), line(2, 0.5)])) == []


def test_another_number_of_threads_is_the_same_device() -> None:
    assert len(list(findings([line(1, 0.9, device="CPU with 8 threads"), line(2, 0.5)]))) == 1


def test_seconds_may_vary_more() -> None:
    assert list(findings([line(1, 100.0, "seconds"), line(2, 120.0, "seconds")])) == []
    (sentence,) = findings([line(1, 100.0, "seconds"), line(2, 130.0, "seconds")])
    assert sentence.startswith("02_tiny at packaged/small took 130 s, outside 75.0 to 125.0,")


def test_a_failure_is_said_and_is_no_value_to_compare_with() -> None:
    failed = {"failure": "ValueError: no", "device": ""}
    history = [line(1, 60.0, "seconds"), line(2, 3.0, "seconds", **failed)]
    assert list(findings(history)) == ["02_tiny at packaged/small failed: ValueError: no"]
    mended = [*history, line(3, 61.0, "seconds")]
    assert list(findings(mended)) == []
    broken = line(4, 3.0, "seconds", failure="ValueError: no")
    assert list(findings([*mended[:1], broken, line(5, 61.0, "seconds")])) == []


def test_words_do_not_drift_and_old_metrics_rest() -> None:
    assert list(findings([line(1, "yes", "word"), line(2, "no", "word")])) == []
    renamed = [line(1, 0.9, "old"), line(2, 0.5, "old"), line(3, 0.5, "new")]
    assert list(findings(renamed)) == []
