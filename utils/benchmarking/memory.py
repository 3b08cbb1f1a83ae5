"""Peak memory of a call."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import psutil
import torch

from utils.benchmarking.sizes import MB


class PeakMemory(NamedTuple):
    """How far a call raised memory above what was held before it, in MB of 2**20 bytes.

    Attributes:
        process_mb: of the process's resident memory, all its threads.
        gpu_mb: of what torch had allocated on the GPU; None where it uses none.
    """

    process_mb: float
    gpu_mb: float | None


def peak_memory(run: Callable[[], object]) -> PeakMemory:
    """Call `run` once and measure by how much memory rises meanwhile, read every millisecond.

    Freed memory goes back to the system first, so that what `run` allocates counts whatever ran
    before. What is held already does not count: weights in memory, and the arena that a session of
    ONNX Runtime keeps from earlier calls. Weights that are mapped from a file, as `from_pretrained`
    does, count when they are first touched.
    """
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    on_gpu = torch.cuda.is_initialized()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        gpu_before = torch.cuda.memory_allocated()
    process, done = psutil.Process(), threading.Event()
    samples = [process.memory_info().rss]

    def sample() -> None:
        while not done.wait(1e-3):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        run()
    finally:
        done.set()
        thread.join()
    gpu_mb = (torch.cuda.max_memory_allocated() - gpu_before) / MB if on_gpu else None
    return PeakMemory((max(samples) - samples[0]) / MB, gpu_mb)
