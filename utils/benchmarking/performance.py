"""A text classifier measured on labelled queries: how good, how fast, how large."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from utils.benchmarking.errors import BenchmarkError
from utils.benchmarking.memory import PeakMemory, peak_memory
from utils.benchmarking.pipelines import Answer, TextPipeline, answer_all
from utils.benchmarking.sizes import files_mb, state_dict_mb
from utils.benchmarking.timing import Timing, measure

if TYPE_CHECKING:
    from datasets import Dataset

QUERY = "how can i choose a new pin for my account before the weekend"
OUT_OF_SCOPE = "oos"  # the class of queries that belong to no other
BATCH_SIZE = 32


class PerformanceBenchmark:
    """Measures one classifier on labelled queries; predictions and latency once, when needed.

    The book's `OnnxPerformanceBenchmark` is this one with `files=[model_path]`. Accuracy is
    measured in batches of 32, the longest queries first. Where int8 is dynamic, the ranges of
    activations are those of a batch, so that labels can differ from those of single queries.

    Args:
        pipeline: of transformers, or a callable that gets a list of texts.
        dataset: queries as `text`, classes as `intent` (a ClassLabel), "oos" among them.
        optim_type: the name of the system in results.
        files: what the system is loaded from; without them its size is that of the pipeline's
            torch model as saved by `torch.save`.
        query: the text whose latency counts.
        threads: of torch while it is timed; a session of ONNX Runtime has its own.

    Raises:
        BenchmarkError: there are no queries or one has no class, or the pipeline's model is in
            training mode, as `Trainer.train` leaves it and `transformers.pipeline` keeps it.
    """

    def __init__(
        self,
        pipeline: TextPipeline,
        dataset: Dataset,
        optim_type: str = "BERT baseline",
        *,
        files: Sequence[str | PathLike[str]] = (),
        query: str = QUERY,
        threads: int = 1,
    ) -> None:
        if getattr(getattr(pipeline, "model", None), "training", False):
            raise BenchmarkError("The model is in training mode, with dropout: call model.eval().")
        self.classes = dataset.features["intent"]
        self.texts, self.labels = list(dataset["text"]), np.array(dataset["intent"])
        if not self.texts or self.labels.min() < 0:
            raise BenchmarkError("There are no queries, or some have no class: use another split.")
        self.pipeline, self.optim_type, self.files = pipeline, optim_type, files
        self.query, self.threads = query, threads

    def predict(self) -> np.ndarray:
        """Class (N,) of each query, or ValueError where an answer is no class of the dataset."""
        return self._predictions[0]

    def correct(self) -> np.ndarray:
        """Whether each query (N,) was classified correctly, for paired tests."""
        return self.predict() == self.labels

    def compute_accuracy(self) -> dict[str, float]:
        """{"accuracy": share of all queries}."""
        return {"accuracy": float(self.correct().mean())}

    def quality(self) -> dict[str, float]:
        """Accuracy of in-scope queries, and how the out-of-scope class does; NaN: no such query.

        `oos_recall` is the share of out-of-scope queries that are recognised, `oos_precision` the
        share of queries answered "out of scope" that are.
        """
        oos = self.classes.str2int(OUT_OF_SCOPE)
        correct, is_oos = self.correct(), self.labels == oos
        return {
            "in_scope_accuracy": _share(correct[~is_oos]),
            "oos_recall": _share(correct[is_oos]),
            "oos_precision": _share(correct[self.predict() == oos]),
        }

    def compute_size(self) -> dict[str, float]:
        """{"size_mb": of the files, or of the model's saved weights}; 1 MB is 2**20 bytes."""
        if self.files:
            return {"size_mb": files_mb(*self.files)}
        return {"size_mb": state_dict_mb(self.pipeline.model)}

    @cached_property
    def latency(self) -> Timing:
        """100 calls with the benchmark's query after 10 that do not count, in seconds."""
        run = partial(self.pipeline, self.query)
        return measure(run, rounds=100, warmup=10, threads=self.threads)

    def time_pipeline(self) -> dict[str, float]:
        """{"time_avg_ms", "time_std_ms"} of `latency`, the latter as `numpy.std`."""
        return {"time_avg_ms": 1e3 * self.latency.mean, "time_std_ms": 1e3 * self.latency.std}

    def throughput(self, batch_size: int) -> float:
        """Queries per second, for 32 of the dataset's queries in batches of `batch_size`."""
        rows = np.linspace(0, len(self.texts) - 1, 32).astype(int)
        texts = [self.texts[row] for row in rows]
        run = partial(answer_all, self.pipeline, texts, batch_size)
        return len(texts) / measure(run, rounds=3, warmup=1, threads=self.threads).median

    def run_benchmark(self) -> dict[str, dict[str, float]]:
        """{optim_type: size_mb, time_avg_ms, time_std_ms, accuracy}, the numbers of the book."""
        numbers = self.compute_size() | self.time_pipeline() | self.compute_accuracy()
        return {self.optim_type: numbers}

    def details(self) -> dict[str, float | None]:
        """All that `run_benchmark` has, percentiles, quality by scope, throughput and memory.

        Memory is by how much it rose while the dataset was classified; see `peak_memory`.
        """
        return {
            **self.run_benchmark()[self.optim_type],
            **{f"p{q}_ms": 1e3 * self.latency.percentile(q) for q in (50, 95, 99)},
            **self.quality(),
            "queries_per_s": self.throughput(1),
            "queries_per_s_batch_32": self.throughput(32),
            "peak_memory_mb": self._predictions[1].process_mb,
            "peak_gpu_mb": self._predictions[1].gpu_mb,
            "threads": self.threads,
        }

    @cached_property
    def _predictions(self) -> tuple[np.ndarray, PeakMemory]:
        order = sorted(range(len(self.texts)), key=lambda row: len(self.texts[row]), reverse=True)
        texts = [self.texts[row] for row in order]
        answers: list[Answer] = []
        peak = peak_memory(lambda: answers.extend(answer_all(self.pipeline, texts, BATCH_SIZE)))
        classes = np.empty_like(self.labels)
        classes[order] = self.classes.str2int([answer["label"] for answer in answers])
        return classes, peak


def _share(is_correct: np.ndarray) -> float:
    return float(is_correct.mean()) if is_correct.size else np.nan
