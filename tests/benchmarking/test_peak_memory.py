"""Peak memory of calls that allocate what is known."""

import time
from functools import partial

import numpy as np
import pytest
import torch

from utils.benchmarking import memory, peak_memory, peak_memory_alone

SIZE_MB = 96
TOLERANCE_MB = 12


def allocate() -> None:
    """Hold 96 MB for a moment, twice, one after the other."""
    for _ in range(2):
        held = np.ones(SIZE_MB * 2**17)
        time.sleep(0.05)
        del held


@pytest.fixture(params=["kernel", "sampled"])
def source(request, monkeypatch):
    """The kernel's peak where it has one, and readings in turns as on other systems."""
    if request.param == "sampled":
        monkeypatch.setattr(memory, "_reset_kernel_peak", lambda: False)
    return request.param


def test_a_call_is_charged_what_it_held_at_once(source):
    peak = peak_memory(allocate)
    assert SIZE_MB - 1 <= peak.process_mb < SIZE_MB + TOLERANCE_MB
    assert source == "kernel" or not peak.exact


@pytest.mark.usefixtures("source")
def test_calls_before_it_change_nothing():
    first, second = (peak_memory(allocate).process_mb for _ in range(2))
    assert first == pytest.approx(second, abs=TOLERANCE_MB)


@pytest.mark.usefixtures("source")
def test_what_is_held_before_does_not_count():
    held = np.ones(SIZE_MB * 2**17)
    assert peak_memory(held.sum).process_mb < TOLERANCE_MB


def test_memory_of_torch_counts_and_a_gpu_only_where_it_is_used():
    matrix = torch.ones(1024, 1024)
    peak = peak_memory(lambda: matrix.repeat(8, 2))
    assert 63 <= peak.process_mb < 64 + TOLERANCE_MB
    assert (peak.gpu_mb is None) == (not torch.cuda.is_initialized())


def test_a_process_of_its_own_counts_what_is_held_here_already():
    run = partial(np.ones, SIZE_MB * 2**17)
    held = [run()]
    assert peak_memory_alone(run).process_mb == pytest.approx(SIZE_MB, abs=TOLERANCE_MB)
    assert held[0].sum() == SIZE_MB * 2**17


@pytest.mark.usefixtures("source")
def test_an_exception_of_the_call_passes():
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0)
