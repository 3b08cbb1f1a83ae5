"""Smaller and faster classifiers: distillation, int8, ONNX Runtime, a trimmed vocabulary.

A teacher learns intents of queries. Smaller models learn the same, from labels alone ("student";
"control", for as long as the next), with the teacher's logits ("distilled"), and with these from
every second layer of the teacher on ("layers"). "torch int8", "torch bf16", "torch.compile", "ONNX"
and "ONNX int8" run the distilled one. "trimmed" is the last of these without rare tokens that the
training queries do not need and without late positions, behind the short path from text to label of
`TextClassifier`; "teacher, lean" has that path alone. "final" has half of the neurons of "trimmed".

All systems answer texts with labels on the CPU. In the table of a seed they took turns on the same
test queries, one query at a time; sizes are those of all files that a system is loaded from, the
tokenizer's among them. A seed decides which queries train and in which order, the weights of new
heads, and dropout. Last come means over seeds, with latencies from the rounds of all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import (
    BenchmarkError,
    Comparison,
    PerformanceBenchmark,
    PerformanceTable,
    TextPipeline,
    Timing,
    compare_pipelines,
    performance_table,
    torch_threads,
)
from utils.benchmarking.performance import latency_ms
from utils.benchmarking.pipelines import QUERY, answer_all, check_count

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LEARNING_RATE = 6e-4  # high, as word embeddings stay as they are
ALPHA, TEMPERATURE = 0.5, 2.0
TURN = 20  # queries in a row, so that a system finds its weights in the cache as a service does
MAX_LENGTH = 64  # tokens that the packed systems read
BATCH_SIZE = 32
KEPT_TOKENS = 3_000  # common words that they keep beside the tokens of the queries
PRUNED_NEURONS = 0.5  # share of those in the feed-forward parts
IMPORTANCE_QUERIES = 320


class System(NamedTuple):
    """A text classifier, and the folder of the files that it is loaded from."""

    classify: TextPipeline
    folder: Path


class Models(NamedTuple):
    """Classifiers that learned from the same queries, in eval mode on the CPU."""

    teacher: PreTrainedModel
    student: PreTrainedModel
    control: PreTrainedModel
    layers: PreTrainedModel
    distilled: PreTrainedModel


def run(
    *,
    rounds: int = 100,
    threads: int = 1,
    assets: str = "packaged",
    seeds: Sequence[int] = (0, 1, 2),
    num_queries: int = 2_400,
    num_tested: int | None = None,
    epochs: int = 3,
    with_compile: bool = True,
) -> dict[str, Comparison | PerformanceTable]:
    """Train the models for each seed, on the GPU if there is one, and measure all systems.

    Args:
        rounds: test queries whose latency is measured, the same for each seed.
        threads: CPU threads of torch and of ONNX Runtime while they are measured; training takes
            what torch has.
        assets: packaged or hub.
        seeds: one training of all models for each.
        num_queries: for training.
        num_tested: test queries that count for quality; all by default.
        epochs: of teacher and student; twice as many with soft targets, and for their control.
        with_compile: measure `torch.compile` too; where it does not work a line says so instead.

    Raises:
        BenchmarkError: a count is below 1, or there are fewer queries than asked for.
        AssetError: a model or the data cannot be had.
    """
    check_count(rounds=rounds, threads=threads, seeds=len(seeds), epochs=epochs)
    be_quiet()
    intents = load("intents_oos", assets)
    num_tested = len(intents["test"]) if num_tested is None else num_tested
    test = draw(intents["test"], num_tested, seed=0)
    timed = draw(test, rounds, seed=0)["text"]
    with_compile = with_compile and can_compile()
    comparisons, tables = [], {}
    for seed in seeds:
        texts = draw(intents["train"], num_queries, seed)
        tokenizer, models = train(texts, seed=seed, epochs=epochs, assets=assets)
        with TemporaryDirectory() as folder, torch_threads(threads):
            systems = torch_systems(models, tokenizer, Path(folder), with_compile=with_compile)
            options = {"folder": Path(folder), "threads": threads}
            systems |= onnx_systems(models.distilled, tokenizer, texts, **options)
            comparisons.append(compare_systems(systems, timed, threads))
            tables[f"seed {seed}"] = tabulate(systems, test, comparisons[-1])
    turns = joined(comparisons)
    return {"all": turns, **tables, "mean": mean_table([*tables.values()], turns)}


def be_quiet() -> None:
    """No progress bars, and no word on heads without weights, which is what we ask for."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def draw(rows: Dataset, count: int, seed: int) -> Dataset:
    """Some of the rows at random, or BenchmarkError if there are fewer."""
    check_count(queries=count)
    if count > len(rows):
        raise BenchmarkError(f"There are {len(rows):,} queries, not {count:,}: ask for fewer.")
    return rows.shuffle(seed=seed).select(range(count))


def can_compile() -> bool:
    """Whether `torch.compile` finds what it needs on this machine; a line says if it does not."""
    import torch

    try:
        torch.compile(torch.sin)(torch.ones(8))
    except RuntimeError:  # of whatever kind: all that torch.compile raises are
        print(
            "torch.compile is left out: it needs a working C++ compiler, such as g++, on the PATH."
        )
        return False
    return True


def train(
    texts: Dataset, *, seed: int, epochs: int, assets: str
) -> tuple[PreTrainedTokenizerBase, Models]:
    """Teacher and students from one set of queries; the students have the teacher's tokenizer.

    "control" is the distilled student without its teacher. "layers" starts as every second layer of
    the teacher.
    """
    from transformers import AutoTokenizer

    from utils.training import add_teacher_logits, drop_layers

    path = checkpoint("bert", assets)
    tokenizer = AutoTokenizer.from_pretrained(path)
    names = texts.features["intent"].names
    new_student = partial(new_classifier, checkpoint("small_student", assets), names)
    learn = partial(fine_tune, tokenizer=tokenizer, seed=seed)

    teacher = learn(partial(new_classifier, path, names), texts, epochs=epochs)
    half = partial(drop_layers, teacher, range(1, teacher.config.num_hidden_layers, 2))
    taught = add_teacher_logits(texts, teacher, tokenizer)
    return tokenizer, Models(
        teacher,
        student=learn(new_student, texts, epochs=epochs),
        control=learn(new_student, texts, epochs=2 * epochs),
        layers=learn(half, taught, epochs=epochs, alpha=ALPHA),
        distilled=learn(new_student, taught, epochs=2 * epochs, alpha=ALPHA),
    )


def new_classifier(path: str, names: Sequence[str]) -> PreTrainedModel:
    """A pretrained encoder with frozen word embeddings under a new head."""
    from transformers import AutoModelForSequenceClassification

    labels = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
    model = AutoModelForSequenceClassification.from_pretrained(path, **labels)
    model.get_input_embeddings().requires_grad_(False)
    return model


def fine_tune(
    model_init: Callable[[], PreTrainedModel],
    texts: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    epochs: int,
    alpha: float = 1.0,
) -> PreTrainedModel:
    """Train what `model_init` gives on text and intent; below alpha = 1 on teacher_logits too."""
    import torch
    from transformers import DataCollatorWithPadding

    from utils.chapter import has_fast_bf16
    from utils.training import DistillationTrainer, DistillationTrainingArguments

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoded = texts.map(lambda batch: tokenizer(batch["text"], truncation=True), batched=True)
    with TemporaryDirectory() as folder:
        trainer = DistillationTrainer(
            model_init=model_init,
            args=DistillationTrainingArguments(
                output_dir=folder,
                alpha=alpha,
                temperature=TEMPERATURE,
                num_train_epochs=epochs,
                learning_rate=LEARNING_RATE,
                per_device_train_batch_size=BATCH_SIZE,
                weight_decay=0.01,
                warmup_steps=0.1,  # below 1: a share of all steps
                train_sampling_strategy="group_by_length",
                save_strategy="no",
                bf16=has_fast_bf16(device),
                use_cpu=device.type == "cpu",
                seed=seed,
            ),
            train_dataset=encoded.rename_column("intent", "labels"),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        trainer.train()
    return trainer.trained_model().cpu()


def torch_systems(
    models: Models, tokenizer: PreTrainedTokenizerBase, folder: Path, *, with_compile: bool
) -> dict[str, System]:
    """The models in pipelines of transformers, and the teacher behind the short path."""
    from transformers import pipeline

    from utils.compression import TextClassifier, torch_runner

    systems = {}
    for name, model in torch_models(models, with_compile=with_compile).items():
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        systems[name] = System(classify, save(model, tokenizer, folder / name))
    teacher = models.teacher
    lean = TextClassifier(torch_runner(teacher), tokenizer, teacher.config.id2label)
    return systems | {"teacher, lean": System(lean, systems["teacher"].folder)}


def torch_models(models: Models, *, with_compile: bool) -> dict[str, PreTrainedModel]:
    """All models by name, and what torch makes of the distilled one."""
    import torch

    from utils.compression import quantize_linears

    named = models._asdict()
    named["torch int8"] = quantize_linears(models.distilled)
    named["torch bf16"] = copy.deepcopy(models.distilled).to(torch.bfloat16)
    if with_compile:
        torch.compiler.reset()  # a limit on recompilations counts those of earlier seeds
        named["torch.compile"] = copy.deepcopy(models.distilled)
        named["torch.compile"].compile(dynamic=True)
    return named


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Write weights and tokenizer as compactly as `save_classifier` does; returns the folder."""
    import torch

    folder.mkdir()
    torch.save(model.state_dict(), folder / "weights.pt")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    return folder


def onnx_systems(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Dataset,
    *,
    folder: Path,
    threads: int,
) -> dict[str, System]:
    """A model in ONNX Runtime: in float32, in int8, trimmed to `texts`, and with fewer neurons."""
    from utils.compression import (
        OnnxPipeline,
        create_session,
        export_onnx,
        neuron_importance,
        prune_neurons,
        quantize_onnx,
        save_classifier,
    )

    path = export_onnx(model, tokenizer, folder / "fp32.onnx")
    files = {"ONNX": path, "ONNX int8": quantize_onnx(path, folder / "int8.onnx", per_channel=True)}
    labels, systems = model.config.id2label, {}
    for name, path in files.items():
        save_classifier(folder / name, path, tokenizer, labels)
        session = create_session(path, threads=threads)
        systems[name] = System(OnnxPipeline(session, tokenizer, labels), folder / name)
    importance = neuron_importance(model, labelled_batches(model, tokenizer, texts))
    fewer = prune_neurons(model, importance, PRUNED_NEURONS)
    for name, packed in {"trimmed": model, "final": fewer}.items():
        options = {"folder": folder / name, "threads": threads}
        systems[name] = packed_system(packed, tokenizer, texts["text"], **options)
    return systems


def labelled_batches(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Dataset
) -> list[dict[str, torch.Tensor]]:
    """What the model takes to compute its loss on the first IMPORTANCE_QUERIES of the queries."""
    import torch

    from utils.compression import input_names

    names, batches = input_names(model, tokenizer), []
    for start in range(0, min(len(texts), IMPORTANCE_QUERIES), BATCH_SIZE):
        rows = texts[start : start + BATCH_SIZE]
        encoded = tokenizer(rows["text"], padding=True, truncation=True, return_tensors="pt")
        labels = {"labels": torch.tensor(rows["intent"])}
        batches.append({name: encoded[name] for name in names} | labels)
    return batches


def packed_system(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    folder: Path,
    threads: int,
) -> System:
    """Trimmed, exported, quantized, and read back from its folder as on another machine."""
    from utils.compression import (
        TextClassifier,
        export_onnx,
        quantize_onnx,
        save_classifier,
        trim_positions,
        trim_vocabulary,
    )

    common = [token for token in sorted_vocabulary(tokenizer) if token.isalpha()]
    trimmed, tokenizer = trim_vocabulary(model, tokenizer, texts, keep=common[:KEPT_TOKENS])
    trimmed = trim_positions(trimmed, MAX_LENGTH)
    with TemporaryDirectory() as exported:
        path = export_onnx(trimmed, tokenizer, Path(exported, "fp32.onnx"))
        path = quantize_onnx(path, Path(exported, "int8.onnx"), per_channel=True)
        save_classifier(folder, path, tokenizer, model.config.id2label, max_length=MAX_LENGTH)
    return System(TextClassifier.load(folder, threads=threads), folder)


def sorted_vocabulary(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """All tokens by id; in the vocabulary of BERT, common words come first."""
    return tokenizer.convert_ids_to_tokens(range(len(tokenizer)))


def compare_systems(
    systems: Mapping[str, System], queries: Sequence[str], threads: int
) -> Comparison:
    """Latency of the systems in turns of `TURN`, once what compiles when first used has done so."""
    pipelines = {name: system.classify for name, system in systems.items()}
    for pipeline in pipelines.values():
        for batch_size in (1, 2):  # single texts and batches have code of their own
            answer_all(pipeline, [QUERY, QUERY], batch_size)
    return compare_pipelines(pipelines, queries, turn=TURN, threads=threads)


def tabulate(
    systems: Mapping[str, System], test: Dataset, comparison: Comparison
) -> PerformanceTable:
    """Quality on all of `test`, size and the latencies of the comparison."""
    threads = comparison.threads
    benchmarks = [
        PerformanceBenchmark(system.classify, test, name, files=[system.folder], threads=threads)
        for name, system in systems.items()
    ]
    return performance_table(benchmarks, comparison=comparison)


def joined(comparisons: Sequence[Comparison]) -> Comparison:
    """The rounds of all comparisons as those of one."""
    first = comparisons[0]
    samples = {name: [each.timings[name].samples for each in comparisons] for name in first.timings}
    timings = {name: Timing(tuple(chain(*parts))) for name, parts in samples.items()}
    return replace(first, timings=timings)


def mean_table(tables: Sequence[PerformanceTable], comparison: Comparison) -> PerformanceTable:
    """Means over tables; latencies are those of the comparison."""
    details = {
        name: mean_numbers([table.details[name] for table in tables])
        | latency_ms(comparison.timings[name])
        for name in comparison.timings
    }
    return PerformanceTable(details, comparison.baseline)


def mean_numbers(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean of each number; None where a row has none."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        name: None if None in column else float(np.mean(column)) for name, column in columns.items()
    }
