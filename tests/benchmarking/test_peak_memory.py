"""Peak memory of calls that allocate what is known."""

import time

import numpy as np
import pytest
import torch

from utils.benchmarking import peak_memory

SIZE_MB = 96
TOLERANCE_MB = 12


def allocate() -> None:
    """Hold 96 MB for a moment, twice, one after the other."""
    for _ in range(2):
        held = np.ones(SIZE_MB * 2**17)
        time.sleep(0.05)
        del held


def test_a_call_is_charged_what_it_held_at_once_whatever_ran_before():
    for _ in range(2):
        assert SIZE_MB - 1 <= peak_memory(allocate).process_mb < SIZE_MB + TOLERANCE_MB


def test_what_is_held_before_does_not_count():
    held = np.ones(SIZE_MB * 2**17)
    assert peak_memory(held.sum).process_mb < TOLERANCE_MB


def test_memory_of_torch_counts_and_a_gpu_only_where_it_is_used():
    matrix = torch.ones(1024, 1024)
    peak = peak_memory(lambda: (matrix.repeat(8, 2), time.sleep(0.05)))
    assert 63 <= peak.process_mb < 64 + TOLERANCE_MB
    assert (peak.gpu_mb is None) == (not torch.cuda.is_initialized())


def test_an_exception_of_the_call_passes():
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0)
