"""Sizes of files and of models in memory, against arithmetic."""

import io
import tempfile
import warnings

import pytest
import torch
from torch import nn

from utils.benchmarking import files_mb, parameters_mb, state_dict_mb

MB = 2**20


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder where temporary files of the test lie."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_saved_weights_are_as_large_as_what_torch_writes(temporary):
    model = nn.Sequential(nn.Linear(300, 200), nn.LayerNorm(200))
    written = io.BytesIO()
    torch.save(model.state_dict(), written)
    assert state_dict_mb(model) == pytest.approx(written.tell() / MB, rel=0.01)
    assert state_dict_mb(model) > 4 * (300 * 200 + 3 * 200) / MB
    assert list(temporary.iterdir()) == []


def test_files_and_folders_add_up_and_count_once(tmp_path):
    (tmp_path / "model" / "more").mkdir(parents=True)
    (tmp_path / "model" / "model.onnx").write_bytes(bytes(3 * MB))
    (tmp_path / "model" / "more" / "tokenizer.json").write_bytes(bytes(MB // 2))
    (tmp_path / "labels.json").write_bytes(bytes(MB // 4))
    model = tmp_path / "model"
    assert files_mb(model) == 3.5
    assert files_mb(model, str(tmp_path / "labels.json")) == 3.75
    assert files_mb(model, model / "model.onnx", model / "more" / ".." / "model.onnx") == 3.5


def test_a_file_that_does_not_exist_has_no_size(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx"):
        files_mb(tmp_path / "gone.onnx")


@pytest.mark.parametrize(("dtype", "num_bytes"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_parameters_and_buffers_take_their_bytes(dtype, num_bytes):
    model = nn.Linear(300, 200, dtype=dtype)
    model.register_buffer("positions", torch.arange(512), persistent=False)
    assert parameters_mb(model) == (num_bytes * (300 * 200 + 200) + 8 * 512) / MB


def test_shared_weights_count_once():
    model = nn.ModuleDict(
        {"embedding": nn.Embedding(50, 8), "output": nn.Linear(8, 50, bias=False)}
    )
    model["output"].weight = model["embedding"].weight
    assert parameters_mb(model) == 4 * 50 * 8 / MB


def test_packed_int8_weights_count_one_byte_each():
    model = nn.Sequential(nn.Embedding(100, 256), nn.Linear(256, 512))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
        size = parameters_mb(quantized)
    assert size == pytest.approx((4 * 100 * 256 + 256 * 512 + 4 * 512) / MB, rel=1e-3)
