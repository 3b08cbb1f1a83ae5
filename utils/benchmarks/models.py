"""Models from scratch against the library, with the same weights.

The encoder's forward pass and training step, the prompt of a language model, and the tokens that
follow it. Each new token reads every weight: "bare linears" are these products alone, a floor for
whatever calls them. "packed" lays the weights out for the CPU's kernel (`utils.models.packing`).
On a CPU all is float32 unless it says bf16; on a GPU all is bfloat16.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, LlamaForCausalLM, PreTrainedModel

from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, compare
from utils.decoding import LibraryDecoder, greedy
from utils.models.bert import Bert
from utils.models.llama import Llama
from utils.models.packing import PackedLinear, pack_linears

Batch = dict[str, Tensor]  # input_ids and attention_mask, (B, T) each
Shape = tuple[int, int]  # texts and tokens
Run = Callable[[], Tensor | None]
Candidates = dict[str, Run]

ENCODER = ((32, 128), (1, 16))
TRAINING = ((8, 64),)
PROMPT = ((1, 256),)
DECODING = ((1, 10), (8, 10))  # new tokens, after a prompt of as many


class Case(NamedTuple):
    """Callables that do the same, and how many tokens one call reads or writes."""

    name: str
    candidates: Candidates
    num_tokens: int


def run(*, rounds: int = 20, threads: int = 1, assets: str = "packaged") -> dict[str, Comparison]:
    """Time all cases, on the GPU if there is one."""
    options = {"rounds": rounds, "warmup": 2, "threads": threads, "unit": "tokens"}
    return {
        name: compare(candidates, items=num_tokens, **options)
        for cases in (encoder_cases, decoder_cases)
        for name, candidates, num_tokens in cases(assets)
    }


def encoder_cases(assets: str) -> Iterator[Case]:
    """MiniLM: hidden states of padded texts, and steps of training on them, with dropout."""
    path = checkpoint("encoder", assets)
    library = at_work(AutoModel.from_pretrained(path, add_pooling_layer=False))
    models = {"transformers": library, "ours": Bert.from_library(library)}
    models["ours"].to(library.device, library.dtype)

    def states(model: nn.Module, batch: Batch) -> Tensor:
        output = model(**batch)
        return output if isinstance(output, Tensor) else output.last_hidden_state  # (B, T, D)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return states(model, batch).square().mean()

    for shape in ENCODER:
        batch = random_batch(library, shape, padded=True)
        forward = torch.inference_mode()(states)
        candidates = {name: partial(forward, model, batch) for name, model in models.items()}
        yield Case(f"encoder {_by(shape)}", candidates, int(batch["attention_mask"].sum()))
    for shape in TRAINING:
        batch = random_batch(library, shape, padded=True)
        steps = {name: training_step(m, partial(loss, m, batch)) for name, m in models.items()}
        yield Case(f"training {_by(shape)}", steps, int(batch["attention_mask"].sum()))


def decoder_cases(assets: str) -> Iterator[Case]:
    """SmolLM2: the prompt alone, and tokens that follow a short one."""
    library = at_work(AutoModelForCausalLM.from_pretrained(checkpoint("causal_lm", assets)))
    models = llamas(library)

    def prompt(decoder: LibraryDecoder | Llama, batch: Batch) -> Tensor:
        cache = decoder.new_cache(batch["attention_mask"], max_new_tokens=1)
        return decoder.step(batch["input_ids"], cache)  # (B, V)

    for shape in PROMPT:
        batch = random_batch(library, shape)
        decoders = {"transformers": LibraryDecoder(library)} | models
        candidates = {name: partial(prompt, each, batch) for name, each in decoders.items()}
        yield Case(f"prompt {_by(shape)}", candidates, shape[0] * shape[1])
    for shape in DECODING:
        candidates = continuations(library, models, random_batch(library, shape))
        yield Case(f"decoding {_by(shape)}", candidates, shape[0] * shape[1])


def at_work(model: PreTrainedModel) -> PreTrainedModel:
    """The model in eval mode on the GPU if there is one, in the type in which one uses it there."""
    if torch.cuda.is_available():
        model = model.to("cuda", torch.bfloat16)
    return model.eval()


def random_batch(model: PreTrainedModel, shape: Shape, *, padded: bool = False) -> Batch:
    """Random ids; with padding the texts are from half of the length to all of it."""
    batch_size, length = shape
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(100, model.config.vocab_size, shape, generator=generator)
    lengths = torch.linspace(length, length // 2 if padded else length, batch_size)
    mask = (torch.arange(length) < lengths[:, None]).long()
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}


def llamas(library: LlamaForCausalLM) -> dict[str, Llama]:
    """Our model in the variants that run on the device of the library's."""
    ours = Llama.from_library(library).to(library.device, library.dtype)
    models = {"ours": ours}
    if library.device.type == "cpu" and torch.backends.mkldnn.is_available():
        models["ours, packed"] = pack_linears(copy.deepcopy(ours))
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            models["ours, packed bf16"] = pack_linears(copy.deepcopy(ours).bfloat16())
    return models


def training_step(model: nn.Module, loss: Callable[[], Tensor]) -> Run:
    """Forward, backward and a fused AdamW update; returns the loss, a scalar tensor."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)

    def step() -> Tensor:
        value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.detach()

    return step


def continuations(library: LlamaForCausalLM, models: dict[str, Llama], batch: Batch) -> Candidates:
    """Greedy decoding of as many tokens as the prompt has; `generate` with its own settings."""
    batch_size, num_new = batch["input_ids"].shape

    def decode(model: Llama) -> Tensor:
        cache = model.new_cache(batch["attention_mask"], num_new)
        return greedy(model.step, batch["input_ids"], cache, max_new_tokens=num_new).ids

    lengths = {"min_new_tokens": num_new, "max_new_tokens": num_new}
    generate = partial(library.generate, **batch, **lengths, do_sample=False)
    ours = {name: partial(decode, model) for name, model in models.items()}
    floors = {
        name.replace("ours", "bare linears"): linears_alone(model, batch_size, num_new)
        for name, model in models.items()
    }
    return {"transformers generate": generate} | ours | floors


def linears_alone(model: Llama, batch_size: int, steps: int) -> Run:
    """The matrix products of `steps` steps, without anything between them."""
    weight = model.embedding.weight
    products = [
        (module, weight.new_ones(batch_size, 1, module.in_features))
        for module in model.modules()
        if isinstance(module, nn.Linear | PackedLinear)
    ]

    @torch.inference_mode()
    def run() -> None:
        for _ in range(steps):
            for module, inputs in products:
                module(inputs)

    return run


def _by(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}"
