"""Text classifiers as callables, and their latency in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Protocol

from utils.benchmarking.timing import BenchmarkError, Comparison, compare

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

QUERY = "how can i choose a new pin for my account before the weekend"
LENGTHS = (8, 16, 32, 64, 128, 256)

Answer = Mapping[str, Any]  # label and score


class TextPipeline(Protocol):
    """A text-classification pipeline of transformers, or whatever is called like one."""

    def __call__(self, texts: str | list[str]) -> Sequence[Answer]:
        """The best label of each text, with its score; a list of one for a single text."""


def compare_pipelines(
    pipelines: Mapping[str, TextPipeline],
    queries: Sequence[str],
    *,
    repeats: int = 1,
    warmup: int = 10,
    turn: int = 1,
    baseline: str | None = None,
    threads: int = 1,
) -> Comparison:
    """Latency of pipelines that take turns, one query at a time, the same ones for all.

    Args:
        pipelines: by name.
        queries: each is a round, so percentiles are over queries.
        repeats: how often all queries come.
        warmup: calls of each pipeline that do not count.
        turn: queries in a row before the next pipeline's turn; see `compare`.
        baseline, threads: see `compare`; a session of ONNX Runtime has its own threads.

    Raises:
        BenchmarkError: no queries, an empty one, or see `compare`.
    """
    if not queries:
        raise BenchmarkError("There are no queries: give at least one.")
    for query in queries:
        check_query(query)
    check_count(repeats=repeats)
    candidates = {name: _one_by_one(pipeline, queries) for name, pipeline in pipelines.items()}
    options = {"warmup": warmup, "turn": turn, "baseline": baseline, "threads": threads}
    return compare(candidates, rounds=repeats * len(queries), unit="queries", **options)


def latency_by_length(
    pipelines: Mapping[str, TextPipeline],
    tokenizer: PreTrainedTokenizerBase,
    lengths: Sequence[int] = LENGTHS,
    *,
    rounds: int = 20,
    warmup: int = 3,
    threads: int = 1,
) -> pd.DataFrame:
    """Median latency in ms of one query, by its length in tokens (rows) and pipeline (columns).

    Pipelines take turns at each length.

    Args:
        pipelines: by name.
        tokenizer: counts the tokens, those it adds included.
        lengths: in tokens.
        rounds, warmup, threads: see `compare`.

    Raises:
        BenchmarkError: see `query_of_length` and `compare`.
    """
    import pandas as pd

    rows = {}
    for length in lengths:
        query = query_of_length(tokenizer, length)
        candidates = {name: partial(pipeline, query) for name, pipeline in pipelines.items()}
        comparison = compare(candidates, rounds=rounds, warmup=warmup, threads=threads)
        rows[length] = {name: 1e3 * timing.median for name, timing in comparison.timings.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("tokens")


def query_of_length(
    tokenizer: PreTrainedTokenizerBase, num_tokens: int, *, words: str = QUERY
) -> str:
    """A text of `num_tokens` tokens, those that the tokenizer adds included.

    It repeats those of `words` that are one token each.

    Raises:
        BenchmarkError: no word is one token, alone and after others, or the length leaves no room.
    """
    num_added = tokenizer.num_special_tokens_to_add()
    single = [word for word in words.split() if len(tokenizer.tokenize(word)) == 1]
    if not single:
        raise BenchmarkError(f'None of the words "{words}" is one token: give more common words.')
    if num_tokens <= num_added:
        raise BenchmarkError(
            f"A length of {num_tokens} tokens leaves no room for text beside the {num_added} that "
            "the tokenizer adds: give more."
        )
    query = " ".join(islice(cycle(single), num_tokens - num_added))
    found = len(tokenizer(query)["input_ids"])
    if found != num_tokens:
        raise BenchmarkError(
            f"{num_tokens - num_added} of the words make {found - num_added} tokens in a row: give "
            "words that are one token after a space."
        )
    return query


def answer_all(pipeline: TextPipeline, texts: Sequence[str], batch_size: int) -> list[Answer]:
    """The answer to each text, asked for in batches."""
    from transformers import Pipeline

    # A list alone would not make a pipeline of transformers put texts into one batch.
    options = {"batch_size": batch_size} if isinstance(pipeline, Pipeline) else {}
    answered: list[Answer] = []
    for start in range(0, len(texts), batch_size):
        batch = list(texts[start : start + batch_size])
        answered += _checked(pipeline(batch, **options), len(batch))
    return answered


def _checked(answers: Any, num_texts: int) -> list[Answer]:
    is_list = isinstance(answers, list) and len(answers) == num_texts
    if not is_list or not all(isinstance(each, Mapping) and "label" in each for each in answers):
        raise BenchmarkError(
            f'The pipeline must answer a list of {num_texts} texts with as many of {{"label", '
            '"score"}}: take out top_k, or wrap it in a function that does.'
        )
    return answers


def _one_by_one(pipeline: TextPipeline, queries: Sequence[str]) -> Callable[[], object]:
    """A call that gives the pipeline the next query, the first one after the last."""
    following = cycle(queries)
    return lambda: pipeline(next(following))


def check_query(query: str) -> None:
    """Raise BenchmarkError for a text without a character that shows."""
    if not query.strip():
        raise BenchmarkError("The query is empty: give a text.")


def check_count(**counts: int) -> None:
    """Raise BenchmarkError for a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise BenchmarkError(f"{name} is {count}: give 1 or more.")
