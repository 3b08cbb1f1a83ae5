"""ONNX Runtime sessions, and int8 versions of ONNX files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.files import complete_or_absent
from utils.quiet import without_warnings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Inputs = Mapping[str, np.ndarray]  # "input_ids", "attention_mask", "token_type_ids": (B, T)


def create_session(
    path: Path | str, *, threads: int = 1, save_optimized: Path | str | None = None
) -> InferenceSession:
    """Open an ONNX file on the CPU with all graph optimizations.

    The book's `create_model_for_provider`. A session has threads of its own: what
    `torch.set_num_threads` says does not reach it.

    Args:
        threads: of one operator; operators run one after the other.
        save_optimized: where to write the graph as it runs, after fusion and constant folding.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import onnxruntime

    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no ONNX file {path}: export the model first.")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    if save_optimized is not None:
        options.optimized_model_filepath = str(save_optimized)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantize_onnx(path: Path | str, out: Path | str, *, per_channel: bool = False) -> Path:
    """Write an int8 version of an ONNX file: weights ahead of time, activations on the fly.

    Embeddings are quantized as well as matrix products, so that the file is a quarter of the size.

    Args:
        path: the ONNX file with float weights.
        out: where the int8 version goes.
        per_channel: a scale for each column of a weight matrix, not one for all of it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with complete_or_absent(out) as partial, without_warnings():
        quantize_dynamic(path, partial, per_channel=per_channel, weight_type=QuantType.QInt8)
    return Path(out)


def quantize_onnx_static(path: Path | str, out: Path | str, batches: Iterable[Inputs]) -> Path:
    """Write an int8 version of an ONNX file with fixed ranges of the activations.

    The ranges are the smallest and largest value that each activation takes on `batches`. Products
    of two activations, in attention, and all else stay in float: with fixed ranges they lose most.

    Args:
        path: the ONNX file with float weights.
        out: where the int8 version goes.
        batches: calibration data: int64 (B, T) by name, the inputs of the session among them.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    names = [node.name for node in create_session(path).get_inputs()]
    batches = [{name: batch[name] for name in names} for batch in batches]
    with complete_or_absent(out) as partial, without_warnings():
        quantize_static(
            path,
            partial,
            _Calibration(batches),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            extra_options={"MatMulConstBOnly": True},
        )
    return Path(out)


class _Calibration:
    """Batches one after the other, as `onnxruntime.quantization` reads them."""

    def __init__(self, batches: Iterable[Inputs]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> Inputs | None:
        return next(self.batches, None)
