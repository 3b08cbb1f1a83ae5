"""Entity tags to measure others on: 100 sentences of Wikipedia, annotated one by one."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.assets.words import TOKEN
from utils.tagging.errors import TaggingError
from utils.tagging.sentences import split_sentences

if TYPE_CHECKING:
    from datasets import Dataset

ENTITY_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")  # PAN-X's order
GOLD = Path(__file__).with_name("wiki_gold.toml")


def gold_sentences(articles: Dataset) -> Dataset:
    """The annotated sentences: 40 English, 30 French and 30 Spanish ones with 84 entities.

    The file holds where the entities are and a hash of each sentence; the text comes from the
    articles. How sentences were drawn and what counts as an entity is said at its beginning.

    Args:
        articles: the split `test` of the packaged data set `wiki`.

    Returns:
        Rows with tokens, tags (ids into `ENTITY_TAGS`), language and title.

    Raises:
        TaggingError: a sentence is missing or is not the one that was annotated.
    """
    from datasets import ClassLabel, Dataset, Features, List, Value

    texts = {
        (article["language"], article["title"]): article["text"]
        for article in articles.select_columns(["title", "text", "language"]).to_list()
    }
    entries = tomllib.loads(GOLD.read_text(encoding="utf-8"))["sentences"]
    rows = [_row(entry, texts.get((entry["language"], entry["title"]), "")) for entry in entries]
    text, tags = Value("string"), List(ClassLabel(names=[*ENTITY_TAGS]))
    features = Features(tokens=List(text), tags=tags, language=text, title=text)
    return Dataset.from_list(rows, features=features)


def _row(entry: dict[str, Any], text: str) -> dict[str, Any]:
    sentence = "".join(split_sentences(text)[entry["number"] : entry["number"] + 1])
    if not hashlib.sha256(sentence.encode()).hexdigest().startswith(entry["sha256"]):
        raise TaggingError(
            f"Sentence {entry['number']} of {entry['title']!r} is not the one that was annotated: "
            "give the test split of the packaged data set 'wiki'."
        )
    tokens = TOKEN.findall(sentence)
    tags = _tags(len(tokens), entry["entities"])
    return {**{key: entry[key] for key in ("language", "title")}, "tokens": tokens, "tags": tags}


def _tags(length: int, entities: Iterable[Sequence[Any]]) -> list[str]:
    tags = ["O"] * length
    for first, last, kind in entities:
        tags[first : last + 1] = [f"B-{kind}", *[f"I-{kind}"] * (last - first)]
    return tags
