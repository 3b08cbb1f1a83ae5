"""What the loopback hub serves: one line for each id in the catalogue.

A model is a small config and a tokenizer; a data set is a few rows with the columns and label names
that it has on the hub. `test_chapters.py` names the chapters that run on them.
"""

from collections.abc import Callable

from transformers import DistilBertConfig

from hub.checkpoints import checkpoint, word_pieces
from hub.server import Repository
from hub.tables import converted_parquet, emotions, parquet, questions
from utils.assets.datasets import load

DISTILBERT = DistilBertConfig(
    architectures=["DistilBertForMaskedLM"],
    vocab_size=2_000,
    dim=32,
    n_layers=2,
    n_heads=2,
    hidden_dim=64,
)

HUB: dict[str, Callable[[], Repository]] = {
    "distilbert/distilbert-base-uncased": lambda: checkpoint(DISTILBERT, word_pieces()),
    "dair-ai/emotion": lambda: parquet(emotions(), config="split"),
    "CogComp/trec": lambda: converted_parquet(questions()),
    "cardiffnlp/tweet_eval": lambda: parquet(load("tweets"), config="sentiment"),
}
