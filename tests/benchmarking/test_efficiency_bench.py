"""The benchmark of efficiency: all systems are there, and are what their names say."""

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from transformers import AutoModel, AutoTokenizer

from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, Timing
from utils.benchmarks import efficiency
from utils.training import drop_layers, student_init

SYSTEMS = {
    "Teacher": 3,  # layers
    "Teacher, lean path": 3,
    "Student": 1,
    "Distillation": 1,
    "Distillation + int8": 1,
    "Distillation + ORT": 1,
    "Distillation + ORT int8": 1,
    "Trimmed, lean path": 1,
    "Final: half the neurons": 1,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Answers and results of one seed: a teacher with three layers, students with one."""
    folder, answers = tmp_path_factory.mktemp("models"), {}
    path = checkpoint("small_student")
    for role, layers in {"bert": [0, 1, 2], "small_student": [2]}.items():
        drop_layers(AutoModel.from_pretrained(path), layers).save_pretrained(folder / role)
        AutoTokenizer.from_pretrained(path).save_pretrained(folder / role)
    intents = load("intents_oos")
    small = {split: intents[split].shuffle(0).select(range(64)) for split in ("train", "test")}
    texts = list(intents["validation"]["text"][::20])

    def measured(systems, test):
        answers.update({name: classify(texts) for name, (classify, _) in systems.items()})
        return efficiency_measured(systems, test)

    efficiency_measured = efficiency.measured
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficiency, "checkpoint", lambda role, assets: str(folder / role))
        patch.setattr(efficiency, "load", lambda name, assets: small)
        patch.setattr(efficiency, "measured", measured)
        patch.setattr(efficiency, "EPOCHS", 1)
        return answers, efficiency.run(rounds=70, seeds=(3,))


def test_a_run_measures_all_systems_for_each_seed_and_in_the_mean(finished):
    _, results = finished
    assert list(results) == ["all seeds", "seed 3", "mean"]
    turns, table, mean = results.values()
    assert set(turns.timings) == set(table.index) == set(SYSTEMS)
    assert turns.baseline == "Teacher"
    assert {len(timing.samples) for timing in turns.timings.values()} == {70}  # of 64 queries
    assert np.isfinite(table.to_numpy()).all()
    assert table.equals(mean)  # of one seed


def test_each_step_makes_the_files_smaller(finished):
    size = finished[1]["seed 3"]["size (MB)"]
    assert size["Teacher"] == size["Teacher, lean path"]
    assert size["Student"] == pytest.approx(size["Distillation"], abs=0.01)
    assert size["Distillation + ORT"] == pytest.approx(size["Distillation"], rel=0.02)
    order = [name for name in SYSTEMS if name not in ("Teacher, lean path", "Student")]
    order.remove("Distillation + ORT")
    assert size[order].is_monotonic_decreasing
    assert size["Final: half the neurons"] < size["Teacher"] / 10


def test_all_float32_routes_of_a_model_answer_the_same(finished):
    answers, _ = finished
    labels = {name: [each["label"] for each in found] for name, found in answers.items()}
    scores = {name: [each["score"] for each in found] for name, found in answers.items()}
    routes = {"Teacher, lean path": "Teacher", "Distillation + ORT": "Distillation"}
    for name, original in routes.items():
        assert labels[name] == labels[original]
        assert scores[name] == pytest.approx(scores[original], abs=1e-4)
        assert np.ptp(scores[original]) > 1e-3
    assert scores["Student"] != pytest.approx(scores["Distillation"], abs=1e-4)


def test_a_student_follows_its_teacher_and_keeps_its_word_embeddings():
    path, names = checkpoint("small_student"), ["lights", "heating", "music", "oos"]
    texts = ["dim the lights", "it is far too cold in here", "why", "play the song once more"]
    columns = {"text": 8 * texts, "intent": 8 * [0, 1, 3, 2]}
    features = Features({"text": Value("string"), "intent": ClassLabel(names=names)})
    rows = Dataset.from_dict(columns, features)
    always_first = rows.add_column("teacher_logits", [[9.0, 0.0, 0.0, 0.0]] * len(rows))
    teacher = AutoModel.from_pretrained(path, id2label=dict(enumerate(names)))
    tokenizer = AutoTokenizer.from_pretrained(path)
    train = efficiency.encode(always_first, tokenizer)
    new = student_init(path, teacher)
    student = efficiency.fine_tune(new, train, tokenizer, seed=0, alpha=0.0)
    assert not student.training
    assert torch.equal(student.get_input_embeddings().weight, new().get_input_embeddings().weight)
    logits = student(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    assert logits.dtype == torch.float32  # wherever training used bfloat16
    assert logits.argmax(dim=-1).tolist() == [0, 0, 0, 0]


def test_rounds_of_all_seeds_count():
    turns = [
        Comparison({"Teacher": Timing(samples)}, 1, "queries", threads=1)
        for samples in ((0.25, 0.5), (0.5, 1.0))
    ]
    assert efficiency.joined(turns).timings["Teacher"].samples == (0.25, 0.5, 0.5, 1.0)
