"""Sizes of the book's models with 151 classes, in MB of 2^20 bytes; weights are random."""

import pytest
import torch
import transformers

from utils.compression import export_onnx, quantize_linears, quantize_onnx

NUM_CLASSES = 151


def size(path):
    return path.stat().st_size / 2**20


def saved_size(model, folder):
    path = folder / "state.pt"
    torch.save(model.state_dict(), path)
    return size(path)


def test_bert_base(tmp_path):
    config = transformers.BertConfig(num_labels=NUM_CLASSES)
    with torch.device("meta"):
        model = transformers.BertForSequenceClassification(config)
    assert sum(weight.numel() for weight in model.parameters()) == 109_598_359
    assert saved_size(model.to_empty(device="cpu"), tmp_path) == pytest.approx(418.2, abs=0.5)


def test_distilbert_and_its_int8_and_onnx_forms(tokenizer, tmp_path):
    config = transformers.DistilBertConfig(num_labels=NUM_CLASSES)
    model = transformers.DistilBertForSequenceClassification(config)
    assert sum(weight.numel() for weight in model.parameters()) == 67_069_591
    assert saved_size(model, tmp_path) == pytest.approx(255.9, abs=0.5)
    assert saved_size(quantize_linears(model), tmp_path) == pytest.approx(132.4, abs=0.5)
    path = export_onnx(model, tokenizer, tmp_path / "model.onnx")
    assert size(path) == pytest.approx(255.8, abs=0.5)
    assert size(quantize_onnx(path, tmp_path / "int8.onnx")) == pytest.approx(64.2, abs=0.5)
