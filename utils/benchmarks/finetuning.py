"""Fine-tuning steps of the encoder: float32 against bfloat16 autocast.

A step is forward, backward and a fused AdamW update on one batch of real texts, cut or padded to a
fixed length. bfloat16 gains where the hardware multiplies it (avx512_bf16, AMX, recent GPUs) and
loses where it is emulated.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, compare
from utils.benchmarks.models import training_step

BATCH_SIZE = 32
LENGTHS = (16, 64)  # tokens


def run(*, rounds: int = 5, threads: int = 1, assets: str = "packaged") -> dict[str, Comparison]:
    """Time training steps at each length, on the GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    path = checkpoint("encoder", assets)
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=6)
    tokenizer = AutoTokenizer.from_pretrained(path)
    rows = load("short_texts", assets)["train"][:BATCH_SIZE]
    options = {"rounds": rounds, "warmup": 2, "items": BATCH_SIZE, "unit": "samples"}
    comparisons = {}
    for length in LENGTHS:
        settings = {"padding": "max_length", "truncation": True, "max_length": length}
        batch = tokenizer(rows["text"], **settings, return_tensors="pt").to(device)
        batch["labels"] = torch.tensor(rows["label"], device=device)
        steps = {}
        for name, bf16 in {"fp32": False, "bf16": True}.items():
            trained = copy.deepcopy(model).to(device)
            steps[name] = training_step(trained, partial(loss, trained, batch, bf16=bf16))
        comparisons[f"{length} tokens"] = compare(steps, threads=threads, **options)
    return comparisons


def loss(model: PreTrainedModel, batch: Mapping[str, Tensor], *, bf16: bool) -> Tensor:
    """A scalar tensor, from a forward pass in bfloat16 or in float32."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16):
        return model(**batch).loss
