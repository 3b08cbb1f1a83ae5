"""Whole chapters at hub/small, with the loopback hub as the only host: `make test-hub`."""

import os
import shutil
from pathlib import Path

import pytest
from nbformat import NotebookNode

from hub.conftest import ROOT, visitor
from hub.repositories import DISTILBERT, repository
from hub.server import Hub
from hub.tables import SIZES
from utils.assets.catalog import load_catalog
from utils.assets.fetch import fetch
from utils.chapter import read_summary
from utils.notebooks.files import find, needed_assets, read, select

ASSETS = {  # what each chapter asks the hub for
    "01_hello_transformers": [
        *("sentiment", "tagger", "reader", "llama", "translator_en_pt", "translator_pt_en"),
        *("small_student", "multilingual", "reviews", "questions", "wiki"),
    ],
    "02_text_classification": ["encoder", "short_texts"],
    "03_transformer_anatomy": ["bert", "llama"],
    "04_multilingual_ner": ["bert", "multilingual", "slots"],
    "05_text_generation": ["causal_lm", "wiki"],
    "08_efficient_transformers": ["bert", "small_student", "intents_oos"],
    "how_to_generate": ["gpt2", "wiki"],
}
HOLDS = {  # (low, high) of results that do not depend on what a checkpoint or a data set is worth
    "01_hello_transformers": {
        "Pipeline less four steps by hand, largest": (0, 1e-5),
        "Calls whose type and keys are as documented, of 6": (6, 6),
        "Our RNN less nn.RNN": (0, 1e-6),
        "Our LSTM less nn.LSTM": (0, 1e-6),
        "Parameters of the ConvNet": (21_840, 21_840),
        "Plain loop less Accelerate, largest loss": (0, 1e-6),
        "Slope of memory against length, log-log": (1.8, 2.2),
    },
    "02_text_classification": {
        "Texts, train": (SIZES["train"], SIZES["train"]),
        "Texts, test": (SIZES["test"], SIZES["test"]),
        "Test texts seen in training, resampled after the split": (0, 0),
        "Width of a hidden state": (DISTILBERT.dim, DISTILBERT.dim),
        "Training loss, second epoch over first": (0.1, 0.999),
        "Hand-written loop less Trainer": (-0.05, 0.05),
    },
    "03_transformer_anatomy": {
        "Our BERT, built here, against the library": (0, 1e-5),
        "BERT in utils.models, against the library": (0, 1e-5),
        "Our Llama against the library, logits": (0, 1e-4),
        "Greedy tokens that equal generate, of 50, with and without cache": (50, 50),
    },
    "04_multilingual_ner": {
        "Tags I-X without a beginning": (0, 0),
        "Largest difference to the library's taggers": (0, 1e-5),
        "Largest difference of the loss: cached states, ordinary freezing": (0, 1e-3),
        "Epochs in which the training loss fell, after the first": (2, 2),
    },
    "05_text_generation": {
        "log-probability, ours minus the library's": (0, 1e-4),
        "log-probability, 5 beams minus greedy": (0, 1_000),
        "bigrams that repeat in spite of the ban": (0, 0),
        "mass of the whole vocabulary": (0.9999, 1.0001),
        "speculative minus plain, by arithmetic": (0, 1e-6),
    },
    "08_efficient_transformers": {
        "Classes, out-of-scope included": (151, 151),
        "Teacher's training loss, last epoch over first": (0.1, 1),  # the book's rate is low
        "Our int8 weights that equal torch's (%)": (100, 100),
        "ONNX Runtime against torch, largest difference of logits": (0, 1e-4),
    },
    "how_to_generate": {
        "Tokens on which our greedy and the library's agree": (40, 40),
        "Beams that equal the library's, of 5": (5, 5),
        "Repeated bigrams under the penalty": (0, 0),
        "Candidates at top_k=0": (2_000, 2_000),
    },
}
CHOSEN = select(os.environ.get("CHAPTERS", "").split(), find(ROOT))


@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)
def test_a_chapter_holds_on_other_checkpoints_and_data(path: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"  # so that the executed notebook stays out of the repository
    copy = project / path.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    shutil.copy(ROOT / "pyproject.toml", project)
    for asset in needed_assets(read(path)):
        fetch(asset)  # what a chapter reads from a wheel at either position of the dial
    ids = {load_catalog().find(asset).hub.id for asset in ASSETS[path.stem]}
    hub = Hub({id: repository(id) for id in ids})

    with visitor(hub, tmp_path) as client:
        dials = ("--assets", "hub", "--scale", "small")
        run = client.start("-m", "utils.runner", "run", path.stem, *dials, cwd=project)

    assert run.returncode == 0, run.stdout
    executed = read(
        project / "build" / "notebooks" / "hub-small" / copy.relative_to(project / "notebooks")
    )
    summary = read_summary(executed)
    assert (summary["chapter"], summary["assets"], summary["scale"]) == (path.stem, "hub", "small")
    results = {result["name"]: result for result in summary["results"]}
    for name, (low, high) in HOLDS[path.stem].items():
        assert low <= results[name]["value"] <= high, results[name]
    assert all(result["low"] is None for result in results.values()), "promised elsewhere only"
    assert {id for id, _ in hub.asked} == ids
    assert client.hosts == {"127.0.0.1"}
    assert "LOAD REPORT" not in errors(executed), "a head that is left over is no news"


def errors(notebook: NotebookNode) -> str:
    """What its cells wrote to stderr."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.text for output in outputs if output.get("name") == "stderr")
