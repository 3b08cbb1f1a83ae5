"""Runs of benchmarks and their records: what was measured, where, and with which options."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.table import Column, Table

from utils.benchmarking.errors import BenchmarkError
from utils.benchmarking.timing import Comparison
from utils.files import write_text
from utils.quiet import quiet_libraries

BENCHMARKS = {  # modules of this package, and the titles of their tables
    "decoding": "Decoding strategies against the library's `generate`, and drafts",
    "efficiency": "Smaller and faster classifiers: the table of chapter 8 over several seeds",
    "finetuning": "Fine-tuning steps of the encoder: float32 against bfloat16 autocast",
    "models": "Models from scratch against the library, with the same weights",
}
RECORDS = Path("build/benchmarks")
LIBRARIES = ("torch", "transformers", "onnxruntime", "numpy")
# The instruction sets that decide how fast int8 and bfloat16 run, by their names in /proc/cpuinfo.
CPU_FLAGS = {"avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimd", "bf16"}

Result = Comparison | pd.DataFrame


@dataclass(frozen=True)
class Record:
    """One run of a benchmark with all that is needed to read its numbers later."""

    name: str
    title: str
    created: str  # UTC, ISO 8601
    options: dict[str, Any]  # of the benchmark's `run`
    environment: dict[str, Any]
    results: dict[str, Result]  # by case; speed-ups hold within a case

    def tables(self) -> list[Table]:
        """For the terminal, with three digits: one of all comparisons, one of all data frames."""
        compared = {k: v.frame() for k, v in self.results.items() if isinstance(v, Comparison)}
        measured = {k: v for k, v in self.results.items() if isinstance(v, pd.DataFrame)}
        frames = [pd.concat(cases, names=["case"]) for cases in (compared, measured) if cases]
        settings = {"CPU": self.environment["cpu_capability"], **self.options}
        named = [f"{k} {v}" for k, v in (settings | self.environment["versions"]).items()]
        caption = ", ".join([self.environment["device"], *named])
        return [_table(frame, self.title, caption) for frame in frames]

    def save(self, folder: Path = RECORDS) -> Path:
        """Write the record to `folder` as JSON, complete or not at all, and return its path."""
        path = folder / f"{self.name}-{self.created.replace(':', '')}.json"
        write_text(json.dumps(vars(self), indent=1, default=_plain), path)
        return path


def run_benchmark(name: str, **options: Any) -> Record:
    """Run the benchmark `name`; `options` go to its `run`.

    Raises:
        BenchmarkError: there is no such benchmark, or it cannot run as asked for.
        AssetError: a model or data cannot be had.
    """
    if name not in BENCHMARKS:
        names = ", ".join(BENCHMARKS)
        raise BenchmarkError(f'There is no benchmark "{name}": choose from {names}.')
    benchmark = import_module(f"utils.benchmarks.{name}")
    quiet_libraries()
    results = benchmark.run(**options)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(name, BENCHMARKS[name], created, options, environment(), results)


def environment() -> dict[str, Any]:
    """What a duration depends on: device, CPU with its instruction sets, and library versions."""
    cpu, flags = _cpu()
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_initialized() else cpu,
        "cpu": cpu,
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_flags": sorted(CPU_FLAGS.intersection(flags)),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES if find_spec(name)},
    }


def _plain(result: Result) -> dict[str, Any]:
    """As JSON has it, undefined numbers as null."""
    if isinstance(result, Comparison):
        return asdict(result)
    return json.loads(result.to_json(orient="index", double_precision=15))


def _table(frame: pd.DataFrame, title: str, caption: str) -> Table:
    labels = (Column(name, overflow="fold") for name in frame.index.names)
    # The last word below the others keeps eight columns within 80 characters.
    headers = ["\n".join(name.rsplit(" ", 1)) for name in frame.columns]
    numbers = (Column(header, justify="right", no_wrap=True) for header in headers)
    table = Table(*labels, *numbers, title=title, caption=caption)
    digits = {"precision": 3, "unique": False, "fractional": False, "trim": "-"}
    for row_labels, row in zip(frame.index, frame.to_numpy(), strict=True):
        table.add_row(*row_labels, *(np.format_float_positional(each, **digits) for each in row))
    return table


def _cpu() -> tuple[str, set[str]]:
    """Name and instruction sets of the CPU, as far as the system tells: Linux does."""
    fields = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    flags = fields.get("flags", fields.get("Features", ""))  # x86, ARM
    return fields.get("model name", platform.processor()), set(flags.split())
