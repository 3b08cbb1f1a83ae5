"""Tiny checkpoints of the book's architectures: random weights, a real tokenizer."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from tokenizers import BertWordPieceTokenizer

from hub.server import Repository
from utils.assets.datasets import load

UNUSED = [f"[unused{number}]" for number in range(99)]
BERT_SPECIAL_TOKENS = ["[PAD]", *UNUSED, "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # ids 0 to 103

Files = dict[str, bytes]


def checkpoint(config: transformers.PreTrainedConfig, tokenizer: Files) -> Repository:
    """The first of the config's architectures with random weights, always the same."""
    architecture = getattr(transformers, config.architectures[0])
    with torch.random.fork_rng(), TemporaryDirectory() as folder:
        torch.manual_seed(0)
        architecture(config).save_pretrained(folder)
        weights = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return Repository("model", weights | tokenizer)


@cache
def word_pieces() -> Files:
    """An uncased BERT tokenizer as on the hub: 2,000 pieces, trained on packaged questions."""
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    questions = load("short_texts")["train"]["text"][:]
    tokenizer.train_from_iterator(
        questions, vocab_size=2_000, special_tokens=BERT_SPECIAL_TOKENS, show_progress=False
    )
    vocabulary = tokenizer.get_vocab()
    settings = {"do_lower_case": True, "model_max_length": 512}
    return {
        "tokenizer.json": BertWordPieceTokenizer(vocabulary, lowercase=True).to_str().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
        "vocab.txt": "".join(f"{t}\n" for t in sorted(vocabulary, key=vocabulary.get)).encode(),
    }
