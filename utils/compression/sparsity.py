"""What zeros among the weights save: bytes in several forms, and time with a sparse product."""

from __future__ import annotations

import gzip

import torch
from scipy.sparse import csr_array
from torch import Tensor

from utils.benchmarking import Comparison, compare
from utils.quiet import without_warnings


def sparse_sizes(weight: Tensor) -> dict[str, int]:
    """Bytes of a matrix: as it is, as rows of non-zeros (CSR), and by gzip as its command sets it.

    CSR keeps a value and a 32-bit column for each non-zero, and a 32-bit offset for each row.

    Args:
        weight: (out, in), of floats, or of int8 after quantization.
    """
    dense = weight.detach().numpy()
    csr = csr_array(dense)
    return {
        "dense": dense.nbytes,
        "CSR": csr.data.nbytes + csr.indices.nbytes + csr.indptr.nbytes,
        "gzip": len(gzip.compress(dense.tobytes(), compresslevel=6)),
    }


def compare_products(weight: Tensor, batch_size: int = 16) -> Comparison:
    """Time W x, with W (out, in) dense and as rows of non-zeros (CSR), and x (in, batch_size)."""
    dense = weight.detach()
    with without_warnings():  # sparse tensors are in beta
        csr = dense.to_sparse_csr()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(weight.shape[1], batch_size, generator=generator)  # (in, B)
    products = {"dense": lambda: dense @ x, "CSR": lambda: csr @ x}
    return compare(products, rounds=20, items=batch_size, unit="columns")
