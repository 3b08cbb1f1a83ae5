"""The metrics against scikit-learn and seqeval, and loaded as a user loads them, offline."""

import os
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pandas as pd
import pytest
import seqeval.metrics
import sklearn.metrics
import torch

import utils.metrics
from utils.metrics import load

RNG = np.random.default_rng(0)
TRUE = RNG.integers(5, size=400)  # of six classes, the last occurs on neither side
GUESS = np.where(RNG.random(400) < 0.7, TRUE, RNG.integers(5, size=400))
TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-MISC"]
GOLD = [RNG.choice(TAGS, size=size).tolist() for size in RNG.integers(1, 12, size=60)]
FOUND = [[tag if RNG.random() < 0.8 else "O" for tag in tags] for tags in GOLD]


@pytest.fixture(scope="module")
def metrics() -> dict[str, evaluate.EvaluationModule]:
    return {name: load(name) for name in ("accuracy", "f1", "seqeval")}


def test_accuracy_is_that_of_sklearn(metrics):
    score = metrics["accuracy"].compute(predictions=GUESS, references=TRUE)
    assert score == {"accuracy": sklearn.metrics.accuracy_score(TRUE, GUESS)}
    tensors = {"predictions": torch.tensor(GUESS).bfloat16(), "references": pd.Series(TRUE)}
    assert metrics["accuracy"].compute(**tensors) == score


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("labels", [None, range(6)])
def test_f1_is_that_of_sklearn(metrics, average, labels):
    options = {"average": average, "labels": labels}
    score = metrics["f1"].compute(predictions=GUESS, references=TRUE, **options)["f1"]
    reference = sklearn.metrics.f1_score(TRUE, GUESS, zero_division=0, **options)
    np.testing.assert_array_equal(score, reference)


def test_f1_of_one_class_in_batches(metrics):
    for _ in range(2):  # the second finds nothing of the first
        for part in np.split(np.arange(400), 4):
            metrics["f1"].add_batch(predictions=GUESS[part] == 3, references=TRUE[part] == 3)
        metrics["f1"].add(prediction=0, reference=1)
        reference = sklearn.metrics.f1_score([*(TRUE == 3), 1], [*(GUESS == 3), 0])
        assert metrics["f1"].compute() == {"f1": reference}


def test_entity_scores_are_those_of_seqeval(metrics):
    scores = metrics["seqeval"].compute(predictions=FOUND, references=GOLD)
    for name in ("precision", "recall", "f1", "accuracy"):
        reference = getattr(seqeval.metrics, f"{name}_score")
        assert scores[f"overall_{name}"] == pytest.approx(reference(GOLD, FOUND), abs=1e-12)
    report = seqeval.metrics.classification_report(GOLD, FOUND, output_dict=True)
    assert {name for name in scores if "overall" not in name} == {"PER", "ORG", "MISC"}
    for kind in ("PER", "ORG", "MISC"):
        assert list(scores[kind].values()) == list(report[kind].values())
        assert list(scores[kind]) == ["precision", "recall", "f1", "number"]


@pytest.mark.parametrize(
    ("name", "predictions", "references", "message"),
    [
        ("accuracy", [], [], "0 predictions and 0 references"),
        ("accuracy", [1], [1, 2], "1 predictions and 2 references"),
        ("accuracy", [np.nan], [1], "^predictions must be label ids"),
        ("accuracy", [1, 0], [0.5, 1], "^references must be label ids"),
        ("accuracy", [[0.1, 0.9]], [1], "^predictions must be label ids"),
        ("accuracy", ["joy"], ["joy"], "^predictions must be label ids"),
        ("f1", [1], [-100], "^references holds the label -100"),
        ("seqeval", [], [], "0 predictions and 0 references"),
        ("seqeval", [["O"]], [["B-A", "O"]], "or their words differ in number"),
        ("seqeval", [["O"]], [["O"]], "There is no entity"),
        ("seqeval", [["PER"]], [["B-PER"]], "^predictions holds 'PER', which is no tag"),
        ("seqeval", [["O"]], [[np.nan]], "^references holds nan, which is no tag"),
    ],
)
def test_wrong_input_gets_one_sentence(metrics, name, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        metrics[name].compute(predictions=predictions, references=references)


def test_a_label_outside_the_set_and_an_unknown_metric(metrics):
    with pytest.raises(ValueError, match=r"label 3 is not among labels=\[0, 1, 2\]"):
        metrics["f1"].compute(predictions=[3], references=[0], labels=range(3), average="macro")
    with pytest.raises(ValueError, match=r"no metric 'bleu': use one of accuracy, f1, seqeval\."):
        load("bleu")


USERS = """
import os, socket, evaluate

def refuse(*_):
    raise AssertionError("a socket was opened")

socket.socket.connect = refuse
child = os.fork()
metric = evaluate.load("utils/metrics/f1.py")
print(metric.compute(predictions=[0, 1, 1], references=[0, 1, 0], average="macro"), flush=True)
assert not child or os.wait()[1] == 0
"""


def test_two_users_at_once_load_it_by_its_path_offline(tmp_path):
    """In a fresh cache, which both fill; nothing is written beside the module."""
    root = Path(utils.metrics.__file__).parents[2]
    before = sorted(root.joinpath("utils/metrics").rglob("*.py"))
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    printed = subprocess.check_output([sys.executable, "-c", USERS], cwd=root, env=environment)
    f1 = sklearn.metrics.f1_score([0, 1, 0], [0, 1, 1], average="macro")
    assert printed.decode() == 2 * f"{{'f1': {f1}}}\n"
    assert [*tmp_path.rglob("f1.py")]
    assert before == sorted(root.joinpath("utils/metrics").rglob("*.py"))
