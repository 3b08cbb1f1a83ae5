"""Honest timing, size, memory and quality, and how sure a measured number is.

    comparison = compare({"fp32": step_fp32, "bf16": step_bf16}, items=32, unit="samples")
    comparison.frame()

Candidates take turns within one run, so that a machine that slows down slows all of them down.
Medians stand for them, and a ratio comes with an interval. One thread unless stated.

    PerformanceBenchmark(pipeline, dataset, "teacher", files=[path]).details()

measures a text classifier: quality in and out of scope, latency, throughput, size, memory.

`python -m utils.benchmarking [NAME]` runs the benchmarks in utils/benchmarks.
"""

from utils.benchmarking.memory import PeakMemory, peak_memory
from utils.benchmarking.performance import PerformanceBenchmark
from utils.benchmarking.pipelines import compare_pipelines
from utils.benchmarking.significance import (
    Interval,
    McNemar,
    bootstrap,
    mcnemar,
    paired_bootstrap,
)
from utils.benchmarking.sizes import files_mb, parameters_mb, state_dict_mb
from utils.benchmarking.timing import Comparison, Timing, compare, measure, torch_threads
