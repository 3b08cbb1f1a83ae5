"""Queries to an assistant, most of which it can serve: 36 intents and "oos", out of scope.

After CLINC150 (Larson et al., 2019): of the queries out of scope, few are there to learn from and
many to test with. In scope are English commands whose intent has enough ways to say it. Those of
the other intents, which no split shares, are near the scope; questions and lines of chats are far.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from utils.assets.home.intents import Command, read_commands
from utils.assets.jsonl import write_rows
from utils.assets.readers import read_conversations, read_questions
from utils.assets.splits import hold_out_groups, shuffled_rows, split

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

OUT_OF_SCOPE = "oos"
IN_SCOPE = {"validation": 600, "test": 1000}  # rows; the others are for training
FAR = {"train": 70, "validation": 25, "test": 130}  # rows from each source
FAR_SOURCES = ("questions", "chats")
NEAR = {  # the intents that a split has out of scope
    "train": ("HassGetCurrentTime", "HassVacuumReturnToBase"),
    "validation": ("HassRespond",),
    "test": ("HassGetCurrentDate", "HassBroadcast"),
}
OUTPUT = "queries.jsonl"
MIN_SKELETONS = 16  # of an intent in scope: fewer do not fill three splits
WORDS = range(3, 15)  # of a query far out of scope, as in a command
MAX_FAR = 2_000  # queries from each source

Query = Mapping[str, str]


def convert(files: Mapping[str, Path], target: Path) -> None:
    """Templates of a smart home, questions and chats -> queries in and out of scope."""
    queries = [
        *_commands(read_commands(files["en.json"].parent)),
        *_far("questions", read_questions(files["question_labels.txt"].parent)["text"]),
        *_far("chats", _lines(read_conversations(files["dataset.json"].parent)["dialogue"])),
    ]
    write_rows(target / OUTPUT, queries)


def _commands(commands: Iterable[Command]) -> Iterator[Query]:
    english = [command for command in commands if command.language == "en"]
    skeletons: dict[str, set[str]] = defaultdict(set)
    for command in english:
        skeletons[command.intent].add(command.skeleton.lower())
    for command in english:
        scope = "in" if len(skeletons[command.intent]) >= MIN_SKELETONS else "near"
        yield _query(command.text, scope, command.intent, command.skeleton)


def _far(source: str, texts: Iterable[str]) -> Iterator[Query]:
    """Texts as somebody would say them to an assistant: short, no mark at the end, each once."""
    spoken = dict.fromkeys(_as_spoken(text) for text in texts)
    short = (text for text in spoken if len(text.split()) in WORDS)
    for text in islice(short, MAX_FAR):
        yield _query(text, "far", source, text)


def _query(text: str, scope: str, source: str, skeleton: str) -> Query:
    return {"text": text, "scope": scope, "source": source, "skeleton": skeleton}


def _lines(dialogues: Iterable[str]) -> Iterator[str]:
    """What was said, without the names of the speakers."""
    for dialogue in dialogues:
        for line in dialogue.splitlines():
            yield line.partition(": ")[2]


def _as_spoken(text: str) -> str:
    unquoted = re.sub(r"``? ?| ?''", "", text)
    return re.sub(r" (?=['?!.,;:])", "", unquoted).rstrip("?!. ")


def split_queries(queries: Iterable[Query]) -> DatasetDict:
    """Queries (text, scope, source, skeleton) -> splits with text, intent, scope and source."""
    from datasets import DatasetDict, concatenate_datasets

    queries = list(queries)
    in_scope = split(_table(queries, "in"), IN_SCOPE, "skeleton")
    parts = {name: [rows] for name, rows in in_scope.items()}
    for source in FAR_SOURCES:
        rest = _table(queries, "far", [source])
        for name, size in FAR.items():
            rest, taken = hold_out_groups(rest, size, "skeleton")
            parts[name].append(taken)
    for name, sources in NEAR.items():
        parts[name].append(_table(queries, "near", sources))
    mixed = {name: concatenate_datasets(tables) for name, tables in parts.items()}
    return DatasetDict(
        {name: table.select(shuffled_rows(table)) for name, table in mixed.items()}
    ).remove_columns("skeleton")


def _table(queries: Iterable[Query], scope: str, sources: Iterable[str] = ()) -> Dataset:
    """The queries of a scope, and of some sources if given."""
    from datasets import ClassLabel, Dataset, Features, Value

    intents = sorted({query["source"] for query in queries if query["scope"] == "in"})
    columns = dict.fromkeys(("text", "scope", "source", "skeleton"), Value("string"))
    features = Features(**columns, intent=ClassLabel(names=[*intents, OUT_OF_SCOPE]))
    rows = [
        {**query, "intent": query["source"] if scope == "in" else OUT_OF_SCOPE}
        for query in queries
        if query["scope"] == scope and (not sources or query["source"] in sources)
    ]
    return Dataset.from_list(rows, features)
