"""Fine-tuning steps of the encoder: float32 against bfloat16 autocast.

A step is forward, backward and a fused AdamW update on one batch of real texts, cut or padded to a
fixed length. bfloat16 gains where the hardware multiplies it (avx512_bf16, AMX, recent GPUs) and
loses where it is emulated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import BenchmarkError, Comparison, compare

if TYPE_CHECKING:
    import torch
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

NUM_LABELS = 6  # of short_texts


def run(
    *,
    rounds: int = 5,
    threads: int = 1,
    assets: str = "packaged",
    batch_size: int = 32,
    lengths: tuple[int, ...] = (16, 64),
) -> dict[str, Comparison]:
    """Time training steps at each of `lengths` (tokens) on the GPU if there is one.

    Raises:
        BenchmarkError: the device has no bfloat16, or a count is too small.
        AssetError: the model or the data cannot be had.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_bf16(device)
    tokenizer, model = load_classifier(checkpoint("encoder", assets))
    rows = load("short_texts", assets)["train"][:batch_size]
    options = {"rounds": rounds, "warmup": 2, "items": batch_size, "unit": "samples"}
    comparisons = {}
    for length in lengths:
        batch = encode(tokenizer, rows, length).to(device)
        steps = {
            "fp32": training_step(copy.deepcopy(model).to(device), batch, bf16=False),
            "bf16": training_step(copy.deepcopy(model).to(device), batch, bf16=True),
        }
        comparisons[f"{length} tokens"] = compare(steps, threads=threads, **options)
    return comparisons


def check_bf16(device: torch.device) -> None:
    """Raise BenchmarkError where bfloat16 autocast does not run on `device`."""
    import torch

    available = torch.amp.is_autocast_available(device.type)
    if not available or (device.type == "cuda" and not torch.cuda.is_bf16_supported()):
        raise BenchmarkError(
            f'"{device}" has no bfloat16: set CUDA_VISIBLE_DEVICES="" to run on the CPU instead.'
        )


def load_classifier(path: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokenizer and encoder with a new classification head."""
    import transformers

    transformers.logging.set_verbosity_error()  # a head without weights is what we ask for
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        path, num_labels=NUM_LABELS
    )
    return tokenizer, model


def encode(
    tokenizer: PreTrainedTokenizerBase, rows: Mapping[str, list[Any]], length: int
) -> BatchEncoding:
    """Texts and labels as tensors: input_ids, attention_mask (B, length), labels (B,)."""
    import torch

    batch = tokenizer(
        rows["text"], padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    batch["labels"] = torch.tensor(rows["label"])
    return batch


def training_step(
    model: PreTrainedModel, batch: BatchEncoding, *, bf16: bool
) -> Callable[[], torch.Tensor]:
    """A full step of `model` on `batch`, as a callable that returns the loss, a scalar tensor."""
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)

    def step() -> torch.Tensor:
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16):
            loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step
