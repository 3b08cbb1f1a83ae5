"""The benchmark of decoding: what is compared writes the same texts, or as many tokens."""

import math

import pytest
import torch

from utils.benchmarks import decoding
from utils.benchmarks.decoding import NewTokens
from utils.benchmarks.models import llamas

EXACT = ("ours", "ours, packed")


def test_a_run_gives_finite_numbers_for_each_case():
    cases = decoding.run(rounds=1, new_tokens=NewTokens(strategies=1, drafts=2))
    items = {name: (comparison.items, comparison.unit) for name, comparison in cases.items()}
    by_model = {name for name in items if name.startswith("read 5 tokens, ours")}
    assert "read 5 tokens, ours" in by_model
    assert items == {
        "greedy": (1, "tokens"),
        "5 beams": (1, "tokens"),
        "15 samples": (15, "tokens"),
        "greedy, repeating": (2, "tokens"),
        "sample, repeating": (2, "tokens"),
        "greedy, open-ended": (2, "tokens"),
        "sample, open-ended": (2, "tokens"),
    } | dict.fromkeys(by_model, (5, "tokens"))
    for comparison in cases.values():
        assert len(comparison.timings) >= 2
        assert all(map(math.isfinite, comparison.frame().to_numpy().ravel()))


@pytest.fixture(scope="module")
def loaded():
    """The library's model, ours, and the prompts."""
    library, texts = decoding.load("packaged")
    return library, llamas(library), texts


def test_strategies_write_what_generate_writes(loaded):
    library, models, texts = loaded
    batch = texts["open-ended"]
    length = batch["input_ids"].shape[1]
    cases = decoding.strategies(library, models, batch, num_new=4)
    written = {name: {k: run() for k, run in candidates.items()} for name, candidates, _ in cases}
    for name in ("greedy", "5 beams"):
        expected = written[name]["transformers generate"]
        assert expected.shape == (1, length + 4)
        assert all(torch.equal(written[name][ours], expected) for ours in EXACT)
    for ids in written["15 samples"].values():
        assert ids.shape == (15, length + 4)
        assert len(ids.unique(dim=0)) > 1


def test_a_draft_changes_no_greedy_text_and_no_number_of_tokens(loaded):
    _, models, texts = loaded
    cases = decoding.drafts(models["ours"], texts, num_new=6)
    for name, candidates, num_tokens in cases:
        step, draft = (run() for run in candidates.values())
        assert step.shape == draft.shape
        assert num_tokens == 6
        assert torch.equal(step, draft) or name.startswith("sample")


def test_five_calls_and_one_read_the_same(loaded):
    library, models, texts = loaded
    batch = texts["open-ended"]
    name, candidates, num_tokens = next(decoding.reading(models, batch))
    assert (name, num_tokens) == ("read 5 tokens, ours", 5)
    twice = torch.cat((batch["input_ids"], batch["input_ids"][:, :5]), dim=1)
    with torch.no_grad():
        expected = library(twice).logits[:, -1]
    for run in (*candidates.values(), *candidates.values()):
        torch.testing.assert_close(run(), expected, atol=1e-3, rtol=0)
