"""Systems side by side: quality, speed and size against a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.benchmarking.performance import PerformanceBenchmark, latency_ms
from utils.benchmarking.timing import BenchmarkError, Comparison

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PerformanceTable:
    """What was measured of several systems.

    Attributes:
        details: of each system, as `PerformanceBenchmark.details` gives them.
        baseline: the system that the others are compared with.
    """

    details: dict[str, dict[str, float | None]]
    baseline: str

    def frame(self) -> pd.DataFrame:
        """One row for each system, units in the column names.

        "smaller (x)" and "speed-up (x)" divide the baseline's size and median latency by the
        system's; "change (points)" is its accuracy minus the baseline's.
        """
        import pandas as pd

        rows = {name: self._row(numbers) for name, numbers in self.details.items()}
        frame = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
        return frame.rename_axis("system")

    def _row(self, numbers: dict[str, float | None]) -> dict[str, float | None]:
        baseline = self.details[self.baseline]
        return {
            "size (MB)": numbers["size_mb"],
            "smaller (x)": baseline["size_mb"] / numbers["size_mb"],
            "mean (ms)": numbers["time_avg_ms"],
            "std (ms)": numbers["time_std_ms"],
            **{f"{each} (ms)": numbers[f"{each}_ms"] for each in ("p50", "p95", "p99")},
            "speed-up (x)": baseline["p50_ms"] / numbers["p50_ms"],
            "accuracy (%)": 100 * numbers["accuracy"],
            "change (points)": 100 * (numbers["accuracy"] - baseline["accuracy"]),
            "in scope (%)": _percent(numbers["in_scope_accuracy"]),
            "oos recall (%)": _percent(numbers["oos_recall"]),
            "oos precision (%)": _percent(numbers["oos_precision"]),
            "queries/s": numbers["queries_per_s"],
            "queries/s, batch 32": numbers["queries_per_s_batch_32"],
            "peak memory (MB)": numbers["peak_memory_mb"],
            "peak GPU (MB)": numbers["peak_gpu_mb"],
            "threads": numbers["threads"],
        }


def performance_table(
    benchmarks: Iterable[PerformanceBenchmark],
    *,
    baseline: str | None = None,
    comparison: Comparison | None = None,
) -> PerformanceTable:
    """What the benchmarks measured, side by side; `Record` keeps it as JSON.

    Args:
        benchmarks: of systems on the same queries.
        baseline: optim_type to compare with; the first one by default.
        comparison: of the same systems in turns, as `compare_pipelines` gives it. Latencies are
            then its own: what each benchmark timed alone met the machine at another time.

    Raises:
        BenchmarkError: no systems, a name twice, an unknown baseline, or a comparison of others.
    """
    benchmarks = list(benchmarks)
    names = [benchmark.optim_type for benchmark in benchmarks]
    _check_names(names, baseline, comparison)
    details = {benchmark.optim_type: benchmark.details() for benchmark in benchmarks}
    if comparison is not None:
        details = {name: details[name] | latency_ms(comparison.timings[name]) for name in names}
    return PerformanceTable(details, baseline or names[0])


def _check_names(names: Sequence[str], baseline: str | None, comparison: Comparison | None) -> None:
    if not names:
        raise BenchmarkError("There are no systems: give at least one benchmark.")
    if len(set(names)) < len(names):
        raise BenchmarkError(f"Two systems have one name: {', '.join(names)}.")
    if baseline is not None and baseline not in names:
        known = ", ".join(names)
        raise BenchmarkError(f'The baseline "{baseline}" is no system: choose from {known}.')
    if comparison is not None and not set(names) <= set(comparison.timings):
        missing = ", ".join(name for name in names if name not in comparison.timings)
        raise BenchmarkError(f"The comparison has no timings of {missing}: compare all systems.")


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
