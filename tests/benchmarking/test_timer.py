"""The timer and the interleaved comparison."""

import time
from collections import Counter

import numpy as np
import pytest
import torch

from utils.benchmarking import Comparison, Timing, compare, measure, torch_threads


class Clock:
    """A clock that moves only when a callable says how long it took."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def taking(self, *durations: float):
        """A callable that takes these seconds, one call after the other."""
        remaining = iter(durations)

        def run() -> None:
            self.now += next(remaining)

        return run


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def synthetic(baseline, candidate) -> Comparison:
    timings = {"old": Timing(tuple(baseline)), "new": Timing(tuple(candidate))}
    return Comparison(timings, items=1, unit="calls", threads=1)


def test_samples_are_the_durations_of_the_timed_calls_only(clock):
    timing = measure(clock.taking(9, 8, 0.5, 0.25, 2), rounds=3, warmup=2)
    assert timing.samples == (0.5, 0.25, 2)


def test_statistics_equal_numpy():
    samples = np.random.default_rng(1).lognormal(size=37)
    timing = Timing(tuple(samples))
    assert timing.median == np.median(samples)
    assert timing.mean == pytest.approx(samples.mean())
    assert timing.std == pytest.approx(samples.std())
    for q in (0, 5, 95, 99, 100):
        assert timing.percentile(q) == np.percentile(samples, q)


def test_candidates_take_turns_and_the_order_rotates():
    calls = []
    names = ("a", "b", "c")
    compare({name: lambda name=name: calls.append(name) for name in names}, rounds=4, warmup=2)
    assert Counter(calls[:6]) == {"a": 2, "b": 2, "c": 2}  # warm-up
    assert "".join(calls[6:]) == "abcbcacababc"


def test_a_turn_may_be_several_calls_long():
    calls = []
    names = ("a", "b")
    comparison = compare(
        {name: lambda name=name: calls.append(name) for name in names}, rounds=5, warmup=0, turn=2
    )
    assert "".join(calls) == "aabb" + "bbaa" + "ab"
    assert [len(timing.samples) for timing in comparison.timings.values()] == [5, 5]


def test_each_candidate_gets_its_own_durations(clock):
    fast, slow = clock.taking(1, 2, 3), clock.taking(10, 20, 30)
    comparison = compare({"fast": fast, "slow": slow}, rounds=3, warmup=0)
    assert comparison.timings == {"fast": Timing((1, 2, 3)), "slow": Timing((10, 20, 30))}


def test_speedup_and_throughput_follow_the_medians(clock):
    old, new = clock.taking(4, 4, 90), clock.taking(1, 2, 2)
    comparison = compare({"old": old, "new": new}, rounds=3, warmup=0, items=32)
    assert comparison.baseline == "old"
    assert comparison.speedup("new").value == 2
    assert comparison.speedup("old").value == 1
    assert comparison.throughput("new") == 16


def test_interval_covers_the_true_ratio_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        old, new = rng.lognormal(np.log([[3.0], [2.0]]), 0.3, size=(2, 25))
        speedup = synthetic(old, new).speedup("new")
        covered += speedup.low <= 1.5 <= speedup.high
    assert 88 <= covered <= 100


def test_one_round_has_no_interval():
    speedup = synthetic([3.0], [2.0]).speedup("new")
    assert speedup.value == 1.5
    assert np.isnan([speedup.low, speedup.high]).all()


def test_drift_that_hits_both_alike_does_not_widen_the_interval():
    drift = np.linspace(1, 5, num=20)
    speedup = synthetic(6 * drift, 2 * drift).speedup("new")
    assert (speedup.low, speedup.high) == pytest.approx((3, 3))


def test_frame_has_units_and_one_row_for_each_candidate():
    timings = {"old": Timing((0.2, 0.4)), "new": Timing((0.1, 0.1))}
    frame = Comparison(timings, items=32, unit="samples", threads=1).frame()
    assert list(frame.index) == ["old", "new"]
    assert frame.loc["old", "median (ms)"] == pytest.approx(300)
    assert frame.loc["old", "std (ms)"] == pytest.approx(100)
    assert frame.loc["new", "samples/s"] == pytest.approx(320)
    assert frame.loc["new", "speed-up (x)"] == pytest.approx(3)
    assert frame.loc["new", "95 % low"] <= 3 <= frame.loc["new", "95 % high"]


@pytest.mark.usefixtures("two_threads")
def test_one_thread_unless_stated_and_the_old_number_afterwards():
    seen = []
    compare({"a": lambda: seen.append(torch.get_num_threads())}, rounds=1, warmup=1)
    assert seen == [1, 1]
    assert torch.get_num_threads() == 2
    with torch_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_are_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, r"^rounds is 0: choose a whole number of 1 or more\.$"),
        ({"turn": 0}, r"^turn is 0: choose a whole number of 1 or more\.$"),
        ({"threads": 0}, r"^threads is 0: choose a whole number of 1 or more\.$"),
    ],
)
def test_errors_say_what_to_give_before_anything_runs(options, message):
    calls = []
    with pytest.raises(ValueError, match=message):
        compare({"a": lambda: calls.append(1), "b": lambda: calls.append(1)}, **options)
    assert not calls
