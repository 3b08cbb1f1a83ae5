"""Losses of tokens, from a real `Trainer`: against torch, and on planted label noise."""

import numpy as np
import pytest
import torch
import transformers
from datasets import Dataset
from torch.nn import functional as F

from utils.metrics import load
from utils.tagging import (
    IGNORED,
    TaggingError,
    align_predictions,
    f1_interval,
    loss_table,
    sentence_losses,
    token_losses,
    tokenize_and_align_labels,
)

NAMES = ["O", "B-room", "I-room", "B-color", "I-color"]
WORDS = ["light", "##s", "living", "room", "kit", "##chen", "light", "blue", "red", "in", "the"]
SENTENCES = [
    ("lights in the living room light blue", [0, 0, 0, 1, 2, 3, 4]),
    ("kitchen red", [1, 3]),
    ("the lights", [0, 0]),
    ("red lights in the kitchen", [3, 0, 0, 0, 1]),
]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS)]
    ids = {token: place for place, token in enumerate(vocabulary)}
    return transformers.BertTokenizer(vocab=ids, model_max_length=32)


@pytest.fixture(scope="module")
def dataset(tokenizer):
    texts, tags = zip(*SENTENCES, strict=True)
    rows = {"tokens": [text.split() for text in texts], "tags": list(tags)}
    return Dataset.from_dict(rows).map(
        tokenize_and_align_labels,
        batched=True,
        fn_kwargs={"tokenizer": tokenizer, "num_labels": len(NAMES)},
    )


def entity_f1(prediction):
    predicted, gold = align_predictions(prediction.predictions, prediction.label_ids, NAMES)
    scores = load("seqeval").compute(predictions=predicted, references=gold)
    return {"f1": scores["overall_f1"]}


@pytest.fixture(scope="module")
def trainer(tokenizer, tmp_path_factory):
    """Predicts in two batches of different widths."""

    def make(strategy="random"):
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=32, initializer_range=0.5,
            num_labels=len(NAMES),
        )  # fmt: skip
        arguments = transformers.TrainingArguments(
            output_dir=tmp_path_factory.mktemp("trainer"), per_device_eval_batch_size=2,
            train_sampling_strategy=strategy, use_cpu=True, report_to=[], disable_tqdm=True,
        )  # fmt: skip
        return transformers.Trainer(
            transformers.BertForTokenClassification(config), arguments,
            data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
            processing_class=tokenizer, compute_metrics=entity_f1,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def output(trainer, dataset):
    return trainer().predict(dataset)


@pytest.fixture(scope="module")
def frame(output, dataset, tokenizer):
    return token_losses(output.predictions, output.label_ids, dataset, tokenizer, NAMES)


def test_losses_are_those_of_torch(frame, output):
    logits, labels = torch.tensor(output.predictions).double(), torch.tensor(output.label_ids)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    assert frame.loss.tolist() == pytest.approx(expected[labels.flatten() != IGNORED].tolist())
    assert len(frame) == sum(len(tags) for _, tags in SENTENCES)


def test_rows_say_where_they_stand(frame, dataset, tokenizer, output):
    for row in frame.itertuples():
        position = int(row.position)
        assert dataset[row.sentence]["input_ids"][position] == tokenizer.convert_tokens_to_ids(
            row.token
        )
        assert NAMES[dataset[row.sentence]["labels"][position]] == row.label
        assert NAMES[output.predictions[row.sentence, position].argmax()] == row.predicted
    second = frame[frame.sentence == 1]
    assert second.token.tolist() == ["kit", "red"]
    assert second.position.tolist() == [1, 3]
    assert second.label.tolist() == ["B-room", "B-color"]


def test_tables_by_label_and_by_token(frame):
    by_label = loss_table(frame, "label")
    assert by_label["count"].to_dict() == {
        "O": 8, "B-room": 3, "I-room": 1, "B-color": 3, "I-color": 1
    }  # fmt: skip
    by_token = loss_table(frame, "token")
    assert by_token.loc["light", "count"] == 4  # twice whole, twice the first piece of "lights"
    for table in (by_label, by_token):
        assert list(table.columns) == ["count", "mean", "sum"]
        assert table["sum"].is_monotonic_decreasing
        assert table["sum"].sum() == pytest.approx(frame.loss.sum())
        assert (table["count"] * table["mean"]).tolist() == pytest.approx(table["sum"].tolist())


def test_the_totals_of_sentences_add_up(frame):
    totals = sentence_losses(frame)
    assert totals.is_monotonic_decreasing
    assert sorted(totals.index) == [0, 1, 2, 3]
    assert totals.sum() == pytest.approx(frame.loss.sum())
    assert totals[1] == pytest.approx(frame.loss[frame.sentence == 1].sum())


def test_the_trainer_reports_the_f1_of_its_predictions(output):
    predicted, gold = align_predictions(output.predictions, output.label_ids, NAMES)
    assert gold == [[NAMES[tag] for tag in tags] for _, tags in SENTENCES]
    assert output.metrics["test_f1"] == pytest.approx(f1_interval(gold, predicted).value)


def test_sentences_with_wrong_gold_tags_come_first(tokenizer):
    """A tagger that is nearly always right, and four sentences in forty tagged wrongly."""
    rng = np.random.default_rng(0)
    true = rng.integers(1, 5, size=(40, 6))
    label_ids, wrong = true.copy(), {3, 17, 22, 38}
    for row in wrong:
        label_ids[row, 2] = 0
    logits = 6 * np.eye(len(NAMES))[true] + rng.normal(size=(40, 6, len(NAMES)))
    dataset = Dataset.from_dict({"input_ids": [[5] * 6] * 40, "labels": label_ids.tolist()})
    frame = token_losses(logits, label_ids, dataset, tokenizer, NAMES)
    assert set(sentence_losses(frame).index[:4]) == wrong


def test_certain_mistakes_have_a_finite_loss(tokenizer):
    dataset = Dataset.from_dict({"input_ids": [[5]], "labels": [[0]]})
    logits = np.array([[[0, 1e4, 0, 0, 0]]], dtype=np.float32)
    assert token_losses(logits, [[0]], dataset, tokenizer, NAMES).loss.tolist() == [1e4]


def test_predictions_of_another_order_or_data_set_get_one_sentence(trainer, dataset, tokenizer):
    """`Trainer` sorts by length what it predicts as well, and says nothing."""
    output = trainer("group_by_length").predict(dataset)
    for rows in (dataset, dataset.select(range(3))):
        with pytest.raises(TaggingError, match=r"^The labels are not .* predict that dataset"):
            token_losses(output.predictions, output.label_ids, rows, tokenizer, NAMES)
