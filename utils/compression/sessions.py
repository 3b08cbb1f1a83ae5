"""ONNX Runtime sessions, and int8 versions of ONNX files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.compression.files import complete_or_absent
from utils.compression.quiet import without_warnings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Inputs = Mapping[str, np.ndarray]  # "input_ids", "attention_mask", "token_type_ids": (B, T)


def create_session(
    path: Path | str,
    *,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
    save_optimized: Path | str | None = None,
) -> InferenceSession:
    """Open an ONNX file with all graph optimizations, on one provider and no other.

    The book's `create_model_for_provider`. A session has threads of its own: what
    `torch.set_num_threads` says does not reach it.

    Args:
        path: the ONNX file.
        threads: of one operator; operators run one after the other.
        provider: where it runs, one of `onnxruntime.get_available_providers()`.
        save_optimized: where to write the graph as it runs, after fusion and constant folding.

    Raises:
        ValueError: the provider is not available here.
        FileNotFoundError: there is no such file.
    """
    import onnxruntime

    _check_provider(provider, onnxruntime.get_available_providers())
    _check_file(path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    if save_optimized is not None:
        options.optimized_model_filepath = str(save_optimized)
    session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    session.disable_fallback()
    return session


def quantize_onnx(path: Path | str, out: Path | str, *, per_channel: bool = False) -> Path:
    """Write an int8 version of an ONNX file: weights ahead of time, activations on the fly.

    Embeddings are quantized as well as matrix products, so that the file is a quarter of the size.

    Args:
        path: the ONNX file with float weights.
        out: where the int8 version goes.
        per_channel: a scale for each column of a weight matrix, not one for all of it.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    _check_file(path)
    with complete_or_absent(out) as partial, without_warnings():
        quantize_dynamic(path, partial, per_channel=per_channel, weight_type=QuantType.QInt8)
    return Path(out)


def quantize_onnx_static(
    path: Path | str, out: Path | str, batches: Iterable[Inputs], *, per_channel: bool = False
) -> Path:
    """Write an int8 version of an ONNX file with fixed ranges of the activations.

    The ranges are the smallest and largest value that each activation takes on `batches`. Products
    of two activations, in attention, and all else stay in float: with fixed ranges they lose most.

    Args:
        path: the ONNX file with float weights.
        out: where the int8 version goes.
        batches: calibration data: int64 (B, T) by name, the inputs of the session among them.
        per_channel: a scale for each column of a weight matrix, not one for all of it.

    Returns:
        `out`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there are no calibration batches.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    _check_file(path)
    names = [node.name for node in create_session(path).get_inputs()]
    batches = [{name: batch[name] for name in names} for batch in batches]
    if not batches:
        raise ValueError("There is nothing to calibrate with: give at least one batch of inputs.")
    with complete_or_absent(out) as partial, without_warnings():
        quantize_static(
            path,
            partial,
            _Calibration(batches),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
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


def _check_provider(provider: str, available: list[str]) -> None:
    if provider not in available:
        raise ValueError(f'"{provider}" is not available here: choose {" or ".join(available)}.')


def _check_file(path: Path | str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no ONNX file {path}: export the model first.")
