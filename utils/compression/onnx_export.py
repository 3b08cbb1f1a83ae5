"""From a transformers classifier to an ONNX file, and what is in that file."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from utils.compression.classifier import INPUT_NAMES, onnx_runner, torch_runner
from utils.compression.sessions import Inputs, create_session
from utils.files import complete_or_absent
from utils.models.modes import evaluating
from utils.quiet import without_warnings

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EXAMPLE = ["one short text", "another text with a few more words"]


def export_onnx(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path | str
) -> Path:
    """Write a classifier as one ONNX file, for any batch size and any length.

    Its inputs are those of `input_names`, its output is "logits". Attention is exported as plain
    matrix products: the graph of sdpa has a guard against rows that are masked whole, which no text
    needs. The file appears complete or not at all.
    """
    import onnx

    names = input_names(model, tokenizer)
    example = tokenizer(EXAMPLE, padding=True, return_tensors="pt").to(model.device)
    with complete_or_absent(path) as partial, _ready_to_export(model):
        onnx.save(_exported(model, {name: example[name] for name in names}), partial)
    return Path(path)


def input_names(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the tokenizer gives and the model's forward names, in the order of the tokenizer."""
    accepted = inspect.signature(model.forward).parameters
    return [name for name in tokenizer.model_input_names if name in accepted]


def parity_table(
    model: PreTrainedModel,
    session: InferenceSession,
    tokenizer: PreTrainedTokenizerBase,
    *,
    lengths: Sequence[int] = (4, 16, 48),
    batch_sizes: Sequence[int] = (1, 2, 8),
) -> pd.DataFrame:
    """The largest difference of the logits for each length (rows) and batch size (columns).

    Texts are random tokens; in a batch each is shorter than the one before, so there is padding.
    """
    in_torch, in_onnx = torch_runner(model), onnx_runner(session)

    def difference(length: int, batch_size: int) -> float:
        inputs = random_inputs(tokenizer, batch_size, length)
        return float(np.abs(in_torch(inputs) - in_onnx(inputs)).max())

    rows = [[difference(length, size) for size in batch_sizes] for length in lengths]
    columns = pd.Index(batch_sizes, name="batch size")
    return pd.DataFrame(rows, index=pd.Index(lengths, name="tokens"), columns=columns)


def random_inputs(tokenizer: PreTrainedTokenizerBase, batch_size: int, length: int) -> Inputs:
    """Random tokens (B, T); a row ends in one more padding than the one before, down to a token."""
    ids = np.random.default_rng(0).integers(len(tokenizer), size=(batch_size, length))
    num_tokens = np.maximum(length - np.arange(batch_size), 1)  # (B,)
    mask = (np.arange(length) < num_tokens[:, None]).astype(np.int64)  # (B, T)
    ids = np.where(mask, ids, tokenizer.pad_token_id)
    return dict(zip(INPUT_NAMES, (ids, mask, np.zeros_like(ids)), strict=True))


def optimize(path: Path | str, out: Path | str) -> Path:
    """Write the graph as ONNX Runtime runs it on this machine: fused, with constants folded."""
    with complete_or_absent(out) as partial:
        create_session(path, save_optimized=partial)
    return Path(out)


def op_counts(path: Path | str) -> dict[str, int]:
    """How many nodes of each type the graph of an ONNX file has, the most frequent first."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return dict(Counter(node.op_type for node in graph.node).most_common())


def node_table(path: Path | str) -> pd.DataFrame:
    """The nodes of an ONNX file in the order in which they run; stored weights have an asterisk."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    rows = [
        {
            "op": node.op_type,
            "inputs": ", ".join(f"{name}*" if name in stored else name for name in node.input),
            "output": ", ".join(node.output),
        }
        for node in graph.node
    ]
    return pd.DataFrame(rows)


def foldable_graph(path: Path | str) -> Path:
    """Write the graph of y = x (2 + 3), two nodes of which the first is known ahead of time."""
    from onnx import TensorProto, helper, save

    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in {"two": 2.0, "three": 3.0}.items()
    ]
    nodes = [
        helper.make_node("Add", ["two", "three"], ["sum"]),
        helper.make_node("Mul", ["x", "sum"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    graph = helper.make_graph(nodes, "foldable", [x], [y], constants)
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    save(model, path)
    return Path(path)


class _Logits(nn.Module):
    """A classifier with positional inputs, and logits as its only output."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits  # (B, N)


def _exported(model: PreTrainedModel, example: dict[str, Tensor]) -> ModelProto:
    """The ONNX form of a model in eval mode, for any batch size and length."""
    longest = getattr(model.config, "max_position_embeddings", None)
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=longest)}
    program = torch.onnx.export(
        _Logits(model, list(example)).eval(),  # a new module is in training mode, with dropout
        tuple(example.values()),
        dynamo=True,
        dynamic_shapes=(tuple(axes for _ in example),),
        input_names=list(example),
        output_names=["logits"],
        verbose=False,
    )
    proto = program.model_proto
    del proto.graph.value_info[:]  # shapes that the quantizer would find to contradict its own
    return proto


@contextmanager
def _ready_to_export(model: PreTrainedModel) -> Iterator[None]:
    """Eager attention and a quiet exporter inside; modes and attention as before after it."""
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with (
            evaluating(model),
            without_warnings(),
        ):  # deprecated parts of torch, operators of torchvision
            yield
    finally:
        model.set_attn_implementation(attention)
