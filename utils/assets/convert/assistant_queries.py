"""Templates of a smart home, questions and chats -> queries in and out of scope, as lines of JSON.

In scope are English commands whose intent has enough ways to say it. The commands of the other
intents are out of scope but near it; questions and lines of chats are far from it.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from utils.assets.intents import Command, read_commands
from utils.assets.readers import read_conversations, read_questions

OUTPUT = "queries.jsonl"
MIN_SKELETONS = 16  # of an intent in scope: fewer do not fill three splits
WORDS = range(3, 15)  # of a query far out of scope, as in a command
MAX_FAR = 2_000  # queries from each source

Query = dict[str, str]


def convert(files: Mapping[str, Path], target: Path) -> None:
    queries = [
        *_commands(read_commands(files["en.json"].parent)),
        *_far("questions", read_questions(files["question_labels.txt"].parent)["text"]),
        *_far("chats", _lines(read_conversations(files["dataset.json"].parent)["dialogue"])),
    ]
    with (target / OUTPUT).open("w", encoding="utf-8") as sink:
        for query in queries:
            sink.write(json.dumps(query, ensure_ascii=False) + "\n")


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
