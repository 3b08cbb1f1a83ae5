"""Tags of words to labels of tokens and back: the first token of a word speaks for the word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from transformers import BatchEncoding, PreTrainedTokenizerBase

from utils import inputs
from utils.tagging.errors import TaggingError
from utils.tagging.model import IGNORED

MAX_LENGTH = 512  # positions of BERT and XLM-RoBERTa, special tokens counted


def align_labels(word_ids: Sequence[int | None], labels: Sequence[int]) -> list[int]:
    """A label for each token: its word's for the first one, else IGNORED (Devlin et al. 2019, 5.3).

    Args:
        word_ids: (T,) the word of each token, None for special tokens, as `word_ids()` gives it.
        labels: (N,) the label of each word.

    Raises:
        TaggingError: a word without a label, or a label whose word has no token.
    """
    words = {word for word in word_ids if word is not None}
    if words != set(range(len(labels))):
        raise TaggingError(
            f"The tokens belong to {len(words)} words, but there are {len(labels)} labels: give "
            "one for each word, do not truncate, and leave out no word (see encode_words)."
        )
    return [
        labels[word] if word is not None and word != previous else IGNORED
        for previous, word in pairwise([None, *word_ids])
    ]


def encode_words(
    sentences: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase, **kwargs: Any
) -> BatchEncoding:
    """Token ids of B lists of words; nothing is cut, and no word gets lost.

    A word of which the tokenizer leaves nothing (for WordPiece a lone variation selector, say)
    becomes the unknown token, so that its tag is trained on, predicted and counted.

    Args:
        tokenizer: a fast one, which knows the word of each token.
        kwargs: for the tokenizer, such as `padding` and `return_tensors`.

    Raises:
        TaggingError: a sentence without words, or a tokenizer in Python.
    """
    if not tokenizer.is_fast:
        raise TaggingError("This tokenizer cannot tell words apart: load it with use_fast=True.")
    for row, words in enumerate(sentences):
        if isinstance(words, str):
            raise TaggingError(f"Sentence {row} of the batch is one string: give a list of words.")
        if not len(words):
            raise TaggingError(f"Sentence {row} of the batch has no words: leave it out.")
    options = {"is_split_into_words": True, "truncation": False, "verbose": False} | kwargs
    sentences = [list(words) for words in sentences]
    encoding = tokenizer(sentences, **options)
    kept = [
        [word if place in places else tokenizer.unk_token for place, word in enumerate(words)]
        for words, places in zip(sentences, map(set, _word_ids(encoding)), strict=True)
    ]
    return encoding if kept == sentences else tokenizer(kept, **options)


def tokenize_and_align_labels(
    examples: Mapping[str, Sequence[Any]], tokenizer: PreTrainedTokenizerBase, *, num_labels: int
) -> BatchEncoding:
    """For `Dataset.map(batched=True)`: what the tokenizer gives for the words, and `labels`.

    A row stays a row: a sentence that the model cannot take is refused rather than cut, for its
    entities would go uncounted. To tag a long text, see `tag_text`, which reads it in windows.

    Args:
        examples: the columns `tokens`, B lists of words, and `tags`, as many label ids.

    Raises:
        TaggingError: a sentence without words, with more or fewer tags than words, with a label
            outside the set, or with more tokens than the model takes.
    """
    for row, (words, tags) in enumerate(zip(examples["tokens"], examples["tags"], strict=True)):
        if len(words) != len(tags):
            raise TaggingError(
                f"Sentence {row} of the batch has {len(words)} words and {len(tags)} tags: give "
                "one tag for each word."
            )
        check_labels(np.array(tags), num_labels, f"Sentence {row} of the batch has")
    encoding = encode_words(examples["tokens"], tokenizer)
    for row, input_ids in enumerate(encoding["input_ids"]):
        if len(input_ids) > MAX_LENGTH:
            raise TaggingError(
                f"Sentence {row} of the batch has {len(input_ids)} tokens, more than the "
                f"{MAX_LENGTH} that the model takes: split it into shorter ones (tag_text reads "
                "long texts in windows)."
            )
    pairs = zip(_word_ids(encoding), examples["tags"], strict=True)
    encoding["labels"] = [align_labels(word_ids, tags) for word_ids, tags in pairs]
    return encoding


def align_predictions(
    predictions: ArrayLike, label_ids: ArrayLike, names: Sequence[str]
) -> tuple[list[list[str]], list[list[str]]]:
    """Tags of each sentence's words, predicted and gold; positions that are IGNORED drop out.

    Args:
        predictions: (B, T, C) logits, or a tuple that begins with them.
        label_ids: (B, T).
        names: C tags in the order of their ids.

    Raises:
        TaggingError: shapes that do not fit, or a label outside the set.
    """
    logits, label_ids = checked_logits(predictions, label_ids, names)
    best = logits.argmax(-1)  # (B, T)
    kept = label_ids != IGNORED
    predicted = [[names[tag] for tag in row[keep]] for row, keep in zip(best, kept, strict=True)]
    gold = [[names[tag] for tag in row[keep]] for row, keep in zip(label_ids, kept, strict=True)]
    return predicted, gold


def checked_logits(
    predictions: ArrayLike, label_ids: ArrayLike, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, (B, T, C) and (B, T), or TaggingError."""
    logits, labels = inputs.checked_logits(predictions), inputs.as_array(label_ids)
    if logits.shape != (*labels.shape, len(names)) or labels.ndim != 2:
        raise TaggingError(
            f"The logits have shape {logits.shape} and the labels {labels.shape}: give (B, T, "
            f"{len(names)}) and (B, T), a logit for each of the {len(names)} tags."
        )
    check_labels(labels[labels != IGNORED], len(names), "There is")
    return logits, labels


def check_labels(labels: np.ndarray, num_labels: int, where: str) -> None:
    """Raise TaggingError, which begins with `where`, for a label outside the tag set."""
    outside = labels[(labels < 0) | (labels >= num_labels)]
    if outside.size:
        raise TaggingError(
            f"{where} label {outside[0]}, which is outside the tag set: use ids from 0 to "
            f"{num_labels - 1}."
        )


def _word_ids(encoding: BatchEncoding) -> list[list[int | None]]:
    return [encoding.word_ids(row) for row in range(len(encoding["input_ids"]))]
