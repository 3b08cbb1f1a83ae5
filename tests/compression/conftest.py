"""A tokenizer, small classifiers with random weights, and the ONNX file of one."""

import pytest
import torch
import transformers

from utils.assets.models import checkpoint
from utils.compression import export_onnx

LABELS = dict(enumerate(["lights", "music", "oos", "timer", "weather"]))
TEXTS = [
    "turn on the lights in the kitchen",
    "play some music",
    "what will the weather be like tomorrow afternoon in the mountains?",
    "set a timer for ten minutes",
    "hi",
]


@pytest.fixture(scope="session")
def tokenizer():
    return transformers.AutoTokenizer.from_pretrained(checkpoint("small_student"))


@pytest.fixture(scope="session")
def texts():
    return TEXTS


@pytest.fixture(scope="session")
def small_bert(tokenizer):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.3, id2label=LABELS,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config).eval()


@pytest.fixture(scope="session")
def small_distilbert(tokenizer):
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=2, hidden_dim=64,
        max_position_embeddings=64, initializer_range=0.3, id2label=LABELS,
    )  # fmt: skip
    return transformers.DistilBertForSequenceClassification(config).eval()


@pytest.fixture(scope="session")
def onnx_file(small_bert, tokenizer, tmp_path_factory):
    return export_onnx(small_bert, tokenizer, tmp_path_factory.mktemp("onnx") / "model.onnx")
