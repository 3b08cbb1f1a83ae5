"""Models from scratch against the library, with the same weights.

The encoder's forward pass and training step, the prompt of a language model, and the tokens that
follow it. Each new token reads every weight: "bare linears" are these products alone, a floor for
whatever calls them. "packed" lays the weights out for the CPU's kernel (`utils.models.packing`).
On a CPU all is float32 unless it says bf16; on a GPU all is bfloat16.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, compare

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import BertModel, LlamaForCausalLM

    from utils.models.llama import Llama

Batch = dict[str, "Tensor"]  # input_ids and attention_mask, (B, T) each
Shape = tuple[int, int]  # texts and tokens
Candidates = dict[str, Callable[[], object]]


class Case(NamedTuple):
    """Callables that do the same, and how many tokens one call reads or writes."""

    name: str
    candidates: Candidates
    num_tokens: int


class Shapes(NamedTuple):
    """Texts and tokens of each kind of case."""

    encoder: tuple[Shape, ...] = ((32, 128), (1, 16))
    training: tuple[Shape, ...] = ((8, 64),)
    prompt: tuple[Shape, ...] = ((1, 256),)
    decoding: tuple[Shape, ...] = ((1, 10), (8, 10))  # new tokens, after a prompt of as many


def run(
    *, rounds: int = 20, threads: int = 1, assets: str = "packaged", shapes: Shapes | None = None
) -> dict[str, Comparison]:
    """Time all cases on the GPU if there is one.

    Raises:
        BenchmarkError: a count is too small.
        AssetError: a model cannot be had.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()  # the encoder's pooler is left out on purpose
    transformers.utils.logging.disable_progress_bar()
    shapes = shapes or Shapes()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    comparisons = {}
    for make in (encoder_cases, decoder_cases):
        for name, candidates, num_tokens in make(shapes, assets, device):
            options = {"rounds": rounds, "warmup": 2, "threads": threads}
            comparisons[name] = compare(candidates, items=num_tokens, unit="tokens", **options)
    return comparisons


def encoder_cases(shapes: Shapes, assets: str, device: torch.device) -> Iterator[Case]:
    """MiniLM: hidden states of padded texts, and steps of training on them."""
    from transformers import AutoModel

    from utils.models.bert import Bert

    dtype = working_dtype(device)
    library = AutoModel.from_pretrained(checkpoint("encoder", assets), add_pooling_layer=False)
    library = library.to(device, dtype)
    ours = Bert.from_library(library).to(device, dtype)
    for shape in shapes.encoder:
        batch = random_batch(library, shape, padded=True)
        candidates = encodings(library, ours, batch)
        yield Case(f"encoder {_by(shape)}", candidates, int(batch["attention_mask"].sum()))
    for shape in shapes.training:
        batch = random_batch(library, shape, padded=True)
        candidates = training_steps(library, ours, batch)
        yield Case(f"training {_by(shape)}", candidates, int(batch["attention_mask"].sum()))


def decoder_cases(shapes: Shapes, assets: str, device: torch.device) -> Iterator[Case]:
    """SmolLM2: the prompt alone, and tokens that follow a short one."""
    from transformers import AutoModelForCausalLM

    library = AutoModelForCausalLM.from_pretrained(checkpoint("causal_lm", assets))
    library = library.to(device, working_dtype(device)).eval()
    models = llamas(library)
    for shape in shapes.prompt:
        batch = random_batch(library, shape)
        candidates = prompts(library, models, batch)
        yield Case(f"prompt {_by(shape)}", candidates, shape[0] * shape[1])
    for shape in shapes.decoding:
        batch = random_batch(library, shape)
        candidates = continuations(library, models, batch, shape[1])
        yield Case(f"decoding {_by(shape)}", candidates, shape[0] * shape[1])


def working_dtype(device: torch.device) -> torch.dtype:
    """What a model usually runs in on a device."""
    import torch

    return torch.bfloat16 if device.type == "cuda" else torch.float32


def random_batch(
    model: BertModel | LlamaForCausalLM, shape: Shape, *, padded: bool = False
) -> Batch:
    """Random ids; with padding the texts are from half of the length to all of it."""
    import torch

    batch_size, length = shape
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(100, model.config.vocab_size, shape, generator=generator)
    lengths = torch.linspace(length, length // 2 if padded else length, batch_size)
    mask = (torch.arange(length) < lengths[:, None]).long()
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}


def llamas(library: LlamaForCausalLM) -> dict[str, Llama]:
    """Our model in the variants that run on the device of the library's."""
    import torch

    from utils.models.llama import Llama
    from utils.models.packing import pack_linears

    ours = Llama.from_library(library).to(library.device, library.dtype)
    models = {"ours": ours}
    if library.device.type == "cpu" and torch.backends.mkldnn.is_available():
        models["ours, packed"] = pack_linears(copy.deepcopy(ours))
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            models["ours, packed bf16"] = pack_linears(copy.deepcopy(ours).bfloat16())
    return models


def encodings(library: nn.Module, ours: nn.Module, batch: Batch) -> Candidates:
    """Forward passes without gradients."""
    import torch

    without_gradients = torch.inference_mode()
    return {
        "transformers": without_gradients(lambda: library(**batch).last_hidden_state),
        "ours": without_gradients(lambda: ours(**batch)),
    }


def training_steps(library: nn.Module, ours: nn.Module, batch: Batch) -> Candidates:
    """Steps with dropout, after which the models are trained and in training mode."""
    return {
        "transformers": training_step(library, lambda: library(**batch).last_hidden_state),
        "ours": training_step(ours, lambda: ours(**batch)),
    }


def training_step(model: nn.Module, forward: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Forward, backward and a fused AdamW update; the loss is the mean square of `forward`."""
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)

    def step() -> Tensor:
        loss = forward().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def prompts(library: LlamaForCausalLM, models: dict[str, Llama], batch: Batch) -> Candidates:
    """Logits after a prompt, whose keys and values are kept for what follows."""
    from utils.decoding import LibraryDecoder

    def after_prompt(decoder: LibraryDecoder | Llama) -> Tensor:
        cache = decoder.new_cache(batch["attention_mask"], max_new_tokens=1)
        return decoder.step(batch["input_ids"], cache)

    decoders = {"transformers": LibraryDecoder(library)} | models
    return {name: lambda d=decoder: after_prompt(d) for name, decoder in decoders.items()}


def continuations(
    library: LlamaForCausalLM, models: dict[str, Llama], batch: Batch, new_tokens: int
) -> Candidates:
    """Greedy decoding to the last of the new tokens; `generate` with its own settings."""
    from utils.decoding import greedy

    def generate() -> Tensor:
        lengths = {"min_new_tokens": new_tokens, "max_new_tokens": new_tokens}
        return library.generate(**batch, **lengths, do_sample=False)

    def decode(model: Llama) -> Tensor:
        cache = model.new_cache(batch["attention_mask"], new_tokens)
        return greedy(model.step, batch["input_ids"], cache, max_new_tokens=new_tokens).ids

    candidates = {"transformers generate": generate}
    for name, model in models.items():
        candidates[name] = lambda m=model: decode(m)
    for name, model in models.items():
        floor = linears_alone(model, len(batch["input_ids"]), new_tokens)
        candidates[name.replace("ours", "bare linears")] = floor
    return candidates


def linears_alone(model: Llama, batch_size: int, steps: int) -> Callable[[], None]:
    """The matrix products of `steps` steps, without anything between them."""
    import torch
    from torch import nn

    from utils.models.packing import PackedLinear

    weight = model.embedding.weight
    products = []
    for module in model.modules():
        if isinstance(module, nn.Linear | PackedLinear):
            inputs = weight.new_ones(batch_size, 1, module.in_features)
            products.append((module, inputs))

    @torch.inference_mode()
    def run() -> None:
        for _ in range(steps):
            for module, inputs in products:
                module(inputs)

    return run


def _by(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}"
