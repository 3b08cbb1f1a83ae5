"""Peak memory of a call."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psutil

from utils.benchmarking.sizes import MB

SAMPLING_INTERVAL = 1e-3  # seconds


@dataclass(frozen=True)
class PeakMemory:
    """How far memory rose during a call above what was held before it, in MB of 2**20 bytes.

    Attributes:
        process_mb: of the process's resident memory, all its threads.
        gpu_mb: of what torch had allocated on the GPU; None where it uses none.
        exact: process_mb is the kernel's own peak (Linux). Elsewhere memory is read every
            millisecond, and a shorter peak is missed.
    """

    process_mb: float
    gpu_mb: float | None
    exact: bool


def peak_memory(run: Callable[[], object]) -> PeakMemory:
    """Call `run` once and measure by how much memory rises meanwhile.

    Freed memory goes back to the system first, so that what `run` allocates counts whatever ran
    before. What is held already does not count: weights in memory, and the arena that a session of
    ONNX Runtime keeps from earlier calls. Weights that are mapped from a file, as `from_pretrained`
    does, count when they are first touched. To compare systems, see `peak_memory_alone`.
    """
    _give_back_freed_memory()
    gpu_before = _start_gpu()
    before = psutil.Process().memory_info().rss
    exact = _reset_kernel_peak()
    if exact:
        run()
        peak = _kernel_peak()
    else:
        with sampled_peak() as samples:
            run()
        peak = max(samples)
    return PeakMemory(max(0, peak - before) / MB, _gpu_rise(gpu_before), exact)


def peak_memory_alone(run: Callable[[], object]) -> PeakMemory:
    """`peak_memory` of a call that loads a system and uses it, in a process of its own.

    All that a system needs counts then, whatever its runtime keeps: weights, arena, activations,
    and modules that are imported during the call, but not those that `run` is defined with. The
    call can be pickled: `partial(TextClassifier.load, folder)`, say, but nothing of a notebook.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_memory, run).result()


@contextmanager
def sampled_peak(interval: float = SAMPLING_INTERVAL) -> Iterator[list[int]]:
    """Resident memory of the process in bytes, read every `interval` seconds inside the block."""
    process, stop = psutil.Process(), threading.Event()
    samples = [process.memory_info().rss]

    def sample() -> None:
        while not stop.wait(interval):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _give_back_freed_memory() -> None:
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _reset_kernel_peak() -> bool:
    """Whether the kernel lets a process set its peak back to what it holds now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _kernel_peak() -> int:
    """Peak resident memory in bytes since the reset."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def _start_gpu() -> int:
    """Bytes that torch holds on the GPU; its peak is set back to that."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _gpu_rise(before: int) -> float | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / MB
