"""A text classifier from end to end: a string in, labels with scores out, over torch or ONNX.

It answers as a text-classification pipeline of transformers does, but calls the Rust tokenizer
directly and finishes in numpy: what the pipeline adds counts once a model takes a millisecond.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from utils.compression.sessions import Inputs, create_session
from utils.inputs import check_count, checked_logits, checked_texts

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Runner = Callable[[Inputs], np.ndarray]  # logits (B, N)
Answer = dict[str, Any]  # {"label": str, "score": float}
INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
MODEL_FILE, TOKENIZER_FILE, LABELS_FILE = "model.onnx", "tokenizer.json", "labels.json"


class TextClassifier:
    """Texts to their most probable labels.

    Args:
        run: logits (B, N) from the inputs, see `torch_runner` and `onnx_runner`.
        tokenizer: a fast tokenizer of transformers, or a `tokenizers.Tokenizer` that pads.
        id2label: the label of each of the N logits.
        max_length: tokens after which a text is cut, special tokens counted.
    """

    def __init__(
        self,
        run: Runner,
        tokenizer: PreTrainedTokenizerBase | Tokenizer,
        id2label: Mapping[int, str],
        *,
        max_length: int = 128,
    ) -> None:
        self.run = run
        self.tokenizer = fast_tokenizer(tokenizer, max_length)
        self.labels = [id2label[index] for index in range(len(id2label))]

    def __call__(self, texts: str | Sequence[str], batch_size: int = 32) -> list[Answer]:
        """One answer for each text; many of them run in batches, so sort them by length first.

        Raises:
            ValueError: a text is empty, or none at all; a batch size below 1; logits that are NaN.
        """
        texts = _checked_texts(texts)
        check_count(batch_size=batch_size)
        starts = range(0, len(texts), batch_size)
        batches = [self.logits(texts[start : start + batch_size]) for start in starts]
        return [answer for logits in batches for answer in top_labels(logits, self.labels)]

    def logits(self, texts: list[str]) -> np.ndarray:
        """Logits (B, N) of texts that run as one batch."""
        return self.run(self.encode(texts))

    def encode(self, texts: list[str]) -> Inputs:
        """What a model takes: int64 (B, T), padded to the longest text."""
        if len(texts) == 1:  # no thread pool for a single text
            encodings = [self.tokenizer.encode(texts[0])]
        else:
            encodings = self.tokenizer.encode_batch(texts)
        fields = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        return {name: np.array(rows, dtype=np.int64) for name, rows in fields.items()}

    @classmethod
    def load(cls, folder: Path | str, *, threads: int = 1) -> TextClassifier:
        """Read what `save_classifier` wrote; it runs in ONNX Runtime."""
        folder = Path(folder)
        settings = json.loads((folder / LABELS_FILE).read_text(encoding="utf-8"))
        run = onnx_runner(create_session(folder / MODEL_FILE, threads=threads))
        id2label = dict(enumerate(settings["labels"]))
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        return cls(run, tokenizer, id2label, max_length=settings["max_length"])


class OnnxPipeline:
    """The book's wrapper: the tokenizer of transformers, a session, and softmax in numpy."""

    def __init__(
        self,
        session: InferenceSession,
        tokenizer: PreTrainedTokenizerBase,
        id2label: Mapping[int, str],
    ) -> None:
        self.run, self.tokenizer = onnx_runner(session), tokenizer
        self.labels = [id2label[index] for index in range(len(id2label))]

    def __call__(self, texts: str | Sequence[str]) -> list[Answer]:
        """One answer for each text; all of them run as one batch.

        Raises:
            ValueError: a text is empty, or none at all.
        """
        texts = _checked_texts(texts)
        inputs = self.tokenizer(texts, padding=True, truncation=True, return_tensors="np")
        return top_labels(self.run(dict(inputs)), self.labels)


def torch_runner(model: nn.Module) -> Runner:
    """Logits, float32, of a transformers classifier, which is put into evaluation mode."""
    model.eval()
    names = [name for name in INPUT_NAMES if name in inspect.signature(model.forward).parameters]

    @torch.inference_mode()
    def run(inputs: Inputs) -> np.ndarray:
        tensors = {name: torch.from_numpy(inputs[name]).to(model.device) for name in names}
        return model(**tensors).logits.float().cpu().numpy()

    return run


def onnx_runner(session: InferenceSession) -> Runner:
    """Logits of a session, from the inputs that it has."""
    names = [node.name for node in session.get_inputs()]
    return lambda inputs: session.run(None, {name: inputs[name] for name in names})[0]


def top_labels(logits: np.ndarray, labels: Sequence[str]) -> list[Answer]:
    """The most probable label of each row of logits (B, N), with its softmax probability."""
    best = checked_logits(logits).argmax(axis=1)  # (B,)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))  # (B, N), 1 at the best
    scores = 1 / shifted.sum(axis=1)  # (B,)
    pairs = zip(best.tolist(), scores.tolist(), strict=True)
    return [{"label": labels[index], "score": score} for index, score in pairs]


def fast_tokenizer(tokenizer: PreTrainedTokenizerBase | Tokenizer, max_length: int) -> Tokenizer:
    """A copy of the Rust tokenizer that cuts at `max_length` and pads to the longest of a batch."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    copy = Tokenizer.from_str(backend.to_str())
    copy.enable_truncation(max_length)
    if backend is not tokenizer:
        copy.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    return copy


def save_classifier(
    folder: Path | str,
    model: Path | str,
    tokenizer: PreTrainedTokenizerBase,
    id2label: Mapping[int, str],
    *,
    max_length: int = 128,
) -> list[Path]:
    """Put all that `TextClassifier.load` needs into a folder, and return its three files.

    Args:
        folder: made where it does not exist.
        model: path of the ONNX file, which is copied.
        tokenizer, id2label, max_length: as of a TextClassifier.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / MODEL_FILE)
    fast_tokenizer(tokenizer, max_length).save(str(folder / TOKENIZER_FILE), pretty=False)
    labels = [id2label[index] for index in range(len(id2label))]
    settings = json.dumps({"labels": labels, "max_length": max_length})
    (folder / LABELS_FILE).write_text(settings, encoding="utf-8")
    return [folder / name for name in (MODEL_FILE, TOKENIZER_FILE, LABELS_FILE)]


def _checked_texts(texts: str | Sequence[str]) -> list[str]:
    texts = checked_texts(texts, "text to classify")
    for text in texts:
        if not text.strip():
            raise ValueError(f"{text!r} is no text to classify: give at least one word.")
    return texts
