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
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, compare
from utils.benchmarks.models import Batch, Candidates, Case, Run, at_work, llamas
from utils.decoding import NgramDraft, Sampling, beam_search, greedy, sample, speculative_sample
from utils.models.llama import Llama

Strategy = Callable[..., Any]  # of a model, ids, a cache and max_new_tokens

TEXTS = {
    "repeating": 3 * "The train to Lisbon leaves at nine and arrives at noon.\n" + "The train to",
    "open-ended": "Once upon a time, in a village by the sea,",
}
NUM_NEW = 8  # tokens, beside `generate`
NUM_NEW_WITH_DRAFT = 24
NUM_BEAMS = 5
NUM_SAMPLES = 15
TOP_K = 50
NUM_DRAFTED = 4


def run(*, rounds: int = 6, threads: int = 1, assets: str = "packaged") -> dict[str, Comparison]:
    """Time all cases, on the GPU if there is one."""
    library, texts = load(assets)
    models = llamas(library)
    cases = [
        *strategies(library, models, texts["open-ended"]),
        *drafts(models.get("ours, packed", models["ours"]), texts),
        *reading(models, texts["open-ended"]),
    ]
    options = {"rounds": rounds, "warmup": 1, "threads": threads, "unit": "tokens"}
    return {case.name: compare(case.candidates, items=case.num_tokens, **options) for case in cases}


def load(assets: str) -> tuple[LlamaForCausalLM, dict[str, Batch]]:
    """SmolLM2, on the GPU if there is one, and the prompts."""
    folder = checkpoint("causal_lm", assets)
    library = at_work(AutoModelForCausalLM.from_pretrained(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = {name: tokenizer(text, return_tensors="pt") for name, text in TEXTS.items()}
    return library, {name: dict(batch.to(library.device)) for name, batch in encoded.items()}


def strategies(library: LlamaForCausalLM, models: dict[str, Llama], batch: Batch) -> Iterator[Case]:
    """One text by greedy search, one from beams, many drawn."""

    def against_generate(strategy: Strategy, **settings: Any) -> Candidates:
        settings |= {"min_new_tokens": NUM_NEW, "max_new_tokens": NUM_NEW}
        generate = partial(library.generate, **batch, **settings)
        ours = {name: continuation(strategy, each, batch, NUM_NEW) for name, each in models.items()}
        return {"transformers generate": generate} | ours

    yield Case("greedy", against_generate(by_steps(greedy), do_sample=False), NUM_NEW)
    beams = by_steps(beam_search, num_beams=NUM_BEAMS)
    candidates = against_generate(beams, do_sample=False, num_beams=NUM_BEAMS)
    yield Case(f"{NUM_BEAMS} beams", candidates, NUM_NEW)
    draws = by_steps(sample, sampling=Sampling(top_k=TOP_K), num_samples=NUM_SAMPLES)
    settings = {"do_sample": True, "top_k": TOP_K, "num_return_sequences": NUM_SAMPLES}
    yield Case(f"{NUM_SAMPLES} samples", against_generate(draws, **settings), NUM_SAMPLES * NUM_NEW)


def drafts(model: Llama, texts: dict[str, Batch]) -> Iterator[Case]:
    """Each text continued in single steps and with a draft; what is drawn differs by call."""
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
            step, draft = (continuation(each, model, batch, NUM_NEW_WITH_DRAFT) for each in pair)
            candidates = {"single steps": step, "n-gram draft": draft}
            yield Case(f"{name}, {text}", candidates, NUM_NEW_WITH_DRAFT)


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
    """A strategy over steps, with settings, as one over models."""
    return lambda model, *args, **options: strategy(model.step, *args, **settings, **options)


def continuation(strategy: Strategy, model: Llama, batch: Batch, num_new: int) -> Run:
    """A call that continues the batch, the allocation of a cache included."""

    def run() -> Tensor:
        cache = model.new_cache(batch["attention_mask"], num_new)
        return strategy(model, batch["input_ids"], cache, max_new_tokens=num_new).ids

    return run


def read(model: Llama, batch: Batch, num_tokens: int, *, tokens_per_call: int) -> Run:
    """Logits (1, V) after the first tokens of the batch, read once more after its text."""
    ids, length = batch["input_ids"], batch["input_ids"].shape[1]
    calls = ids[:, :num_tokens].split(tokens_per_call, dim=1)
    cache = model.new_cache(batch["attention_mask"], num_tokens)
    model.states(ids, cache)

    def run() -> Tensor:
        cache.crop(length)
        return [model.logits(model.states(call, cache)) for call in calls][-1][:, -1]

    return run
