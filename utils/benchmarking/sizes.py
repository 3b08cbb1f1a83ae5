"""Sizes of models: of their files, and in memory. 1 MB is 2**20 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

MB = 2**20


def state_dict_mb(model: nn.Module) -> float:
    """Size in MB of the file that `torch.save` writes of the model's weights; no file stays."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(model.state_dict(), path)
        return files_mb(path)


def files_mb(*paths: str | PathLike[str]) -> float:
    """Size in MB of files and of all that folders hold; what is named twice counts once."""
    files = {file.resolve() for path in paths for file in _files(Path(path))}
    return sum(file.stat().st_size for file in files) / MB


def parameters_mb(model: nn.Module) -> float:
    """Size in MB of the model's parameters and buffers in memory; shared ones count once.

    The packed int8 weights of `torch.ao` count as stored, without what their kernel adds.
    """
    held = [*model.parameters(), *model.buffers(), *model.state_dict().values()]
    storages = {}
    for tensor in _tensors(held):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values()) / MB


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return iter([path])
    return (file for file in path.rglob("*") if file.is_file())


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, which is how quantized modules keep their weights."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, Tensor):
        yield value
