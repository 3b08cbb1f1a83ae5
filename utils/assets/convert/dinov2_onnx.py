"""The DINOv2 backbone of a larger ONNX graph -> Dinov2Model and its image processor."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from utils.assets.convert import checkpoint, onnx_weights

PREFIX = "backbone."
HEAD_SIZE = 64  # of all DINOv2 models
ATTENTION = {  # the export's names -> those of today's Dinov2Model
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}


def convert(files: Mapping[str, Path], target: Path) -> None:
    (graph,) = files.values()
    weights = _weights(graph)
    hidden_size, _, _, patch_size = weights["embeddings.patch_embeddings.projection.weight"].shape
    positions = weights["embeddings.position_embeddings"].shape[1] - 1  # without the class token
    config = Dinov2Config(
        hidden_size=hidden_size,
        num_hidden_layers=sum(name.endswith("norm1.bias") for name in weights),
        num_attention_heads=hidden_size // HEAD_SIZE,
        image_size=patch_size * round(positions**0.5),
        patch_size=patch_size,
    )
    checkpoint.save(Dinov2Model, config, weights, target)
    _save_processor(target)


def _weights(graph: Path) -> dict[str, np.ndarray]:
    weights = {_today(name): weight for name, weight in onnx_weights.read(graph, PREFIX).items()}
    weights["embeddings.position_embeddings"] = _positions(graph)
    mask_token = np.zeros((1, weights["layernorm.bias"].size))  # only used in pretraining
    return weights | {"embeddings.mask_token": mask_token}


def _positions(path: Path) -> np.ndarray:
    """Position embeddings (1, 1 + patches, D); the export keeps the class token's apart."""
    graph = onnx.load(path).graph
    constants = onnx_weights.constants(graph)
    unnamed = [
        weight
        for name, weight in constants.items()
        if name.startswith("onnx::") and weight.ndim == 3
    ]
    token, patches = sorted(unnamed, key=lambda weight: weight.shape[1])
    return np.concatenate([token, patches], axis=1)


def _today(name: str) -> str:
    for old, new in ATTENTION.items():
        name = name.replace(f"{old}.", f"{new}.")
    return name


def _save_processor(target: Path) -> None:
    BitImageProcessorPil(
        do_resize=True,
        size={"shortest_edge": 256},
        do_center_crop=True,
        crop_size={"height": 224, "width": 224},
        image_mean=IMAGENET_DEFAULT_MEAN,
        image_std=IMAGENET_DEFAULT_STD,
        resample=3,  # bicubic
        do_convert_rgb=True,
    ).save_pretrained(target)
