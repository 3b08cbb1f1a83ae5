"""Sizes of models: of their files, and in memory. 1 MB is 2**20 bytes."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from utils.benchmarking.timing import BenchmarkError

if TYPE_CHECKING:
    from torch import Tensor, nn

MB = 2**20


def state_dict_mb(model: nn.Module) -> float:
    """Size in MB of the file that `torch.save` writes of the model's weights; no file stays."""
    import torch

    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(model.state_dict(), path)
        return files_mb(path)


def files_mb(*paths: str | PathLike[str]) -> float:
    """Size in MB of files and of all that folders hold; what is named twice counts once.

    Raises:
        BenchmarkError: there is no such file or folder.
    """
    files = {file.resolve() for path in paths for file in _files(Path(path))}
    return sum(file.stat().st_size for file in files) / MB


def parameters_mb(model: nn.Module) -> float:
    """Size in MB of the model's parameters and buffers in memory; shared ones count once.

    Weights that quantized modules keep elsewhere count too, as stored: the packed int8 weights of
    `torch.ao` without what their kernel adds, the tensors within one of torchao.
    """
    held = [*model.parameters(), *model.buffers(), *model.state_dict().values()]
    storages = {}
    for tensor in _plain_tensors(held):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values()) / MB


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise BenchmarkError(
            f'There is no file or folder "{path}": check what the model is saved as.'
        )
    inside = path.rglob("*") if path.is_dir() else [path]
    return (file for file in inside if file.is_file())


def _plain_tensors(value: Any) -> Iterator[Tensor]:
    """Tensors with a storage of their own: in tuples, and inside of tensors that wrap others."""
    import torch
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    if isinstance(value, list | tuple):
        for each in value:
            yield from _plain_tensors(each)
    elif is_traceable_wrapper_subclass(value):
        names, _ = value.__tensor_flatten__()
        yield from _plain_tensors([getattr(value, name) for name in names])
    elif isinstance(value, torch.Tensor):
        yield value
