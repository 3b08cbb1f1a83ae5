"""Packaged files -> tables, one function for each data set."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.assets.jsonl import read_rows

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

COARSE = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "human",
    "LOC": "location",
    "NUM": "number",
}
_FINE_BY_COARSE = {
    "ABBR": "abb exp",
    "ENTY": "animal body color cremat currency dismed event food instru lang letter other plant "
    "product religion sport substance symbol techmeth termeq veh word",
    "DESC": "def desc manner reason",
    "HUM": "gr ind title desc",
    "LOC": "city country mount other state",
    "NUM": "code count date dist money ord other period perc speed temp volsize weight",
}
FINE = [f"{coarse}:{fine}" for coarse, names in _FINE_BY_COARSE.items() for fine in names.split()]
SENTIMENTS = ["negative", "neutral", "positive"]

TOPICS = {  # of the English list -> their names in the French and the Spanish one
    "arts": ("Arts", "Arts et culture", "Artes"),
    "biology and health sciences": ("Biology and health sciences", "Santé et médecine"),
    "everyday life": (
        "Everyday life",
        "Vie quotidienne",
        "Antropología, sicología y vida cotidiana",
    ),
    "geography": ("Geography", "Géographie", "Geografía"),
    "history": ("History", "Histoire", "Historia"),
    "mathematics": ("Mathematics", "Mathématiques", "Matemáticas"),
    "people": ("People", "Personnalités", "Personas"),
    "philosophy and religion": (
        "Philosophy and religion",
        "Philosophie et religion",
        "Filosofía y religión",
    ),
    "physical sciences": ("Physical sciences", "Science"),
    "society and social sciences": ("Society and social sciences", "Société et sciences sociales"),
    "technology": ("Technology", "Technologie", "Tecnología"),
}
UNCATEGORIZED = "Uncategorized"
WIKI_LANGUAGES = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}

ASPECTS = ("challenge", "approach", "outcome")
PAPER_SPLITS = {"train": "train", "validation": "val", "test": "test"}
PARTS = ("abstract", "introduction", "conclusion")

MIN_TURNS = 4


def read_questions(folder: Path) -> Dataset:
    """TREC questions, each once, from lines such as "HUM:ind Who was Galileo ?"."""
    from datasets import ClassLabel, Dataset, Features, Value

    text = (folder / "question_labels.txt").read_text(encoding="utf-8")
    lines = dict.fromkeys(text.replace("\N{REPLACEMENT CHARACTER}", " ").splitlines())
    labels, questions = zip(*(line.split(" ", 1) for line in lines), strict=True)
    coarse = [COARSE[label.partition(":")[0]] for label in labels]
    return Dataset.from_dict(
        {"text": questions, "coarse_label": coarse, "fine_label": labels},
        Features(
            text=Value("string"),
            coarse_label=ClassLabel(names=[*COARSE.values()]),
            fine_label=ClassLabel(names=FINE),
        ),
    )


def read_short_texts(folder: Path) -> Dataset:
    """The questions with their coarse class as the label."""
    questions = read_questions(folder).remove_columns("fine_label")
    return questions.rename_column("coarse_label", "label")


def read_tweets(folder: Path) -> Dataset:
    """VADER's tweets in three classes, handles and links replaced as in tweet_eval."""
    from datasets import ClassLabel, Dataset, Features, Value

    with (folder / "tweets_GroundTruth.txt").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return Dataset.from_dict(
        {
            "text": [_anonymous(html.unescape(row["text"])) for row in rows],
            "label": [_sentiment(float(row["sentiment"])) for row in rows],
        },
        Features(text=Value("string"), label=ClassLabel(names=SENTIMENTS)),
    )


def read_wiki(folder: Path) -> Dataset:
    """Introductions of Wikipedia articles with their topic, without those that have none."""
    from datasets import ClassLabel, Dataset, Features, Value

    topics = {name: topic for topic, names in TOPICS.items() for name in names}
    return Dataset.from_list(
        [
            _article(language, article, topics[article["topic"]])
            for language, suffix in WIKI_LANGUAGES.items()
            for article in json.loads((folder / f"summaries_{suffix}.json").read_bytes()).values()
            if article["topic"] != UNCATEGORIZED
        ],
        Features(
            title=Value("string"),
            text=Value("string"),
            description=Value("string"),
            topic=ClassLabel(names=[*TOPICS]),
            language=Value("string"),
        ),
    )


def read_papers(folder: Path) -> DatasetDict:
    """Papers (their abstract, introduction and conclusion) with a summary of three sentences."""
    from datasets import Dataset, DatasetDict

    splits = {}
    for split, name in PAPER_SPLITS.items():
        papers = read_rows(folder / f"{name}.jsonl")
        splits[split] = Dataset.from_list([_paper(paper) for paper in papers])
    return DatasetDict(splits)


def read_conversations(folder: Path) -> Dataset:
    """Chats of two people with at least MIN_TURNS turns, one line a turn, "A: " or "B: " first."""
    from datasets import Dataset

    chats = json.loads((folder / "dataset.json").read_bytes())
    rows = [
        {"id": id, "dialogue": _dialogue(chat["messages"]), "prompt": chat.get("prompt") or ""}
        for id, chat in chats.items()
    ]
    return Dataset.from_list([row for row in rows if row["dialogue"].count("\n") >= MIN_TURNS - 1])


def read_slots(folder: Path) -> DatasetDict:
    """Commands to a smart home with typed slots (IOB2); see `utils.assets.home.slots`."""
    from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

    from utils.assets.home.intents import LANGUAGES
    from utils.assets.home.slots import TAGS
    from utils.assets.splits import shuffled_rows

    commands = read_rows(folder / "commands.jsonl")
    parts = {split: [] for split in ("train", "validation", "test")}
    for command in commands:
        parts[command.pop("split")].append(command)
    features = Features(
        text=Value("string"),
        tokens=List(Value("string")),
        tags=List(ClassLabel(names=[*TAGS])),
        intent=ClassLabel(names=sorted({command["intent"] for command in commands})),
        language=ClassLabel(names=[*LANGUAGES]),
        skeleton=Value("string"),
        values=List(Value("string")),
    )
    tables = {split: Dataset.from_list(rows, features) for split, rows in parts.items()}
    return DatasetDict({s: table.select(shuffled_rows(table)) for s, table in tables.items()})


def read_intents_oos(folder: Path) -> DatasetDict:
    """Queries to an assistant with their intent or "oos"; see `utils.assets.home.queries`."""
    from utils.assets.home.queries import split_queries

    return split_queries(read_rows(folder / "queries.jsonl"))


def read_code(folder: Path) -> Dataset:
    """Python modules of well-known packages."""
    from datasets import Dataset

    return Dataset.from_list(read_rows(folder / "modules.jsonl"))


def read_squad(folder: Path) -> DatasetDict:
    """SQuAD 1.1: questions whose answers are spans of a paragraph of Wikipedia."""
    from datasets import Dataset, DatasetDict

    files = {"train": "train-v1.1.json", "validation": "dev-v1.1.json"}
    return DatasetDict(
        {
            split: Dataset.from_list([*_questions(json.loads((folder / name).read_bytes()))])
            for split, name in files.items()
        }
    )


def read_reviews(folder: Path) -> DatasetDict:
    """Sentences of product reviews to learn from, and whole reviews of films to be tested on."""
    from datasets import DatasetDict

    return DatasetDict(
        {split: _rated_texts(folder / f"{split}.jsonl") for split in ("train", "test")}
    )


def _rated_texts(path: Path) -> Dataset:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(text=Value("string"), label=ClassLabel(names=["neg", "pos"]))
    return Dataset.from_list(read_rows(path), features)


def _questions(squad: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for article in squad["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = question["answers"]
                yield {
                    "id": question["id"],
                    "title": article["title"],
                    "context": paragraph["context"],
                    "question": question["question"],
                    "answers": {
                        "text": [answer["text"] for answer in answers],
                        "answer_start": [answer["answer_start"] for answer in answers],
                    },
                }


def _article(language: str, article: dict[str, str], topic: str) -> dict[str, str]:
    return {
        "title": article["title"],
        "text": article["extract"],
        "description": article["description"],
        "topic": topic,
        "language": language,
    }


def _paper(paper: dict[str, Any]) -> dict[str, str]:
    sentences = [sentence for part in PARTS for sentence in paper["sentences"][part]]
    aspects = {aspect: paper["summary"][aspect] for aspect in ASPECTS}
    return {
        "id": paper["id"],
        "title": paper["title"],
        "document": " ".join(sentences),
        "summary": "\n".join(aspects.values()),
        **aspects,
    }


def _dialogue(turns: list[list[dict[str, str]]]) -> str:
    senders = dict.fromkeys(messages[0]["sender"] for messages in turns)
    names = dict(zip(senders, "AB", strict=False))  # some chats have one speaker, none has three
    lines = []
    for messages in turns:
        words = " ".join(message["text"] for message in messages).split()
        lines.append(f"{names[messages[0]['sender']]}: {' '.join(words)}")
    return "\n".join(lines)


def _anonymous(tweet: str) -> str:
    return re.sub(r"@\w+", "@user", re.sub(r"(https?://|www\.)\S+", "http", tweet))


def _sentiment(rating: float) -> str:
    """Class of a mean rating between -4 and 4."""
    if rating <= -0.5:
        return "negative"
    return "neutral" if rating <= 0.5 else "positive"


READERS = {
    "short_texts": read_short_texts,
    "questions": read_questions,
    "tweets": read_tweets,
    "wiki": read_wiki,
    "papers": read_papers,
    "conversations": read_conversations,
    "intents_oos": read_intents_oos,
    "slots": read_slots,
    "code": read_code,
    "squad": read_squad,
    "reviews": read_reviews,
}
