"""Where a tagger goes wrong: the loss of every labelled token, added up by whatever one likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from datasets import Dataset
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from transformers import PreTrainedTokenizerBase

from utils.tagging.alignment import checked_logits
from utils.tagging.errors import TaggingError
from utils.tagging.model import IGNORED


def token_losses(
    predictions: ArrayLike,
    label_ids: ArrayLike,
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    names: Sequence[str],
) -> pd.DataFrame:
    """A row for each labelled token: sentence, position, token, label, predicted, loss in nats.

    Sentences are numbered as in the dataset, positions from the special token at the start.

    Args:
        predictions: (B, T, C) logits, as `Trainer.predict` returns them.
        label_ids: (B, T), likewise.
        dataset: the B encoded sentences, with `input_ids` and `labels`.
        names: C tags in the order of their ids.

    Raises:
        TaggingError: shapes that do not fit, a label outside the set, or the dataset has other
            sentences or another order.
    """
    logits, label_ids = checked_logits(predictions, label_ids, names)
    _check_order(label_ids, dataset["labels"])
    sentence, position = np.nonzero(label_ids != IGNORED)  # (N,) each
    labels, logits = label_ids[sentence, position], logits[sentence, position]  # (N,), (N, C)
    log_probs = log_softmax(logits.astype(np.float64), axis=-1)  # (N, C)
    token_ids = list(dataset["input_ids"])
    return pd.DataFrame(
        {
            "sentence": sentence,
            "position": position,
            "token": tokenizer.convert_ids_to_tokens(
                [token_ids[row][column] for row, column in zip(sentence, position, strict=True)]
            ),
            "label": [names[label] for label in labels],
            "predicted": [names[label] for label in logits.argmax(-1)],
            "loss": -log_probs[np.arange(len(labels)), labels],
        }
    )


def loss_table(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """Count, mean and sum of the losses by a column, "token" say, the largest sum first."""
    table = frame.groupby(by)["loss"].agg(["count", "mean", "sum"])
    return table.sort_values("sum", ascending=False)


def sentence_losses(frame: pd.DataFrame) -> pd.Series:
    """The loss of each sentence, largest first: wrong gold tags gather at the top."""
    return frame.groupby("sentence")["loss"].sum().sort_values(ascending=False)


def _check_order(label_ids: np.ndarray, expected: Sequence[Sequence[int]]) -> None:
    """`Trainer` sorts what it predicts, too, under train_sampling_strategy="group_by_length"."""
    rows = [row[row != IGNORED].tolist() for row in label_ids]
    if rows != [[label for label in labels if label != IGNORED] for labels in expected]:
        raise TaggingError(
            "The labels are not those of the dataset in its order: predict that dataset, with "
            'train_sampling_strategy="random" (group_by_length reorders predictions as well).'
        )
