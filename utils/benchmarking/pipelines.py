"""Text classifiers as callables: their answers, and their latency in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

from utils.benchmarking.errors import BenchmarkError
from utils.benchmarking.timing import Comparison, compare
from utils.inputs import check_count

Answer = Mapping[str, Any]  # label and score
# A text-classification pipeline of transformers, or whatever is called like one: the best label of
# each text, with its score; a list of one for a single text.
TextPipeline = Callable[..., Sequence[Answer]]


def compare_pipelines(
    pipelines: Mapping[str, TextPipeline],
    queries: Sequence[str],
    *,
    turn: int = 1,
    threads: int = 1,
) -> Comparison:
    """Latency of pipelines that take turns, one query at a time, the same ones for all.

    Each query is a round, so percentiles are over queries. `turn` is the number of queries in a row
    before the next pipeline's turn, see `compare`; a session of ONNX Runtime has its own threads.
    """
    candidates = {name: _one_by_one(pipeline, queries) for name, pipeline in pipelines.items()}
    options = {"warmup": 10, "turn": turn, "unit": "queries", "threads": threads}
    return compare(candidates, rounds=len(queries), **options)


def answer_all(pipeline: TextPipeline, texts: Sequence[str], batch_size: int) -> list[Answer]:
    """The answer to each text, asked for in batches.

    Raises:
        BenchmarkError: there is not one answer for each text.
    """
    from transformers import Pipeline

    # A list alone would not make a pipeline of transformers put texts into one batch.
    options = {"batch_size": batch_size} if isinstance(pipeline, Pipeline) else {}
    check_count(batch_size=batch_size)
    answered: list[Answer] = []
    for start in range(0, len(texts), batch_size):
        batch = list(texts[start : start + batch_size])
        answers = pipeline(batch, **options)
        if len(answers) != len(batch) or not all("label" in answer for answer in answers):
            raise BenchmarkError(
                f"The pipeline must answer a list of {len(batch)} texts with as many of "
                '{"label", "score"}: take out top_k, or wrap it in a function that does.'
            )
        answered += answers
    return answered


def _one_by_one(pipeline: TextPipeline, queries: Sequence[str]) -> Callable[[], object]:
    """A call that gives the pipeline the next query, the first one after the last."""
    following = cycle(queries)
    return lambda: pipeline(next(following))
