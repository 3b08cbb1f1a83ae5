"""The benchmark of a classifier: real pipelines, and rules that answer what is known."""

import math

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.metrics import accuracy_score, precision_score, recall_score
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, pipeline

from utils.assets.models import checkpoint
from utils.benchmarking import PerformanceBenchmark, performance
from utils.benchmarking.errors import BenchmarkError

NAMES = ["lights_on", "oos", "timer", "weather"]
FOUR = {"size_mb", "time_avg_ms", "time_std_ms", "accuracy"}
MB = 2**20


def queries(texts, ids, names=NAMES) -> Dataset:
    features = Features({"text": Value("string"), "intent": ClassLabel(names=names)})
    return Dataset.from_dict({"text": list(texts), "intent": list(ids)}, features)


class Lookup:
    """Answers each text with a label that was written down before, and remembers its calls."""

    def __init__(self, texts, labels) -> None:
        self.labels = dict(zip(texts, labels, strict=True))
        self.calls = []

    def __call__(self, texts):
        self.calls.append(texts)
        asked = [texts] if isinstance(texts, str) else texts
        return [{"label": self.labels.get(text, "oos"), "score": 0.9} for text in asked]


@pytest.fixture
def answered():
    """90 queries of any length in no order, what they are, and other answers to a third of them."""
    rng = np.random.default_rng(0)
    texts = [" ".join(["word"] * rng.integers(1, 12)) + f" {row}" for row in range(90)]
    truth = rng.integers(len(NAMES), size=90)
    answers = np.where(rng.random(90) < 0.3, rng.integers(len(NAMES), size=90), truth)
    return texts, truth, answers


@pytest.fixture(scope="module")
def classifier():
    """A transformers pipeline with a tiny model of random weights."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("encoder"))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=dict(enumerate(NAMES)),
        label2id={name: number for number, name in enumerate(NAMES)},
        initializer_range=3.0,  # so that texts get different labels
    )
    model = BertForSequenceClassification(config).eval()
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


@pytest.fixture(scope="module")
def homely() -> Dataset:
    texts = ["turn on the lamp", "who was galileo", "set a timer for ten minutes", "is it raining"]
    return queries(texts + [f"{text} please, and be quick" for text in texts], 2 * [0, 1, 2, 3])


@pytest.fixture(scope="module")
def benchmark(classifier, homely):
    return PerformanceBenchmark(classifier, homely, "tiny", query="turn on the lamp")


def test_labels_are_those_of_single_calls_in_the_order_of_the_dataset(benchmark, homely):
    labels = [benchmark.pipeline(text)[0]["label"] for text in homely["text"]]
    assert len(set(labels)) > 1
    assert [NAMES[number] for number in benchmark.predict()] == labels
    expected = [
        label == NAMES[number] for label, number in zip(labels, homely["intent"], strict=True)
    ]
    assert benchmark.correct().tolist() == expected
    assert benchmark.compute_accuracy() == {"accuracy": np.mean(expected)}


def test_a_pipeline_of_transformers_gets_real_batches(classifier, homely, monkeypatch):
    sizes = []
    monkeypatch.setattr(performance, "BATCH_SIZE", 5)
    hook = classifier.model.register_forward_pre_hook(
        lambda module, args, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True
    )
    PerformanceBenchmark(classifier, homely).predict()
    hook.remove()
    assert sizes == [5, 3]


def test_the_size_is_that_of_the_saved_weights(benchmark):
    num_weights = sum(each.numel() for each in benchmark.pipeline.model.parameters())
    assert benchmark.compute_size()["size_mb"] == pytest.approx(4 * num_weights / MB, abs=0.02)


def test_the_size_is_that_of_files_where_they_are_given(classifier, homely, tmp_path):
    (tmp_path / "model.onnx").write_bytes(bytes(2 * MB))
    (tmp_path / "tokenizer.json").write_bytes(bytes(MB))
    for files in ([tmp_path], [tmp_path / "model.onnx", tmp_path / "tokenizer.json"]):
        benchmark = PerformanceBenchmark(classifier, homely, files=files)
        assert benchmark.compute_size() == {"size_mb": 3}


def test_details_have_every_measure(benchmark):
    details = benchmark.details()
    four = benchmark.run_benchmark()["tiny"]
    assert four == {name: details[name] for name in FOUR}  # measured once
    assert list(details)[:4] == ["size_mb", "time_avg_ms", "time_std_ms", "accuracy"]
    assert 0 < details["p50_ms"] <= details["p95_ms"] <= details["p99_ms"]
    assert details["p50_ms"] == 1e3 * benchmark.latency.median
    assert len(benchmark.latency.samples) == 100
    assert min(details["queries_per_s"], details["queries_per_s_batch_32"]) > 0
    assert math.isfinite(details["peak_memory_mb"])
    assert details["threads"] == 1


def test_latency_is_of_single_calls_with_one_query_after_ten_that_do_not_count(answered):
    texts, truth, _ = answered
    rules = Lookup(texts, [NAMES[number] for number in truth])
    benchmark = PerformanceBenchmark(rules, queries(texts, truth), query="what time is it")
    times = benchmark.time_pipeline()
    assert rules.calls == 110 * ["what time is it"]
    assert benchmark.time_pipeline() == times
    assert len(rules.calls) == 110


def test_quality_equals_scikit_learn(answered):
    texts, truth, answers = answered
    rules = Lookup(texts, [NAMES[number] for number in answers])
    benchmark = PerformanceBenchmark(rules, queries(texts, truth))
    oos = NAMES.index("oos")
    assert benchmark.predict().tolist() == answers.tolist()
    assert benchmark.compute_accuracy()["accuracy"] == accuracy_score(truth, answers)
    assert benchmark.quality() == {
        "in_scope_accuracy": accuracy_score(truth[truth != oos], answers[truth != oos]),
        "oos_recall": recall_score(truth == oos, answers == oos),
        "oos_precision": precision_score(truth == oos, answers == oos),
    }
    assert [len(call) for call in rules.calls] == [32, 32, 26]
    lengths = [len(text) for call in rules.calls for text in call]
    assert lengths == sorted(lengths, reverse=True)


def test_what_is_undefined_is_none():
    answers = Lookup(["a", "b"], ["timer", "timer"])
    in_scope = PerformanceBenchmark(answers, queries("ab", [2, 3])).quality()
    nan = pytest.approx(np.nan, nan_ok=True)
    assert in_scope == {"in_scope_accuracy": 0.5, "oos_recall": nan, "oos_precision": nan}
    out_of_scope = PerformanceBenchmark(answers, queries("ab", [1, 1])).quality()
    assert out_of_scope == {"in_scope_accuracy": nan, "oos_recall": 0, "oos_precision": nan}


def test_throughput_is_of_32_queries_of_the_dataset_in_batches(answered):
    texts, truth, _ = answered
    rules = Lookup(texts, [NAMES[number] for number in truth])
    benchmark = PerformanceBenchmark(rules, queries(texts, truth))
    assert benchmark.throughput(32) > 0
    assert {len(call) for call in rules.calls} == {32}
    assert rules.calls[0][0] == texts[0]
    assert rules.calls[0][-1] == texts[-1]
    rules.calls.clear()
    benchmark.throughput(1)
    assert {len(call) for call in rules.calls} == {1}
    assert PerformanceBenchmark(rules, queries(texts[:3], truth[:3])).throughput(8) > 0


@pytest.mark.parametrize(
    "dataset", [queries([], []), queries("ab", [1, -1])], ids=["empty", "unlabelled"]
)
def test_queries_without_classes_get_one_sentence_before_anything_runs(dataset):
    with pytest.raises(BenchmarkError, match=r"^There are no queries, or some have no class: use"):
        PerformanceBenchmark(Lookup([], []), dataset)


def test_a_model_that_was_just_trained_gets_one_sentence(classifier, homely):
    classifier.model.train()
    with pytest.raises(
        BenchmarkError, match=r"^The model is in training mode, .* model\.eval\(\)\.$"
    ):
        PerformanceBenchmark(classifier, homely)
    classifier.model.eval()


def test_a_label_that_the_dataset_does_not_have_is_no_answer():
    benchmark = PerformanceBenchmark(Lookup(["a"], ["LABEL_3"]), queries("a", [3]))
    with pytest.raises(ValueError, match="LABEL_3"):
        benchmark.compute_accuracy()


@pytest.mark.parametrize(
    "answer",
    [
        lambda texts: [{"label": "oos"}],
        lambda texts: {"label": "oos"},
        lambda texts: [[{"label": "oos"}] for _ in texts],
    ],
    ids=["too few", "one answer", "top_k"],
)
def test_answers_of_another_shape_get_one_sentence(answer):
    benchmark = PerformanceBenchmark(answer, queries("ab", [1, 1]))
    with pytest.raises(BenchmarkError, match=r"^The pipeline must answer a list of 2 texts with"):
        benchmark.predict()
