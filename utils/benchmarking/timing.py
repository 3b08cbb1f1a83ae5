"""Timing of callables: one timer, and interleaved comparisons."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from utils.benchmarking.significance import Interval, bootstrap
from utils.inputs import check_count


@dataclass(frozen=True)
class Timing:
    """The durations of the timed calls of one callable, in seconds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median in seconds: what comparisons use, as one slow call does not move it."""
        return self.percentile(50)

    @property
    def mean(self) -> float:
        """Mean in seconds."""
        return float(np.mean(self.samples))

    @property
    def std(self) -> float:
        """Standard deviation in seconds, as `numpy.std`."""
        return float(np.std(self.samples))

    def percentile(self, q: float) -> float:
        """What `q` % of the calls stay below, in seconds; rough at 99 for fewer than 500 calls."""
        return float(np.percentile(self.samples, q))


@dataclass(frozen=True)
class Comparison:
    """The timings of candidates that took turns in one run."""

    timings: dict[str, Timing]  # the baseline first; sample i of each is from round i
    items: int  # that one call processes
    unit: str  # what these are, in the plural
    threads: int  # of the CPU, for torch

    @property
    def baseline(self) -> str:
        """The candidate that the others are compared with."""
        return next(iter(self.timings))

    def throughput(self, name: str) -> float:
        """Items per second, from the median."""
        return self.items / self.timings[name].median

    def speedup(self, name: str) -> Interval:
        """Median of the baseline over median of `name`: above 1 is faster than the baseline.

        A resample takes the same rounds of both, so that what slowed down a whole round cancels.
        """

        def ratio(baseline: np.ndarray, candidate: np.ndarray, axis: int) -> np.ndarray:
            return np.median(baseline, axis=axis) / np.median(candidate, axis=axis)

        return bootstrap(ratio, self.timings[self.baseline].samples, self.timings[name].samples)

    def frame(self) -> pd.DataFrame:
        """One row for each candidate, units in the column names."""
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
    run: Callable[[], object], *, rounds: int = 20, warmup: int = 3, threads: int = 1
) -> Timing:
    """Time `rounds` calls of `run` after `warmup` calls that do not count; see `compare`."""
    return compare({"": run}, rounds=rounds, warmup=warmup, threads=threads).timings[""]


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 20,
    warmup: int = 3,
    turn: int = 1,
    items: int = 1,
    unit: str = "calls",
    threads: int = 1,
) -> Comparison:
    """Time candidates in turns: in every round each runs once, and the order rotates.

    Args:
        candidates: callables by name, the baseline first; what one queues on a GPU belongs to it.
        rounds: timed calls of each candidate.
        warmup: calls of each candidate before the first round, which do not count.
        turn: calls in a row before the next candidate's turn. With one, each call finds what the
            others left in the processor's cache; a service that runs one model finds its own.
        items, unit: what one call processes, for the throughput.
        threads: CPU threads for torch; the caller's setting comes back afterwards.

    Raises:
        ValueError: a count is below 1.
    """
    check_count(rounds=rounds, turn=turn, threads=threads)
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    with torch_threads(threads):
        for _ in range(warmup):
            for run in candidates.values():
                run()
        for start in range(0, rounds, turn):
            for name in order:
                calls = range(min(turn, rounds - start))
                samples[name] += [_seconds(candidates[name]) for _ in calls]
            order.append(order.pop(0))
    timings = {name: Timing(tuple(seconds)) for name, seconds in samples.items()}
    return Comparison(timings, items, unit, threads)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` CPU threads inside the block, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(run: Callable[[], object]) -> float:
    _synchronize()
    start = time.perf_counter()
    run()
    _synchronize()
    return time.perf_counter() - start


def _synchronize() -> None:
    """Wait until the GPU has done what was queued, where CUDA is in use."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
