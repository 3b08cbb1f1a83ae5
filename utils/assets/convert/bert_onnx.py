"""A BERT encoder of sentence-transformers in ONNX -> BertModel; the tokenizer is copied."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from transformers import BertConfig, BertModel

from utils.assets.convert import checkpoint, onnx_weights

TOKENIZER_FILES = (
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
HEAD_SIZE = 32  # of all MiniLM models; nothing in the weights tells it


def convert(files: Mapping[str, Path], target: Path) -> None:
    (graph,) = (path for name, path in files.items() if name.endswith(".onnx"))
    weights = onnx_weights.read(graph, prefix="model.0.auto_model.")
    vocab_size, hidden_size = weights["embeddings.word_embeddings.weight"].shape
    biases = [name for name in weights if name.endswith("intermediate.dense.bias")]
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=len(biases),
        num_attention_heads=hidden_size // HEAD_SIZE,
        intermediate_size=len(weights[biases[0]]),
    )
    checkpoint.save(BertModel, config, weights, target, add_pooling_layer=False)
    for name in TOKENIZER_FILES:
        shutil.copyfile(files[name], target / name)
