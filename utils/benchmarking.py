"""Honest timing: one timer, interleaved comparisons, tables and records.

    comparison = compare({"fp32": step_fp32, "bf16": step_bf16}, items=32, unit="samples")
    comparison.frame()

Candidates take turns within one run, so that a machine that slows down slows all of them down.
Medians stand for them, and a ratio comes with an interval. One thread unless stated.

    python -m utils.benchmarking [NAME]     runs the benchmarks in utils/benchmarks
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Column, Table

from utils import benchmarks
from utils.assets.errors import AssetError

if TYPE_CHECKING:
    import pandas as pd

RECORDS = Path("build/benchmarks")
LIBRARIES = ("torch", "transformers", "numpy")
# The instruction sets that decide how fast int8 and bfloat16 run, by their names in /proc/cpuinfo.
CPU_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "bf16",
)
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
        baseline: name of the candidate to compare with; the first one by default.
        items, unit: what one call processes, for the throughput.
        threads: CPU threads for torch; the caller's setting comes back afterwards.
        clock: returns seconds.

    Raises:
        BenchmarkError: no candidates, an unknown baseline, or a count that is too small.
    """
    _check(candidates, baseline, rounds=rounds, warmup=warmup, items=items)
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    with torch_threads(threads):
        for _ in range(warmup):
            for run in candidates.values():
                run()
        for order in _rotations(candidates, rounds):
            for name in order:
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


@dataclass(frozen=True)
class Record:
    """One run of a benchmark with all that is needed to read its numbers later.

    Attributes:
        name, title: of the benchmark.
        created: UTC, ISO 8601.
        options: what its `run` was called with.
        environment: see `environment`.
        cases: a Comparison for each case; speed-ups hold within a case.
    """

    name: str
    title: str
    created: str
    options: dict[str, Any]
    environment: dict[str, Any]
    cases: dict[str, Comparison]

    def frame(self) -> pd.DataFrame:
        """The rows of all cases, units in the column names."""
        import pandas as pd

        return pd.concat({case: c.frame() for case, c in self.cases.items()}, names=["case"])

    def table(self) -> Table:
        """`frame` for the terminal, three significant digits."""
        frame = self.frame()
        labels = (Column(name, overflow="fold") for name in frame.index.names)
        options = {"justify": "right", "no_wrap": True}  # a narrow terminal breaks the names
        numbers = (Column(_two_lines(name), **options) for name in frame.columns)
        table = Table(*labels, *numbers, title=self.title, caption=self._conditions())
        for row_labels, row in zip(frame.index, frame.to_numpy(), strict=True):
            table.add_row(*row_labels, *map(_three_digits, row))
        return table

    def save(self, folder: Path = RECORDS) -> Path:
        """Write the record to `folder` as JSON, complete or not at all, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}-{self.created.replace(':', '')}.json"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read back what `save` wrote."""
        record = json.loads(path.read_text(encoding="utf-8"))
        cases = {case: _read_comparison(fields) for case, fields in record.pop("cases").items()}
        return cls(**record, cases=cases)

    def _conditions(self) -> str:
        environment = self.environment
        settings = self.options | {"CPU capability": environment["cpu_capability"]}
        named = [f"{name} {value}" for name, value in (settings | environment["versions"]).items()]
        return ", ".join([environment["device"], *named])


def environment() -> dict[str, Any]:
    """What a duration depends on: device, CPU with its instruction sets, and library versions."""
    import torch

    cpu, flags = _cpu()
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_initialized() else cpu,
        "cpu": cpu,
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_flags": [flag for flag in CPU_FLAGS if flag in flags],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
    }


def benchmark_titles() -> dict[str, str]:
    """The title of each benchmark by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return {name: _title(_module(name)) for name in names}


def run_benchmark(name: str, **options: Any) -> Record:
    """Run the benchmark `name`; `options` go to its `run`.

    Raises:
        BenchmarkError: there is no such benchmark, or it cannot run as asked for.
    """
    titles = benchmark_titles()
    if name not in titles:
        raise BenchmarkError(f'There is no benchmark "{name}": choose from {", ".join(titles)}.')
    created = datetime.now(UTC).isoformat(timespec="seconds")
    cases = _module(name).run(**options)
    return Record(name, titles[name], created, options, environment(), cases)


app = typer.Typer(add_completion=False)


@app.command()
def main(
    name: Annotated[str | None, typer.Argument(help="One benchmark; all without it.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads that torch may use.")] = 1,
    rounds: Annotated[
        int | None, typer.Option(help="Timed calls; each benchmark has its own.")
    ] = None,
    assets: Annotated[
        str, typer.Option(help="packaged or hub: where models and data come from.")
    ] = "packaged",
    show_list: Annotated[
        bool, typer.Option("--list", help="Show the benchmarks and stop.")
    ] = False,
) -> None:
    """Run benchmarks, show their tables and keep their records under build/benchmarks."""
    if show_list:
        for listed, title in benchmark_titles().items():
            typer.echo(f"{listed}: {title}")
        return
    if assets == "packaged":  # read by huggingface_hub when it is imported
        os.environ["HF_HUB_OFFLINE"] = "1"
    given = {"threads": threads, "assets": assets, "rounds": rounds}
    options = {option: value for option, value in given.items() if value is not None}
    try:
        for chosen in [name] if name else benchmark_titles():
            _run_and_show(chosen, options)
    except (BenchmarkError, AssetError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _run_and_show(name: str, options: dict[str, Any]) -> None:
    typer.echo(f"Running {name} ...")
    record = run_benchmark(name, **options)
    Console().print(record.table())
    typer.echo(f"Record: {record.save()}")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{benchmarks.__name__}.{name}")


def _title(module: ModuleType) -> str:
    return inspect.getdoc(module).splitlines()[0].rstrip(".")


def _read_comparison(fields: dict[str, Any]) -> Comparison:
    """A Comparison from its JSON form."""
    timings = {name: Timing(tuple(t["samples"])) for name, t in fields.pop("timings").items()}
    return Comparison(timings, **fields)


def _two_lines(header: str) -> str:
    """The last word below the others, which keeps eight columns within 80 characters."""
    return "\n".join(header.rsplit(" ", 1))


def _three_digits(number: float) -> str:
    return np.format_float_positional(number, precision=3, unique=False, fractional=False, trim="-")


def _cpu() -> tuple[str, set[str]]:
    """Name and instruction sets of the CPU, as far as the system tells: Linux does."""
    fields = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    flags = fields.get("flags", fields.get("Features", ""))  # x86, ARM
    return fields.get("model name", platform.processor()), set(flags.split())


if __name__ == "__main__":
    # Benchmarks import this module by its name; running that one keeps each class unique.
    importlib.import_module("utils.benchmarking").app()
