"""Latency of pipelines in turns, by query and by length."""

import math

import pytest
from transformers import AutoTokenizer

from utils.assets.models import checkpoint
from utils.benchmarking import (
    BenchmarkError,
    compare_pipelines,
    latency_by_length,
    query_of_length,
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(checkpoint("encoder"))


class Listener:
    """Hears queries and says nothing of interest."""

    def __init__(self) -> None:
        self.heard = []

    def __call__(self, texts):
        self.heard.append(texts)
        return [{"label": "oos", "score": 1.0}]


def test_a_round_asks_every_pipeline_the_same_query():
    a, b = Listener(), Listener()
    comparison = compare_pipelines({"a": a, "b": b}, ["x", "y", "z"], repeats=2, warmup=2)
    assert a.heard == b.heard == ["x", "y", *2 * ["z", "x", "y"]]
    assert [len(timing.samples) for timing in comparison.timings.values()] == [6, 6]
    assert (comparison.baseline, comparison.items, comparison.unit) == ("a", 1, "queries")


def test_the_baseline_and_the_threads_are_those_asked_for():
    pipelines = {"a": Listener(), "b": Listener()}
    comparison = compare_pipelines(pipelines, ["x"], baseline="b", threads=2)
    assert (comparison.baseline, comparison.threads) == ("b", 2)
    assert comparison.speedup("b").value == 1


@pytest.mark.parametrize(
    ("queries", "options", "message"),
    [
        ([], {}, r"^There are no queries: give at least one\.$"),
        (["x", ""], {}, r"^The query is empty: give a text\.$"),
        (["x"], {"repeats": 0}, r"^repeats is 0: give 1 or more\.$"),
        (["x"], {"baseline": "c"}, r'^The baseline "c" is no candidate: choose from a\.$'),
    ],
)
def test_comparisons_of_nothing_get_one_sentence(queries, options, message):
    listener = Listener()
    with pytest.raises(BenchmarkError, match=message):
        compare_pipelines({"a": listener}, queries, **options)
    assert not listener.heard


@pytest.mark.parametrize("role", ["encoder", "causal_lm"])  # WordPiece and byte-level BPE
def test_queries_have_the_tokens_asked_for(role):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint(role))
    for length in (3, 8, 17, 256):
        assert len(tokenizer(query_of_length(tokenizer, length))["input_ids"]) == length


def test_words_that_are_no_token_after_a_space_get_one_sentence():
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("causal_lm"))
    with pytest.raises(BenchmarkError, match=r"^4 of the words make 7 tokens in a row: give words"):
        query_of_length(tokenizer, 4, words="tion")


def test_words_of_several_tokens_are_left_out(tokenizer):
    query = query_of_length(tokenizer, 6, words="set thermostatically the lamp")
    assert query == "set the lamp set"
    with pytest.raises(BenchmarkError, match=r'^None of the words "thermostatically" is one token'):
        query_of_length(tokenizer, 6, words="thermostatically")


def test_a_length_without_room_for_text_gets_one_sentence(tokenizer):
    with pytest.raises(BenchmarkError, match=r"^A length of 2 tokens leaves no room .* the 2 that"):
        query_of_length(tokenizer, 2)


def test_medians_by_length_and_pipeline(tokenizer):
    a, b = Listener(), Listener()
    frame = latency_by_length({"a": a, "b": b}, tokenizer, (4, 9), rounds=2, warmup=1)
    assert list(frame.index) == [4, 9]
    assert list(frame.columns) == ["a", "b"]
    assert frame.index.name == "tokens"
    assert all(map(math.isfinite, frame.to_numpy().ravel()))
    assert a.heard == b.heard
    assert [len(tokenizer(query)["input_ids"]) for query in a.heard] == 3 * [4] + 3 * [9]
