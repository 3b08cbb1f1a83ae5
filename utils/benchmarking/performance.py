"""A text classifier measured on labelled queries: how good, how fast, how large."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.benchmarking.memory import PeakMemory, peak_memory
from utils.benchmarking.pipelines import (
    QUERY,
    Answer,
    TextPipeline,
    answer_all,
    check_count,
    check_query,
)
from utils.benchmarking.sizes import files_mb, state_dict_mb
from utils.benchmarking.timing import BenchmarkError, Timing, measure

if TYPE_CHECKING:
    from datasets import ClassLabel, Dataset

THROUGHPUT_QUERIES = 32


class PerformanceBenchmark:
    """Measures one classifier on labelled queries: each measure once, when it is first needed.

    The book's `OnnxPerformanceBenchmark` is this one with `files=[model_path]`.

    Args:
        pipeline: from text to label. Pipelines of transformers are called with `batch_size`, other
            callables get a list of that many texts.
        dataset: queries as `text`, classes as `intent` (a ClassLabel).
        optim_type: the name of the system in results.
        files: files or folders that the system is loaded from, its size; without them the weights
            of the pipeline's torch model as saved by `torch.save`.
        query: the text whose latency counts.
        out_of_scope: the class of queries that belong to no other; None where there is none.
        batch_size: queries per call for accuracy. Where int8 is dynamic, the ranges of activations
            are those of a batch, so that labels can differ from those of single queries.
        threads: CPU threads. torch gets as many while it is timed; a session of ONNX Runtime has
            its own number, which this one must repeat.

    Raises:
        BenchmarkError: the dataset is empty or lacks a column or the out-of-scope class, the query
            is empty, a count is below 1, or the pipeline's model is in training mode, as
            `Trainer.train` leaves it and `transformers.pipeline` does not change.

    Example:
        benchmark = PerformanceBenchmark(pipeline, dataset, "teacher")
        benchmark.run_benchmark()  # the four numbers of the book
        benchmark.details()  # all of them
    """

    def __init__(
        self,
        pipeline: TextPipeline,
        dataset: Dataset,
        optim_type: str = "BERT baseline",
        *,
        files: Sequence[str | PathLike[str]] = (),
        query: str = QUERY,
        out_of_scope: str | None = "oos",
        batch_size: int = 32,
        threads: int = 1,
    ) -> None:
        check_count(batch_size=batch_size, threads=threads)
        check_query(query)
        _check_mode(pipeline)
        self.classes = _classes(dataset, out_of_scope)
        self.texts = list(dataset["text"])
        self.labels = np.array(dataset["intent"])
        self.pipeline = pipeline
        self.optim_type = optim_type
        self.files = tuple(files)
        self.query = query
        self.out_of_scope = out_of_scope
        self.batch_size = batch_size
        self.threads = threads

    def predict(self) -> np.ndarray:
        """Class (N,) of each query; the longest queries are classified first, in batches.

        Raises:
            BenchmarkError: the pipeline's answers are no labels of the dataset, one for each text.
        """
        return self._predictions[0]

    @property
    def memory(self) -> PeakMemory:
        """By how much memory rose while the dataset was classified, which happens once.

        How far runtimes can be compared by it says `peak_memory`.
        """
        return self._predictions[1]

    def correct(self) -> np.ndarray:
        """Whether each query (N,) was classified correctly, for paired tests."""
        return self.predict() == self.labels

    def compute_accuracy(self) -> dict[str, float]:
        """{"accuracy": share of all queries}."""
        return {"accuracy": float(self.correct().mean())}

    def quality(self) -> dict[str, float | None]:
        """Accuracy of in-scope queries, and how the out-of-scope class does; None: no such query.

        `oos_recall` is the share of out-of-scope queries that are recognised, `oos_precision` the
        share of queries answered "out of scope" that are.
        """
        is_oos, answered_oos = (self._is_oos(ids) for ids in (self.labels, self.predict()))
        correct = self.correct()
        return {
            "in_scope_accuracy": _share(correct[~is_oos]),
            "oos_recall": _share(correct[is_oos]),
            "oos_precision": _share(correct[answered_oos]),
        }

    def compute_size(self) -> dict[str, float]:
        """{"size_mb": of the files, or of the model's saved weights}; 1 MB is 2**20 bytes.

        Raises:
            BenchmarkError: there are no files and no torch model, or a file is missing.
        """
        if self.files:
            return {"size_mb": files_mb(*self.files)}
        return {"size_mb": state_dict_mb(_torch_model(self.pipeline))}

    @cached_property
    def latency(self) -> Timing:
        """100 calls with the benchmark's query after 10 that do not count, in seconds."""
        return self._time(self.query)

    def time_pipeline(self, query: str | None = None) -> dict[str, float]:
        """{"time_avg_ms", "time_std_ms"} (population) of `latency`, or anew for another query.

        Raises:
            BenchmarkError: the query is empty.
        """
        numbers = latency_ms(self.latency if query is None else self._time(query))
        return {name: numbers[name] for name in ("time_avg_ms", "time_std_ms")}

    def throughput(self, batch_size: int) -> float:
        """Queries per second, for 32 of the dataset's queries in batches of `batch_size`."""
        rows = np.linspace(0, len(self.texts) - 1, THROUGHPUT_QUERIES).astype(int)
        texts = [self.texts[row] for row in rows]
        run = partial(answer_all, self.pipeline, texts, batch_size)
        return len(texts) / measure(run, rounds=3, warmup=1, threads=self.threads).median

    def run_benchmark(self) -> dict[str, dict[str, float]]:
        """{optim_type: size_mb, time_avg_ms, time_std_ms, accuracy}."""
        numbers = self.compute_size() | self.time_pipeline() | self.compute_accuracy()
        return {self.optim_type: numbers}

    def details(self) -> dict[str, float | None]:
        """All that `run_benchmark` has, percentiles, quality by scope, throughput and memory."""
        return dict(self._details)

    @cached_property
    def _details(self) -> dict[str, float | None]:
        return {
            **self.run_benchmark()[self.optim_type],
            **latency_ms(self.latency),
            **self.quality(),
            "queries_per_s": self.throughput(1),
            "queries_per_s_batch_32": self.throughput(THROUGHPUT_QUERIES),
            "peak_memory_mb": self.memory.process_mb,
            "peak_gpu_mb": self.memory.gpu_mb,
            "threads": self.threads,
        }

    @cached_property
    def _predictions(self) -> tuple[np.ndarray, PeakMemory]:
        order = sorted(range(len(self.texts)), key=lambda row: len(self.texts[row]), reverse=True)
        texts = [self.texts[row] for row in order]
        answers: list[Answer] = []
        peak = peak_memory(
            lambda: answers.extend(answer_all(self.pipeline, texts, self.batch_size))
        )
        classes = np.empty_like(self.labels)
        classes[order] = [self._class_of(answer) for answer in answers]
        return classes, peak

    def _class_of(self, answer: Answer) -> int:
        label = answer["label"]
        if label not in self.classes.names:
            raise BenchmarkError(
                f'The pipeline answers "{label}", which is no class of the dataset: give its model '
                "the dataset's names as id2label."
            )
        return self.classes.str2int(label)

    def _is_oos(self, ids: np.ndarray) -> np.ndarray:
        if self.out_of_scope is None:
            return np.zeros(ids.shape, bool)
        return ids == self.classes.str2int(self.out_of_scope)

    def _time(self, query: str) -> Timing:
        check_query(query)
        return measure(partial(self.pipeline, query), rounds=100, warmup=10, threads=self.threads)


def latency_ms(timing: Timing) -> dict[str, float]:
    """Mean, standard deviation and percentiles in ms, by the names that `details` gives them."""
    seconds = {
        "time_avg_ms": timing.mean,
        "time_std_ms": timing.std,
        "p50_ms": timing.p50,
        "p95_ms": timing.p95,
        "p99_ms": timing.p99,
    }
    return {name: 1e3 * each for name, each in seconds.items()}


def _classes(dataset: Dataset, out_of_scope: str | None) -> ClassLabel:
    """The classes of the dataset, or BenchmarkError where it cannot be measured on."""
    from datasets import ClassLabel

    classes = dataset.features.get("intent")
    if "text" not in dataset.features or not isinstance(classes, ClassLabel):
        raise BenchmarkError(
            "The dataset needs the columns text and intent, a ClassLabel: see rename_column and "
            "class_encode_column."
        )
    if not len(dataset):
        raise BenchmarkError("The dataset is empty: give at least one query.")
    if min(dataset["intent"]) < 0:
        raise BenchmarkError("The dataset has queries without a class: measure on another split.")
    if out_of_scope is not None and out_of_scope not in classes.names:
        raise BenchmarkError(
            f'The dataset has no class "{out_of_scope}": name its out-of-scope class, or None.'
        )
    return classes


def _check_mode(pipeline: TextPipeline) -> None:
    if getattr(getattr(pipeline, "model", None), "training", False):
        raise BenchmarkError("The model is in training mode, so dropout is on: call model.eval().")


def _torch_model(pipeline: Any) -> Any:
    from torch import nn

    model = getattr(pipeline, "model", None)
    if not isinstance(model, nn.Module):
        raise BenchmarkError(
            "The pipeline has no torch model to save: pass files, what it is loaded from."
        )
    return model


def _share(is_correct: np.ndarray) -> float | None:
    return float(is_correct.mean()) if is_correct.size else None
