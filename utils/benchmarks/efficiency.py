"""Smaller and faster classifiers: the table of chapter 8 over several seeds.

A teacher learns intents of queries. A student of half its layers learns the same from labels alone,
another one from labels and the teacher's logits, for as many epochs. The distilled one then runs in
int8, in ONNX Runtime, without the tokens that its task never says, and with half of its neurons.

All systems answer texts with labels on the CPU, one query at a time, in turns. Sizes are those of
all files that a system is loaded from, the tokenizer's among them. A seed decides which queries
train and in which order, the weights of new heads, and dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
import transformers
from datasets import Dataset
from transformers import DataCollatorWithPadding
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from utils import compression
from utils.assets.datasets import load
from utils.assets.models import checkpoint
from utils.benchmarking import Comparison, PerformanceBenchmark, Timing, compare_pipelines
from utils.benchmarking.pipelines import TextPipeline
from utils.benchmarking.timing import torch_threads
from utils.chapter import has_fast_bf16
from utils.inputs import check_count
from utils.training import (
    DistillationTrainer,
    DistillationTrainingArguments,
    add_teacher_logits,
    student_init,
    trained_model,
)

NUM_QUERIES = 2_400  # for training, at most
EPOCHS = 3
TURN = 20  # queries in a row, so that a system finds its weights in the cache as a service does

System = tuple[TextPipeline, list[Path]]  # with the files that it is loaded from


def run(
    *,
    rounds: int = 100,
    threads: int = 1,
    assets: str = "packaged",
    seeds: Sequence[int] = (0, 1, 2),
) -> dict[str, Comparison | pd.DataFrame]:
    """Train the models for each seed, on the GPU if there is one, and measure all systems.

    Latencies are from `rounds` test queries, the same for each seed, and from all seeds together.
    Training takes the threads that torch has.
    """
    check_count(rounds=rounds, threads=threads)
    intents = load("intents_oos", assets)
    timed = list(islice(cycle(intents["test"].shuffle(seed=0)["text"]), rounds))
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint("bert", assets))
    comparisons, tables = [], {}
    for seed in seeds:
        train = encode(intents["train"].shuffle(seed=seed), tokenizer)
        models = train_models(train, tokenizer, seed, assets)
        with TemporaryDirectory() as folder, torch_threads(threads):
            systems = build(models, tokenizer, train, Path(folder), threads)
            pipelines = {name: classify for name, (classify, _) in systems.items()}
            comparisons.append(compare_pipelines(pipelines, timed, turn=TURN, threads=threads))
            tables[f"seed {seed}"] = measured(systems, intents["test"])
    mean = sum(tables.values()) / len(tables)
    return {"all seeds": joined(comparisons), **tables, "mean": mean}


def encode(texts: Dataset, tokenizer: Tokenizer) -> Dataset:
    """The first queries, with token ids, and intents under the name that `Trainer` looks for."""
    texts = texts.select(range(min(NUM_QUERIES, len(texts))))
    encoded = texts.map(lambda batch: tokenizer(batch["text"], truncation=True), batched=True)
    return encoded.rename_column("intent", "labels")


def train_models(train: Dataset, tokenizer: Tokenizer, seed: int, assets: str) -> dict[str, Model]:
    """Teacher and students from one set of queries; the students have the teacher's tokenizer."""
    id2label = dict(enumerate(train.features["labels"].names))
    labels = {"id2label": id2label, "label2id": {name: i for i, name in id2label.items()}}
    auto = transformers.AutoModelForSequenceClassification
    new_teacher = partial(auto.from_pretrained, checkpoint("bert", assets), **labels)
    teacher = fine_tune(new_teacher, train, tokenizer, seed, alpha=1.0)
    taught = add_teacher_logits(train, teacher, tokenizer)
    new_student = student_init(checkpoint("small_student", assets), teacher)
    models = {"Teacher": teacher}
    for name, alpha in {"Student": 1.0, "Distillation": 0.5}.items():
        models[name] = fine_tune(new_student, taught, tokenizer, seed, alpha)
    return models


def fine_tune(
    new_model: Callable[[], Model], train: Dataset, tokenizer: Tokenizer, seed: int, alpha: float
) -> Model:
    """What `new_model` gives, trained as in chapter 8: word embeddings stay as they are."""

    def model_init() -> Model:
        model = new_model()
        model.get_input_embeddings().requires_grad_(False)
        return model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with TemporaryDirectory() as folder:
        settings = DistillationTrainingArguments(
            output_dir=folder,
            alpha=alpha,
            num_train_epochs=EPOCHS,
            learning_rate=6e-4,  # high, as word embeddings stay as they are
            per_device_train_batch_size=32,
            weight_decay=0.01,
            warmup_steps=0.1,  # below 1: a share of all steps
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            bf16=has_fast_bf16(device),
            use_cpu=device.type == "cpu",
            seed=seed,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = DistillationTrainer(
            model_init=model_init, args=settings, train_dataset=train, data_collator=collator
        )
        trainer.train()
    return trained_model(trainer).cpu()


def build(
    models: Mapping[str, Model], tokenizer: Tokenizer, train: Dataset, folder: Path, threads: int
) -> dict[str, System]:
    """The systems of chapter 8's table by the names that they have there."""
    teacher, student = models["Teacher"], models["Distillation"]
    id2label = teacher.config.id2label
    words = folder / "tokenizer.json"
    tokenizer.backend_tokenizer.save(str(words), pretty=False)
    systems = {}
    int8 = compression.quantize_linears(student)
    for name, model in {**models, "Distillation + int8": int8}.items():
        torch.save(model.state_dict(), folder / name)
        parts = {"model": model, "tokenizer": tokenizer, "device": "cpu"}
        classify = transformers.pipeline("text-classification", **parts)
        systems[name] = classify, [folder / name, words]
    run = compression.torch_runner(teacher)
    lean = compression.TextClassifier(run, tokenizer, id2label)
    systems["Teacher, lean path"] = lean, systems["Teacher"][1]
    exported = compression.export_onnx(student, tokenizer, folder / "fp32.onnx")
    rounded = compression.quantize_onnx(exported, folder / "int8.onnx", per_channel=True)
    for name, path in {"Distillation + ORT": exported, "Distillation + ORT int8": rounded}.items():
        session = compression.create_session(path, threads=threads)
        classify = compression.OnnxPipeline(session, tokenizer, id2label)
        systems[name] = classify, [path, words]
    fewer = prune_half(student, tokenizer, train)
    for name, model in {"Trimmed, lean path": student, "Final: half the neurons": fewer}.items():
        files = pack(model, tokenizer, train["text"], folder / str(len(systems)))
        systems[name] = compression.TextClassifier.load(files[0].parent, threads=threads), files
    return systems


def prune_half(model: Model, tokenizer: Tokenizer, train: Dataset) -> Model:
    """The model without the half of its neurons that matter least for 320 of the queries."""
    columns = [*compression.input_names(model, tokenizer), "labels"]
    rows = train.select_columns(columns).select(range(min(320, len(train))))
    collate = DataCollatorWithPadding(tokenizer)
    batches = [collate(rows.select(part).to_list()) for part in torch.arange(len(rows)).split(32)]
    return compression.prune_neurons(model, compression.neuron_importance(model, batches), 0.5)


def pack(model: Model, tokenizer: Tokenizer, texts: Sequence[str], folder: Path) -> list[Path]:
    """The files of the model trimmed, exported and rounded."""
    by_id = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))  # common words come first
    common = [token for token in by_id if token.isalpha()][:3_000]
    trimmed, short = compression.trim_vocabulary(model, tokenizer, texts, keep=common)
    trimmed = compression.trim_positions(trimmed, 64)
    exported = compression.export_onnx(trimmed, short, folder.with_suffix(".onnx"))
    rounded = compression.quantize_onnx(exported, folder.with_suffix(".int8"), per_channel=True)
    labels = model.config.id2label
    return compression.save_classifier(folder, rounded, short, labels, max_length=64)


def measured(systems: Mapping[str, System], test: Dataset) -> pd.DataFrame:
    """Size and quality on the test queries, one row for each system."""
    rows = {}
    for name, (classify, files) in systems.items():
        benchmark = PerformanceBenchmark(classify, test, name, files=files)
        quality = benchmark.quality()
        rows[name] = {
            "size (MB)": benchmark.compute_size()["size_mb"],
            "accuracy (%)": 100 * benchmark.compute_accuracy()["accuracy"],
            "in scope (%)": 100 * quality["in_scope_accuracy"],
            "oos recall (%)": 100 * quality["oos_recall"],
        }
    frame = pd.DataFrame(rows).T.rename_axis("system")
    frame.insert(1, "smaller (x)", frame["size (MB)"]["Teacher"] / frame["size (MB)"])
    return frame


def joined(comparisons: Sequence[Comparison]) -> Comparison:
    """The rounds of all comparisons as those of one."""
    first = comparisons[0]
    samples = {name: [each.timings[name].samples for each in comparisons] for name in first.timings}
    timings = {name: Timing(tuple(chain(*parts))) for name, parts in samples.items()}
    return replace(first, timings=timings)
