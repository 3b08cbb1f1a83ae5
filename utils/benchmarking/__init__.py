"""Honest timing, size, memory and quality: interleaved comparisons, tables and records.

    comparison = compare({"fp32": step_fp32, "bf16": step_bf16}, items=32, unit="samples")
    comparison.frame()

Candidates take turns within one run, so that a machine that slows down slows all of them down.
Medians stand for them, and a ratio comes with an interval. One thread unless stated.

    benchmarks = [PerformanceBenchmark(pipeline, dataset, "teacher"), ...]
    performance_table(benchmarks).frame()

measures whole text classifiers: quality in and out of scope, latency, throughput, size, memory.

    python -m utils.benchmarking [NAME]     runs the benchmarks in utils/benchmarks
"""

from utils.benchmarking.cli import app
from utils.benchmarking.memory import PeakMemory, peak_memory, peak_memory_alone
from utils.benchmarking.performance import PerformanceBenchmark
from utils.benchmarking.pipelines import (
    TextPipeline,
    compare_pipelines,
    latency_by_length,
    query_of_length,
)
from utils.benchmarking.records import Record, benchmark_titles, environment, run_benchmark
from utils.benchmarking.significance import Difference, McNemar, mcnemar, paired_bootstrap
from utils.benchmarking.sizes import files_mb, parameters_mb, state_dict_mb
from utils.benchmarking.timing import (
    BenchmarkError,
    Comparison,
    Speedup,
    Timing,
    compare,
    measure,
    torch_threads,
)
from utils.benchmarking.tradeoff import PerformanceTable, performance_table
