"""Latency of pipelines in turns."""

import pytest

from utils.benchmarking import compare_pipelines


class Listener:
    """Hears queries and says nothing of interest."""

    def __init__(self) -> None:
        self.heard = []

    def __call__(self, texts):
        self.heard.append(texts)
        return [{"label": "oos", "score": 1.0}]


def test_a_round_asks_every_pipeline_the_same_query():
    a, b = Listener(), Listener()
    comparison = compare_pipelines({"a": a, "b": b}, ["x", "y", "z"], threads=2)
    assert a.heard == b.heard == [*3 * ["x", "y", "z"], "x", *["y", "z", "x"]]  # ten to warm up
    assert [len(timing.samples) for timing in comparison.timings.values()] == [3, 3]
    assert (comparison.baseline, comparison.items, comparison.unit) == ("a", 1, "queries")
    assert comparison.threads == 2


def test_no_queries_get_one_sentence():
    with pytest.raises(ValueError, match=r"^rounds is 0: choose a whole number of 1 or more\.$"):
        compare_pipelines({"a": Listener()}, [])
