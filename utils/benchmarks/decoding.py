"""Decoding strategies against the library's `generate`, and drafts against single steps.

Greedy search, beams and samples write as many tokens on both sides, after the same prompt. With a
draft, greedy search writes the same text as without and sampling draws from the same distribution:
after a text that repeats itself, and after one that does not. What decides whether a draft can pay
is the cost of a call that reads five tokens instead of one. Models are those of the benchmark
`models`; drafts run on the packed one in float32 where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, compare
from utils.benchmarks.models import Batch, Candidates, Case, llamas, working_dtype

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

    from utils.decoding import Continuations, Decoder
    from utils.models.llama import Llama

    Strategy = Callable[..., Continuations]  # of a decoder, ids, a cache and max_new_tokens

TEXTS = {
    "repeating": 3 * "The train to Lisbon leaves at nine and arrives at noon.\n" + "The train to",
    "open-ended": "Once upon a time, in a village by the sea,",
}
NUM_BEAMS = 5
NUM_SAMPLES = 15
TOP_K = 50
NUM_DRAFTED = 4


class NewTokens(NamedTuple):
    """How many tokens each text gets, in the comparisons with `generate` and with drafts."""

    strategies: int = 8
    drafts: int = 24


def run(
    *,
    rounds: int = 6,
    threads: int = 1,
    assets: str = "packaged",
    new_tokens: NewTokens | None = None,
) -> dict[str, Comparison]:
    """Time all cases on the GPU if there is one.

    Raises:
        BenchmarkError: a count is too small.
        AssetError: the model cannot be had.
    """
    import transformers

    transformers.utils.logging.disable_progress_bar()
    new_tokens = new_tokens or NewTokens()
    library, texts = load(assets)
    models = llamas(library)
    options = {"rounds": rounds, "warmup": 1, "threads": threads}
    cases = [
        *strategies(library, models, texts["open-ended"], new_tokens.strategies),
        *drafts(models.get("ours, packed", models["ours"]), texts, new_tokens.drafts),
        *reading(models, texts["open-ended"]),
    ]
    return {
        name: compare(candidates, items=num_tokens, unit="tokens", **options)
        for name, candidates, num_tokens in cases
    }


def load(assets: str) -> tuple[LlamaForCausalLM, dict[str, Batch]]:
    """SmolLM2, on the GPU if there is one, and the prompts."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = checkpoint("causal_lm", assets)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    library = AutoModelForCausalLM.from_pretrained(folder).to(device, working_dtype(device))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = {
        name: dict(tokenizer(text, return_tensors="pt").to(device)) for name, text in TEXTS.items()
    }
    return library.eval(), texts


def strategies(
    library: LlamaForCausalLM, models: dict[str, Llama], batch: Batch, num_new: int
) -> Iterator[Case]:
    """One text by greedy search, one from beams, many drawn."""
    from utils.decoding import Sampling, beam_search, greedy, sample

    def against_generate(strategy: Strategy, **settings: Any) -> Candidates:
        lengths = {"min_new_tokens": num_new, "max_new_tokens": num_new}
        generate = partial(library.generate, **batch, **lengths, **settings)
        ours = {
            name: continuation(strategy, model, batch, num_new) for name, model in models.items()
        }
        return {"transformers generate": generate} | ours

    yield Case("greedy", against_generate(by_steps(greedy), do_sample=False), num_new)
    strategy = by_steps(beam_search, num_beams=NUM_BEAMS)
    candidates = against_generate(strategy, do_sample=False, num_beams=NUM_BEAMS)
    yield Case(f"{NUM_BEAMS} beams", candidates, num_new)
    strategy = by_steps(sample, sampling=Sampling(top_k=TOP_K), num_samples=NUM_SAMPLES)
    settings = {"do_sample": True, "top_k": TOP_K, "num_return_sequences": NUM_SAMPLES}
    candidates = against_generate(strategy, **settings)
    yield Case(f"{NUM_SAMPLES} samples", candidates, NUM_SAMPLES * num_new)


def drafts(model: Llama, texts: dict[str, Batch], num_new: int) -> Iterator[Case]:
    """Each text continued in single steps and with a draft; what is drawn differs by call."""
    import torch

    from utils.decoding import NgramDraft, Sampling, greedy, sample, speculative_sample

    drafting = partial(speculative_sample, draft=NgramDraft(), num_drafted=NUM_DRAFTED)
    drawing = {
        "sampling": Sampling(top_k=TOP_K),
        "generator": torch.Generator(model.embedding.weight.device).manual_seed(0),
    }
    pairs = {
        "greedy": (by_steps(greedy), partial(drafting, sampling=Sampling(top_k=1))),
        "sample": (by_steps(sample, **drawing), partial(drafting, **drawing)),
    }
    for text, batch in texts.items():
        for name, pair in pairs.items():
            step, draft = (continuation(strategy, model, batch, num_new) for strategy in pair)
            yield Case(f"{name}, {text}", {"single steps": step, "n-gram draft": draft}, num_new)


def reading(models: dict[str, Llama], batch: Batch) -> Iterator[Case]:
    """A token and its draft, in one call each and in one call together."""
    num_tokens = 1 + NUM_DRAFTED
    for name, model in models.items():
        candidates = {
            f"{num_tokens} calls": read(model, batch, num_tokens, tokens_per_call=1),
            "1 call": read(model, batch, num_tokens, tokens_per_call=num_tokens),
        }
        yield Case(f"read {num_tokens} tokens, {name}", candidates, num_tokens)


def by_steps(strategy: Strategy, **settings: Any) -> Strategy:
    """A strategy over steps, with settings, as one over decoders."""

    def continue_texts(decoder: Decoder, ids: Tensor, cache: Any, **options: Any) -> Continuations:
        return strategy(decoder.step, ids, cache, **settings, **options)

    return continue_texts


def continuation(
    strategy: Strategy, model: Llama, batch: Batch, num_new: int
) -> Callable[[], Tensor]:
    """A call that continues the batch, the allocation of a cache included."""

    def run() -> Tensor:
        cache = model.new_cache(batch["attention_mask"], num_new)
        return strategy(model, batch["input_ids"], cache, max_new_tokens=num_new).ids

    return run


def read(
    model: Llama, batch: Batch, num_tokens: int, *, tokens_per_call: int
) -> Callable[[], Tensor]:
    """Logits (1, V) after the first tokens of the batch, read once more after its text."""
    ids, length = batch["input_ids"], batch["input_ids"].shape[1]
    calls = ids[:, :num_tokens].split(tokens_per_call, dim=1)
    cache = model.new_cache(batch["attention_mask"], num_tokens)
    model.states(ids, cache)

    def run() -> Tensor:
        cache.crop(length)
        return [model.logits(model.states(call, cache)) for call in calls][-1][:, -1]

    return run
