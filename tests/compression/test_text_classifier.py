"""Text classifiers over torch and ONNX against the pipeline of transformers."""

import shutil
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from utils.compression import (
    OnnxPipeline,
    TextClassifier,
    create_session,
    onnx_runner,
    save_classifier,
    torch_runner,
)


@pytest.fixture(scope="module")
def library(small_bert, tokenizer):
    return transformers.pipeline("text-classification", model=small_bert, tokenizer=tokenizer)


@pytest.fixture(scope="module", params=["torch", "onnx", "book", "loaded"])
def classify(request, small_bert, tokenizer, onnx_file, tmp_path_factory):
    id2label = small_bert.config.id2label
    if request.param == "torch":
        return TextClassifier(torch_runner(small_bert), tokenizer, id2label)
    if request.param == "onnx":
        return TextClassifier(onnx_runner(create_session(onnx_file)), tokenizer, id2label)
    if request.param == "book":
        return OnnxPipeline(create_session(onnx_file), tokenizer, id2label)
    folder = tmp_path_factory.mktemp("classifier")
    save_classifier(folder, onnx_file, tokenizer, id2label, max_length=64)
    return TextClassifier.load(folder)


def assert_same(answers, expected):
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    scores = [answer["score"] for answer in answers]
    assert scores == pytest.approx([answer["score"] for answer in expected], abs=1e-5)


def test_a_text_gets_the_answer_of_the_library(classify, library, texts):
    for text in texts:
        answers = classify(text)
        assert_same(answers, library(text))
        assert type(answers[0]["score"]) is float


def test_texts_of_several_lengths_in_one_call_get_the_answers_of_the_library(
    classify, library, texts
):
    answers = classify(texts)
    assert_same(answers, library(texts))
    assert len({answer["score"] for answer in answers}) == len(texts)


def test_the_batch_size_changes_nothing(small_bert, tokenizer, texts):
    classify = TextClassifier(torch_runner(small_bert), tokenizer, small_bert.config.id2label)
    for batch_size in (1, 2, 5, 100):
        assert_same(classify(texts, batch_size=batch_size), classify(texts))


def test_a_long_text_is_cut_at_max_length(small_bert, tokenizer, library):
    classify = TextClassifier(
        torch_runner(small_bert), tokenizer, small_bert.config.id2label, max_length=20
    )
    text = "open the window " * 30
    assert classify.encode([text])["input_ids"].shape == (1, 20)
    assert_same(classify(text), library(text, truncation=True, max_length=20))


def test_encoding_is_that_of_the_library_and_leaves_its_tokenizer_alone(tokenizer, texts):
    before = tokenizer.backend_tokenizer.to_str()
    classify = TextClassifier(lambda inputs: inputs, tokenizer, {0: "a", 1: "b"})
    inputs = classify.encode(texts)
    assert tokenizer.backend_tokenizer.to_str() == before
    expected = tokenizer(texts, padding=True, return_tensors="np")
    for name, array in expected.items():
        assert np.array_equal(inputs[name], array)
        assert inputs[name].dtype == np.int64


@pytest.mark.parametrize("kind", [tuple, np.array, lambda texts: pd.Series(texts, index=[9, 8, 7])])
def test_texts_come_in_any_sequence(classify, kind):
    texts = ["open the window", "stop", "turn the light on"]
    assert classify(kind(texts)) == classify(texts)


@pytest.mark.parametrize("texts", [[""], ["fine", "  \n"], [None], [7], "", [], pd.Series([])])
def test_what_is_no_text_is_refused(classify, texts):
    with pytest.raises(ValueError, match="no text to classify: give"):
        classify(texts)


def test_half_of_a_character_is_refused(classify):
    with pytest.raises(ValueError, match="holds a lone surrogate, half of a character"):
        classify(["fine", "hi \ud83d"])


@pytest.mark.parametrize("batch_size", [0, -1, 2.0])
def test_a_batch_of_no_size_is_refused(small_bert, tokenizer, batch_size):
    classify = TextClassifier(torch_runner(small_bert), tokenizer, small_bert.config.id2label)
    with pytest.raises(ValueError, match=f"^batch_size is {batch_size}: choose a whole number"):
        classify(["fine"], batch_size=batch_size)


def test_a_damaged_model_gives_no_label(small_bert, tokenizer):
    damaged = deepcopy(small_bert)
    torch.nn.init.constant_(damaged.classifier.bias, float("nan"))
    classify = TextClassifier(torch_runner(damaged), tokenizer, small_bert.config.id2label)
    with pytest.raises(ValueError, match=r"^Some of the model's logits are NaN"):
        classify("open the window")


def test_dropout_is_off_in_a_runner(small_bert, tokenizer, texts):
    small_bert.train()
    classify = TextClassifier(torch_runner(small_bert), tokenizer, small_bert.config.id2label)
    assert classify(texts) == classify(texts)


def test_a_runner_gives_float32_whatever_the_model_computes_in(small_bert, tokenizer, texts):
    half = deepcopy(small_bert).to(torch.bfloat16)
    inputs = TextClassifier(torch_runner(half), tokenizer, half.config.id2label).encode(texts)
    logits = torch_runner(half)(inputs)
    assert logits.dtype == np.float32
    assert np.abs(logits - torch_runner(small_bert)(inputs)).max() < 0.2


def test_a_model_without_token_types_is_not_given_any(small_distilbert, tokenizer, texts):
    library = transformers.pipeline(
        "text-classification", model=small_distilbert, tokenizer=tokenizer
    )
    run = torch_runner(small_distilbert)
    classify = TextClassifier(run, tokenizer, small_distilbert.config.id2label)
    expected = [library(text, return_token_type_ids=False)[0] for text in texts]
    assert_same(classify(texts), expected)


def test_what_is_saved_is_all_that_is_needed(small_bert, tokenizer, onnx_file, tmp_path, texts):
    files = save_classifier(tmp_path / "a", onnx_file, tokenizer, small_bert.config.id2label)
    assert sorted(files) == sorted((tmp_path / "a").iterdir())
    shutil.move(tmp_path / "a", tmp_path / "b")
    run = torch_runner(small_bert)
    expected = TextClassifier(run, tokenizer, small_bert.config.id2label)(texts)
    assert_same(TextClassifier.load(tmp_path / "b")(texts), expected)
