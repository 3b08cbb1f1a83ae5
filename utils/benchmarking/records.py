"""Records of benchmark runs: what was measured, where, and with which options."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Column, Table

from utils import benchmarks
from utils.benchmarking.timing import BenchmarkError, Comparison, Timing
from utils.benchmarking.tradeoff import PerformanceTable

if TYPE_CHECKING:
    import pandas as pd

RECORDS = Path("build/benchmarks")
TERMINAL_COLUMNS = (  # of a PerformanceTable
    "size (MB)",
    "smaller (x)",
    "p50 (ms)",
    "speed-up (x)",
    "in scope (%)",
    "oos recall (%)",
)
LIBRARIES = ("torch", "transformers", "onnxruntime", "numpy")
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


@dataclass(frozen=True)
class Record:
    """One run of a benchmark with all that is needed to read its numbers later.

    Attributes:
        name, title: of the benchmark.
        created: UTC, ISO 8601.
        options: what its `run` was called with.
        environment: see `environment`.
        cases: a Comparison for each case; speed-ups hold within a case.
        systems: a PerformanceTable for each case, where whole systems were measured.
    """

    name: str
    title: str
    created: str
    options: dict[str, Any]
    environment: dict[str, Any]
    cases: dict[str, Comparison]
    systems: dict[str, PerformanceTable] = field(default_factory=dict)

    @classmethod
    def now(
        cls,
        name: str,
        title: str,
        options: dict[str, Any],
        results: Mapping[str, Comparison | PerformanceTable],
    ) -> Record:
        """A record of results that were measured just now and here."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        kinds = [
            {case: result for case, result in results.items() if isinstance(result, kind)}
            for kind in (Comparison, PerformanceTable)
        ]
        return cls(name, title, created, options, environment(), *kinds)

    def frame(self) -> pd.DataFrame:
        """The rows of all comparisons, units in the column names."""
        return _in_one_frame(self.cases)

    def systems_frame(self) -> pd.DataFrame:
        """The rows of all performance tables, units in the column names."""
        return _in_one_frame(self.systems)

    def tables(self) -> list[Table]:
        """`frame` and what matters most in `systems_frame` for the terminal, with three digits."""
        frames = [self.frame()] if self.cases else []
        if self.systems:
            frames.append(self.systems_frame()[list(TERMINAL_COLUMNS)])
        return [_table(frame, self.title, self._conditions()) for frame in frames]

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
        systems = record.pop("systems", {})  # which older records lack
        tables = {case: PerformanceTable(**fields) for case, fields in systems.items()}
        return cls(**record, cases=cases, systems=tables)

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
        | {name: version(name) for name in LIBRARIES if find_spec(name)},
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
    return Record.now(name, titles[name], options, _module(name).run(**options))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{benchmarks.__name__}.{name}")


def _title(module: ModuleType) -> str:
    return inspect.getdoc(module).splitlines()[0].rstrip(".")


def _in_one_frame(cases: Mapping[str, Comparison | PerformanceTable]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat({case: results.frame() for case, results in cases.items()}, names=["case"])


def _table(frame: pd.DataFrame, title: str, caption: str) -> Table:
    labels = (Column(name, overflow="fold") for name in frame.index.names)
    options = {"justify": "right", "no_wrap": True}  # a narrow terminal breaks the names
    numbers = (Column(_two_lines(name), **options) for name in frame.columns)
    table = Table(*labels, *numbers, title=title, caption=caption)
    for row_labels, row in zip(frame.index, frame.to_numpy(), strict=True):
        table.add_row(*row_labels, *map(_three_digits, row))
    return table


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
