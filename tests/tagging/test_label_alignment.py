"""Labels on tokens and back: against the tokens themselves, real tokenizers, and plain loops."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from transformers import BertTokenizerLegacy

from utils.tagging import (
    IGNORED,
    TaggingError,
    align_labels,
    align_predictions,
    encode_words,
    tokenize_and_align_labels,
)

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
ROWS = {
    "tokens": [
        ["2.000", "Einwohnern", "in", "Winterthur"],
        ["Christa", "Müller", "à", "l", "'", "Université", "de", "Genève", "."],
        ["東京", "&", "<s>", "¡", "I", "❤", "\ufe0f", "Locarno", "\u200d", "!"],
        ["Hm"],
    ],
    "tags": [[0, 0, 0, 5], [1, 2, 0, 0, 0, 3, 4, 4, 0], [5, 0, 0, 0, 0, 0, 0, 5, 6, 0], [0]],
}


encode = partial(tokenize_and_align_labels, num_labels=len(NAMES))


def test_the_first_token_of_a_word_has_its_label(unigram):
    words, tags = ROWS["tokens"][0], ROWS["tags"][0]
    encoding = encode({"tokens": [words], "tags": [tags]}, unigram)
    tokens = encoding.tokens(0)
    assert tokens[:4] == ["<s>", "▁2.000", "▁Einwohner", "n"]
    assert encoding["labels"][0][:4] == [IGNORED, 0, 0, IGNORED]
    starts = [token for token, tag in zip(tokens, encoding["labels"][0], strict=True) if tag == 5]
    assert starts == ["▁Winter"]


def test_as_many_labels_as_words_in_their_order(tokenizer):
    """Also for the variation selector and the joiner, of which WordPiece leaves nothing."""
    encoding = encode(ROWS, tokenizer)
    for row, tags in enumerate(ROWS["tags"]):
        labels = encoding["labels"][row]
        assert [label for label in labels if label != IGNORED] == tags
        assert len(labels) == len(encoding["input_ids"][row])
        assert labels[0] == labels[-1] == IGNORED


def test_what_the_tokenizer_keeps_is_encoded_as_it_is(tokenizer):
    words = ROWS["tokens"][1]
    ours = encode_words([words], tokenizer)["input_ids"][0]
    assert ours == tokenizer(words, is_split_into_words=True)["input_ids"]


def test_a_word_without_tokens_becomes_the_unknown_token(wordpiece):
    tokens = encode_words([["I", "❤", "\ufe0f", "it"], ["it"]], wordpiece).tokens(0)
    assert tokens == ["[CLS]", "i", "[UNK]", "[UNK]", "it", "[SEP]"]


def test_single_sentences_and_batches_agree(tokenizer):
    batch = encode(ROWS, tokenizer)["labels"]
    for words, tags, labels in zip(*ROWS.values(), batch, strict=True):
        assert align_labels(encode_words([words], tokenizer).word_ids(0), tags) == labels
        single = encode({"tokens": [words], "tags": [tags]}, tokenizer)
        assert single["labels"] == [labels]


def test_a_data_set_is_encoded_row_by_row(tokenizer):
    tags = List(ClassLabel(names=NAMES))
    features = Features({"tokens": List(Value("string")), "tags": tags})
    dataset = Dataset.from_dict(ROWS, features=features).add_column("language", list("dfxe"))
    encoded = dataset.map(
        encode, batched=True, batch_size=3, fn_kwargs={"tokenizer": tokenizer},
        remove_columns=["tokens", "tags"],
    )  # fmt: skip
    assert encoded["language"] == list("dfxe")
    assert {"input_ids", "attention_mask", "labels"} <= set(encoded.column_names)
    kept = [[label for label in row if label != IGNORED] for row in encoded["labels"]]
    assert kept == ROWS["tags"]


def by_the_book(predictions, label_ids):
    """The loops of the book's section on measuring performance."""
    best = np.argmax(predictions, axis=2)
    labels_list, preds_list = [], []
    for row in range(best.shape[0]):
        labels, preds = [], []
        for column in range(best.shape[1]):
            if label_ids[row, column] != IGNORED:
                labels.append(NAMES[label_ids[row][column]])
                preds.append(NAMES[best[row][column]])
        labels_list.append(labels)
        preds_list.append(preds)
    return preds_list, labels_list


def test_predictions_come_back_as_tags_of_words():
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(9, 12, len(NAMES)))
    label_ids = np.where(rng.random((9, 12)) < 0.4, IGNORED, rng.integers(7, size=(9, 12)))
    predicted, gold = align_predictions(predictions, label_ids, NAMES)
    assert (predicted, gold) == by_the_book(predictions, label_ids)
    assert [len(tags) for tags in predicted] == [len(tags) for tags in gold]


def test_right_predictions_give_the_tags_of_the_data(tokenizer):
    labels = encode(ROWS, tokenizer)["labels"]
    width = max(map(len, labels)) + 3
    label_ids = np.array([row + [IGNORED] * (width - len(row)) for row in labels])
    predictions = np.eye(len(NAMES))[label_ids.clip(0)]
    predicted, gold = align_predictions(predictions, label_ids, NAMES)
    assert predicted == gold == [[NAMES[tag] for tag in tags] for tags in ROWS["tags"]]


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (["a", "b"], [0], r"^Sentence 1 of the batch has 2 words and 1 tags: give one tag"),
        ([], [], r"^Sentence 1 of the batch has no words: leave it out\.$"),
        ("lamp", [0] * 4, r"^Sentence 1 of the batch is one string: give a list of words\.$"),
        (["a"], [7], r"^Sentence 1 of the batch has label 7, .* tag set: use ids from 0 to 6\.$"),
        (["a"], [-1], r"^Sentence 1 of the batch has label -1, .*: use ids from 0 to 6\.$"),
        (["a"] * 511, [0] * 511, r"has 513 tokens, more than the 512 .* split it .*windows"),
    ],
)
def test_sentences_that_do_not_fit_get_one_sentence(unigram, words, tags, message):
    examples = {"tokens": [["fine"], words], "tags": [[0], tags]}
    with pytest.raises(TaggingError, match=message):
        encode(examples, unigram)


def test_the_longest_sentence_that_fits_is_whole(unigram):
    encoding = encode({"tokens": [["a"] * 510], "tags": [[0] * 510]}, unigram)
    assert encoding["labels"][0].count(0) == 510


@pytest.mark.parametrize("word_ids", [[None, 0, 0, None], [None, 0, 1, 2, None], [None, 1, None]])
def test_labels_that_are_not_one_for_each_word_get_one_sentence(word_ids):
    with pytest.raises(TaggingError, match=r"words, but there are 2 labels: give one for each"):
        align_labels(word_ids, [3, 4])


def test_a_tokenizer_in_python_gets_one_sentence(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    with pytest.raises(TaggingError, match=r"^This tokenizer cannot tell words apart"):
        encode_words([["a"]], BertTokenizerLegacy(tmp_path / "vocab.txt"))


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((2, 3, 5), np.zeros((2, 3), int), r"shape \(2, 3, 5\) .* give \(B, T, 7\)"),
        ((2, 3, 7), np.zeros((2, 4), int), r"shape \(2, 3, 7\) and the labels \(2, 4\)"),
        ((3, 7), np.zeros(3, int), r"give \(B, T, 7\) and \(B, T\)"),
        (
            (1, 1, 7),
            np.array([[7]]),
            r"^There is label 7, .* outside the tag set: use ids from 0 to 6\.$",
        ),
        ((1, 1, 7), np.array([[-1]]), r"^There is label -1, "),
    ],
)
def test_predictions_that_do_not_fit_get_one_sentence(shape, labels, message):
    with pytest.raises(TaggingError, match=message):
        align_predictions(np.zeros(shape), labels, NAMES)


def test_logits_may_lead_a_tuple_and_be_tensors():
    labels = np.array([[-100, 1, 0]])
    logits = np.eye(2)[[[0, 1, 0]]]
    expected = align_predictions(logits, labels, ["O", "B-X"])
    states = (np.zeros((1, 3, 4)),)
    for given in ((logits, states), torch.tensor(logits).bfloat16()):
        assert align_predictions(given, torch.tensor(labels), ["O", "B-X"]) == expected
    with pytest.raises(ValueError, match=r"^Some of the model's logits are NaN"):
        align_predictions(np.full_like(logits, np.nan), labels, ["O", "B-X"])


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series])
def test_words_come_in_any_sequence(unigram, kind):
    words = ["blue", "lamp"]
    assert encode_words([kind(words)], unigram) == encode_words([words], unigram)
