"""The benchmark of efficiency: all systems are there, and are what their names say."""

import io
from functools import partial

import numpy as np
import pytest
import torch
import torch._inductor.config
from datasets import ClassLabel, Dataset, Features, Value
from rich.console import Console
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForSequenceClassification

from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import BenchmarkError, Comparison, PerformanceTable, Record, Timing
from utils.benchmarks import efficiency
from utils.benchmarks.efficiency import Models, compare_systems
from utils.training import drop_layers

TRAINED = ["teacher", "student", "control", "layers", "distilled"]
IN_ONNX = {"ONNX", "ONNX int8", "trimmed", "final"}
SYSTEMS = {*TRAINED, "teacher, lean", "torch int8", "torch bf16", *IN_ONNX}
NAMES = ["lights", "heating", "music", "oos"]
TEXTS = ["dim the lights", "it is far too cold in here", "why", "play the song once more please"]
LABELS = dict(enumerate(NAMES))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Systems and results of one seed: a teacher with three layers, students with one."""
    folder, built = tmp_path_factory.mktemp("models"), {}
    save_layers(folder / "bert", [0, 1, 2])
    save_layers(folder / "small_student", [2])

    def compare(systems, *arguments):
        built.update(systems)
        return compare_systems(systems, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficiency, "checkpoint", lambda role, assets: str(folder / role))
        patch.setattr(efficiency, "compare_systems", compare)
        sizes = {"num_queries": 128, "num_tested": 64, "epochs": 1}
        return built, efficiency.run(rounds=2, seeds=(3,), with_compile=False, **sizes)


@pytest.fixture
def results(finished):
    return finished[1]


def save_layers(folder, layers):
    path = checkpoint("small_student")
    drop_layers(AutoModel.from_pretrained(path), layers).save_pretrained(folder)
    AutoTokenizer.from_pretrained(path).save_pretrained(folder)


def test_a_run_measures_all_systems_for_each_seed_and_in_the_mean(results):
    assert list(results) == ["all", "seed 3", "mean"]
    turns, table, mean = results.values()
    assert set(turns.timings) == set(table.details) == set(mean.details) == SYSTEMS
    assert turns.baseline == table.baseline == mean.baseline == "teacher"
    assert {len(timing.samples) for timing in turns.timings.values()} == {2}
    measured = table.frame().drop(columns=["peak GPU (MB)", "oos precision (%)"])
    assert np.isfinite(measured.to_numpy()).all()
    assert table.frame().equals(mean.frame())  # of one seed


def test_each_step_makes_the_files_smaller(results):
    size = results["seed 3"].frame()["size (MB)"]
    assert size["teacher"] == size["teacher, lean"]
    for name in ("student", "control", "layers"):
        assert size[name] == pytest.approx(size["distilled"], abs=0.01)
    assert size["ONNX"] == pytest.approx(size["distilled"], rel=0.02)
    order = ["teacher", "distilled", "torch int8", "torch bf16", "ONNX int8", "trimmed", "final"]
    assert size[order].is_monotonic_decreasing
    assert size["final"] < size["teacher"] / 10


def test_a_terminal_shows_quality_size_latency_and_intervals_of_the_mean(results, tmp_path):
    record = Record.now("efficiency", "Efficiency", {}, results)
    assert Record.load(record.save(tmp_path)) == record
    console = Console(file=io.StringIO(), width=100)
    console.print(*record.tables())
    text = console.file.getvalue()
    words = " ".join(text.replace("┃", " ").split())
    assert "speed-up 95 % 95 %" in words
    assert "size smaller p50 speed-up in scope oos recall" in words
    rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in text.splitlines()]
    assert [row for row in rows if row[:1] == ["mean"]] == [
        ["mean", system] for system in results["mean"].details
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(checkpoint("small_student"))


def test_all_float32_routes_of_a_model_answer_the_same(finished):
    systems, _ = finished
    texts = list(load("intents_oos")["validation"]["text"][::20])
    answers = {name: system.classify(texts) for name, system in systems.items()}
    labels = {name: [each["label"] for each in found] for name, found in answers.items()}
    scores = {name: [each["score"] for each in found] for name, found in answers.items()}
    for name, original in {"teacher, lean": "teacher", "ONNX": "distilled"}.items():
        assert labels[name] == labels[original]
        assert scores[name] == pytest.approx(scores[original], abs=1e-4)
    assert np.ptp(scores["teacher"]) > 1e-3
    assert np.ptp(scores["distilled"]) > 1e-3
    assert scores["control"] != pytest.approx(scores["distilled"], abs=1e-4)


def test_what_is_compiled_is_the_distilled_model():
    config = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tiny = [BertForSequenceClassification(BertConfig(**config, vocab_size=9)) for _ in range(5)]
    models = Models(*tiny)
    named = efficiency.torch_models(models, with_compile=True)
    assert set(named) - SYSTEMS == {"torch.compile"}
    compiled = named["torch.compile"]
    assert compiled is not models.distilled
    torch.testing.assert_close(compiled.state_dict(), models.distilled.state_dict())


def labelled(count, *, with_logits=False):
    columns = {"text": TEXTS * count, "intent": [0, 1, 3, 2] * count}
    features = Features({"text": Value("string"), "intent": ClassLabel(names=NAMES)})
    rows = Dataset.from_dict(columns, features)
    if with_logits:
        rows = rows.add_column("teacher_logits", [[9.0, 0.0, 0.0, 0.0]] * len(rows))
    return rows


def test_training_leaves_word_embeddings_and_serves_in_float32(tokenizer):
    path = checkpoint("small_student")
    before = efficiency.new_classifier(path, NAMES)
    learn = {"tokenizer": tokenizer, "seed": 0, "epochs": 1}
    new = partial(efficiency.new_classifier, path, NAMES)
    after = efficiency.fine_tune(new, labelled(16), **learn)
    assert torch.equal(after.get_input_embeddings().weight, before.get_input_embeddings().weight)
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after.state_dict()[query], before.state_dict()[query])
    assert after.config.id2label == LABELS
    assert not after.training
    dtypes = []
    after.base_model.pooler.register_forward_hook(lambda *call: dtypes.append(call[-1].dtype))
    after(**tokenizer(TEXTS[0], return_tensors="pt"))
    assert dtypes == [torch.float32]  # wherever training used bfloat16


def test_with_soft_targets_a_student_follows_its_teacher(tokenizer):
    path = checkpoint("small_student")
    always_first = labelled(8, with_logits=True)  # a teacher that is sure of its one answer
    new = partial(efficiency.new_classifier, path, NAMES)
    learn = {"tokenizer": tokenizer, "seed": 0, "epochs": 4}
    student = efficiency.fine_tune(new, always_first, alpha=0.0, **learn)
    logits = student(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    assert logits.argmax(dim=-1).tolist() == [0, 0, 0, 0]


def test_without_a_compiler_a_line_says_what_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    torch.compiler.reset()
    assert not efficiency.can_compile()
    out = capsys.readouterr().out
    assert out.startswith("torch.compile is left out: it needs a working C++ compiler")
    assert out.count("\n") == 1


def details(**others):
    names = ("size_mb", "time_avg_ms", "p50_ms", "accuracy", "oos_recall")
    return dict.fromkeys(names, 1.0) | others


def test_means_are_over_seeds_and_latencies_over_all_rounds():
    turns = [
        Comparison({"teacher": Timing(samples)}, "teacher", 1, "queries", threads=1)
        for samples in ((0.25, 0.5), (0.5, 1.0))
    ]
    joined = efficiency.joined(turns)
    assert joined.timings["teacher"].samples == (0.25, 0.5, 0.5, 1.0)
    tables = [
        PerformanceTable({"teacher": details(accuracy=accuracy, oos_recall=recall)}, "teacher")
        for accuracy, recall in ((0.5, 0.25), (0.75, None))
    ]
    mean = efficiency.mean_table(tables, joined).details["teacher"]
    assert (mean["accuracy"], mean["oos_recall"]) == (0.625, None)
    assert (mean["p50_ms"], mean["time_avg_ms"]) == (500, 562.5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rounds": 0}, r"^rounds is 0: give 1 or more\.$"),
        ({"seeds": ()}, r"^seeds is 0: give 1 or more\.$"),
        ({"epochs": 0}, r"^epochs is 0: give 1 or more\.$"),
        ({"rounds": 9, "num_tested": 8}, r"^There are 8 queries, not 9: ask for fewer\.$"),
        ({"num_queries": 10**6}, r"^There are 2,659 queries, not 1,000,000: ask for fewer\.$"),
    ],
)
def test_what_cannot_be_measured_gets_one_sentence_before_training(options, sentence):
    with pytest.raises(BenchmarkError, match=sentence):
        efficiency.run(with_compile=False, **options)
