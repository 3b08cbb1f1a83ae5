"""What zeros save: bytes, counted by hand, and the sparse product itself."""

import gzip

import pytest
import torch

from utils.compression.sparsity import compare_products, sparse_sizes
from utils.training.pruning import topk_mask


def pruned(sparsity, rows=300, columns=500):
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    return weight * topk_mask(weight.abs(), 1 - sparsity)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_sizes_are_what_the_formats_need(sparsity):
    weight = pruned(sparsity)
    sizes = sparse_sizes(torch.nn.Parameter(weight))
    num_values = round((1 - sparsity) * 150_000)
    assert sizes["dense"] == 4 * 150_000
    assert sizes["CSR"] == (4 + 4) * num_values + 4 * 301
    packed = gzip.compress(weight.numpy().tobytes(), compresslevel=6)
    assert sizes["gzip"] == len(packed)


def test_sparse_rows_pay_from_half_of_zeros_on():
    shares = [0.40, 0.48, 0.52, 0.60, 0.97]
    sizes = [sparse_sizes(pruned(share)) for share in shares]
    assert [each["CSR"] < each["dense"] for each in sizes] == [False, False, True, True, True]
    packed = [each["gzip"] for each in sizes]
    assert packed == sorted(packed, reverse=True)


def test_zeros_and_int8_save_together():
    weight = pruned(0.9)
    quantized = (weight / weight.abs().max() * 127).round().to(torch.int8)
    sizes = sparse_sizes(quantized)
    assert sizes["dense"] == 150_000
    num_values = int((quantized != 0).sum())
    assert sizes["CSR"] == (1 + 4) * num_values + 4 * 301
    assert sizes["gzip"] < sparse_sizes(weight)["gzip"] / 2


def test_products_are_timed_side_by_side():
    comparison = compare_products(torch.nn.Parameter(pruned(0.9)), batch_size=8)
    assert list(comparison.timings) == ["dense", "CSR"]
    assert comparison.baseline == "dense"
    assert comparison.items == 8
