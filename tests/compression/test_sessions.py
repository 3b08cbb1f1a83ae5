"""Sessions, and int8 files of a classifier that has learned something."""

import logging

import numpy as np
import onnx
import pytest
import torch
import transformers

from utils.assets.datasets import load
from utils.compression import (
    TextClassifier,
    create_session,
    export_onnx,
    onnx_runner,
    quantize_linears,
    quantize_onnx,
    quantize_onnx_static,
    quantize_weights_only,
    torch_runner,
    trim_vocabulary,
)

NUM_TRAIN, NUM_TEST, MAX_LENGTH = 600, 300, 64


@pytest.fixture(scope="module")
def questions():
    return load("questions")["train"].select(range(NUM_TRAIN + NUM_TEST))


@pytest.fixture(scope="module")
def trained(tokenizer, questions):
    """A small model of six classes of questions, and its tokenizer, after six epochs."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=128, max_position_embeddings=MAX_LENGTH, num_labels=6,
    )  # fmt: skip
    texts, labels = questions["text"][:NUM_TRAIN], torch.tensor(questions["coarse_label"])
    model, tokenizer = trim_vocabulary(
        transformers.BertForSequenceClassification(config), tokenizer, texts
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(6):
        for rows in torch.randperm(NUM_TRAIN).split(32):
            inputs = tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt")
            model(**inputs, labels=labels[rows]).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def batches(trained, questions):
    """The inputs of 300 texts that the model has not seen, shortest first."""
    model, tokenizer = trained
    run = torch_runner(model)
    classify = TextClassifier(run, tokenizer, model.config.id2label, max_length=MAX_LENGTH)
    texts = sorted(questions["text"][NUM_TRAIN:], key=len)
    return [classify.encode(texts[start : start + 50]) for start in range(0, NUM_TEST, 50)]


@pytest.fixture(scope="module")
def predict(batches):
    """Predicted classes (NUM_TEST,) of a runner."""
    return lambda run: np.concatenate([run(batch).argmax(axis=1) for batch in batches])


@pytest.fixture(scope="module")
def in_torch(trained, predict):
    return predict(torch_runner(trained[0]))


@pytest.fixture(scope="module")
def fp32(trained, tmp_path_factory):
    return export_onnx(*trained, tmp_path_factory.mktemp("fp32") / "model.onnx")


def test_the_exported_model_predicts_what_torch_predicts(fp32, predict, in_torch):
    assert len(set(in_torch.tolist())) == 6
    assert np.array_equal(predict(onnx_runner(create_session(fp32))), in_torch)


@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamic_int8_agrees_and_is_smaller(fp32, predict, in_torch, tmp_path, per_channel):
    int8 = quantize_onnx(fp32, tmp_path / "int8.onnx", per_channel=per_channel)
    run = onnx_runner(create_session(int8))
    assert np.mean(predict(run) == in_torch) >= 0.97
    assert int8.stat().st_size < 0.4 * fp32.stat().st_size
    assert list(tmp_path.iterdir()) == [int8]


def test_static_int8_has_fixed_scales_from_the_calibration_data(
    fp32, predict, in_torch, batches, tmp_path
):
    int8 = quantize_onnx_static(fp32, tmp_path / "static.onnx", batches[:2])
    assert np.mean(predict(onnx_runner(create_session(int8))) == in_torch) >= 0.95
    assert int8.stat().st_size < 0.4 * fp32.stat().st_size
    ops = {node.op_type for node in onnx.load(int8).graph.node}
    assert "QuantizeLinear" in ops
    assert "DynamicQuantizeLinear" not in ops


@pytest.mark.parametrize("quantize", [quantize_linears, quantize_weights_only])
def test_int8_in_torch_agrees_and_leaves_the_model_alone(trained, predict, in_torch, quantize):
    smaller = quantize(trained[0])
    assert np.mean(predict(torch_runner(smaller)) == in_torch) >= 0.97
    assert np.array_equal(predict(torch_runner(trained[0])), in_torch)


def test_sessions_use_the_threads_asked_for_and_an_existing_file(onnx_file, tmp_path):
    session = create_session(onnx_file, threads=2)
    assert session.get_session_options().intra_op_num_threads == 2
    assert create_session(onnx_file).get_session_options().intra_op_num_threads == 1
    with pytest.raises(FileNotFoundError, match=r"no ONNX file .*nothing\.onnx: export"):
        create_session(tmp_path / "nothing.onnx")


def test_quantizing_is_quiet_and_logging_works_afterwards(onnx_file, tmp_path, caplog, capfd):
    quantize_onnx(onnx_file, tmp_path / "int8.onnx")
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    logging.getLogger("after").warning("heard")
    assert caplog.messages == ["heard"]
