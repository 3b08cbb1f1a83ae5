"""Timing of callables: one timer, and interleaved comparisons."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 2000


class BenchmarkError(ValueError):
    """A measurement that cannot be made as asked for."""


@dataclass(frozen=True)
class Timing:
    """The durations of the timed calls of one callable, in seconds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median in seconds: what comparisons use, as one slow call does not move it."""
        return self.percentile(50)

    @property
    def p50(self) -> float:
        """The median in seconds, by the name it has beside `p95` and `p99`."""
        return self.median

    @property
    def p95(self) -> float:
        """What 95 % of the calls stay below, in seconds; rough for fewer than 100 calls."""
        return self.percentile(95)

    @property
    def p99(self) -> float:
        """What 99 % of the calls stay below, in seconds; rough for fewer than 500 calls."""
        return self.percentile(99)

    @property
    def mean(self) -> float:
        """Mean in seconds."""
        return float(np.mean(self.samples))

    @property
    def std(self) -> float:
        """Standard deviation in seconds (population, as `numpy.std`)."""
        return float(np.std(self.samples))

    def percentile(self, q: float) -> float:
        """The `q`-th percentile in seconds, with `q` in [0, 100]."""
        return float(np.percentile(self.samples, q))


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as the baseline, with a 95 % bootstrap interval from low to high."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The timings of candidates that took turns in one run.

    Attributes:
        timings: one Timing for each candidate; sample i of each is from round i.
        baseline: the candidate that the others are compared with.
        items: how many things one call processes.
        unit: what these things are, in the plural.
        threads: the number of CPU threads that torch used.
    """

    timings: dict[str, Timing]
    baseline: str
    items: int
    unit: str
    threads: int

    def throughput(self, name: str) -> float:
        """Items per second, from the median."""
        return self.items / self.timings[name].median

    def speedup(self, name: str, *, seed: int = 0) -> Speedup:
        """Median of the baseline over median of `name`: above 1 is faster than the baseline.

        The interval is the percentile bootstrap over rounds: a resample takes the same rounds of
        both, so that what slowed down a whole round cancels. Efron & Tibshirani, "An Introduction
        to the Bootstrap", chapter 13. With few rounds it is a rough guide.
        """
        pair = np.array([self.timings[self.baseline].samples, self.timings[name].samples])
        num_rounds = pair.shape[1]
        rounds = np.random.default_rng(seed).integers(num_rounds, size=(RESAMPLES, num_rounds))
        baseline, candidate = np.median(pair[:, rounds], axis=-1)  # (RESAMPLES,) each
        low, high = np.percentile(baseline / candidate, (2.5, 97.5))
        value = self.timings[self.baseline].median / self.timings[name].median
        return Speedup(value, float(low), float(high))

    def frame(self) -> pd.DataFrame:
        """One row for each candidate, units in the column names."""
        import pandas as pd

        rows = {name: self._row(name) for name in self.timings}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("candidate")

    def _row(self, name: str) -> dict[str, float]:
        timing, speedup = self.timings[name], self.speedup(name)
        return {
            "median (ms)": 1e3 * timing.median,
            "std (ms)": 1e3 * timing.std,
            f"{self.unit}/s": self.throughput(name),
            "speed-up (x)": speedup.value,
            "95 % low": speedup.low,
            "95 % high": speedup.high,
        }


def measure(
    run: Callable[[], object],
    *,
    rounds: int = 20,
    warmup: int = 3,
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time `rounds` calls of `run` after `warmup` calls that do not count.

    Raises:
        BenchmarkError: see `compare`.
    """
    options = {"rounds": rounds, "warmup": warmup, "threads": threads, "clock": clock}
    return compare({"run": run}, **options).timings["run"]


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 20,
    warmup: int = 3,
    turn: int = 1,
    baseline: str | None = None,
    items: int = 1,
    unit: str = "calls",
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Time candidates in turns: in every round each runs once, and the order rotates.

    Args:
        candidates: callables by name; work queued on a GPU belongs to the call that queued it.
        rounds: timed calls of each candidate.
        warmup: calls of each candidate before the first round, which do not count.
        turn: calls in a row before the next candidate's turn. With one, each call finds what the
            others left in the processor's cache; a service that runs one model finds its own.
        baseline: name of the candidate to compare with; the first one by default.
        items, unit: what one call processes, for the throughput.
        threads: CPU threads for torch; the caller's setting comes back afterwards.
        clock: returns seconds.

    Raises:
        BenchmarkError: no candidates, an unknown baseline, or a count that is too small.
    """
    _check(candidates, baseline, rounds=rounds, warmup=warmup, turn=turn, items=items)
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    with torch_threads(threads):
        for _ in range(warmup):
            for run in candidates.values():
                run()
        starts = range(0, rounds, turn)
        for start, order in zip(starts, _rotations(candidates, len(starts)), strict=True):
            for name in order:
                for _ in range(min(turn, rounds - start)):
                    samples[name].append(_seconds(candidates[name], clock))
    timings = {name: Timing(tuple(seconds)) for name, seconds in samples.items()}
    return Comparison(timings, baseline or next(iter(candidates)), items, unit, threads)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` CPU threads inside the block, as many as before after it."""
    import torch

    if count < 1:
        raise BenchmarkError(f"threads is {count}: give 1 or more.")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(
    candidates: Mapping[str, Any], baseline: str | None, *, warmup: int, **counts: int
) -> None:
    if not candidates:
        raise BenchmarkError("There is nothing to time: give at least one candidate.")
    if baseline is not None and baseline not in candidates:
        names = ", ".join(candidates)
        raise BenchmarkError(f'The baseline "{baseline}" is no candidate: choose from {names}.')
    if warmup < 0:
        raise BenchmarkError(f"warmup is {warmup}: give 0 or more.")
    for name, count in counts.items():
        if count < 1:
            raise BenchmarkError(f"{name} is {count}: give 1 or more.")


def _rotations(candidates: Mapping[str, Any], rounds: int) -> Iterator[tuple[str, ...]]:
    order = deque(candidates)
    for _ in range(rounds):
        yield tuple(order)
        order.rotate(-1)


def _seconds(run: Callable[[], object], clock: Callable[[], float]) -> float:
    _synchronize()
    start = clock()
    run()
    _synchronize()
    return clock() - start


def _synchronize() -> None:
    """Wait until the GPU has done what was queued, where CUDA is in use."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
