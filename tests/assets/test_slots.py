"""Commands with typed slots: what a model meets in the test split it has not met before."""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from utils.assets.datasets import load
from utils.assets.home import slots
from utils.assets.home.intents import LANGUAGES, fillers
from utils.assets.home.slots import SHARES, TYPES, all_values, values_of

SPLITS = ("train", "validation", "test")

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The rows of all splits, with the names of their labels."""
    rows = []
    for split, data in load("slots").items():
        tags, language = data.features["tags"].feature, data.features["language"]
        for row in data.to_list():
            names = {"tags": tags.int2str(row["tags"]), "language": language.names[row["language"]]}
            rows.append(row | names | {"split": split})
    return rows


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def spans(row: Row) -> list[tuple[str, str]]:
    """(type, words without spaces) of the slots, read off the tokens and their tags."""
    found: list[tuple[str, str]] = []
    for token, tag in zip(row["tokens"], row["tags"], strict=True):
        if tag[0] == "B":
            found.append((tag[2:], token))
        elif tag[0] == "I":
            kind, words = found.pop()
            found.append((kind, words + token))
    return found


@pytest.mark.parametrize(
    "keys",
    [
        lambda row: [letters(row["text"])],
        lambda row: [letters(row["skeleton"])],
        lambda row: [letters(words) for _, words in spans(row)],
    ],
    ids=["text", "skeleton", "value"],
)
def test_nothing_stands_in_two_splits(
    rows: list[Row], keys: Callable[[Row], Iterable[str]]
) -> None:
    splits = defaultdict(set)
    for row in rows:
        for key in keys(row):
            splits[key].add(row["split"])
    assert len(splits) > 1_000
    assert [key for key, names in splits.items() if len(names) > 1] == []


def test_values_are_the_tagged_words(rows: list[Row]) -> None:
    for row in rows:
        tagged = [words.lower() for _, words in spans(row)]
        assert ["".join(value.split()) for value in row["values"]] == tagged


def test_tokens_are_the_text_without_spaces(rows: list[Row]) -> None:
    for row in rows:
        assert "".join(row["tokens"]) == "".join(row["text"].split())
        assert row["text"] == " ".join(row["text"].split())


def test_tags_are_valid_iob2(rows: list[Row]) -> None:
    for row in rows:
        assert len(row["tags"]) == len(row["tokens"])
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert tag[0] in "OB" or before[2:] == tag[2:]


@pytest.mark.parametrize("kind", TYPES)
def test_each_split_and_language_has_slots_of_each_type(rows: list[Row], kind: str) -> None:
    counts = Counter(
        (row["split"], row["language"]) for row in rows for found, _ in spans(row) if found == kind
    )
    assert all(counts[place] > 50 for place in product(SPLITS, LANGUAGES))


def test_values_have_the_type_of_their_list(rows: list[Row]) -> None:
    types = defaultdict(set)
    for row in rows:
        for kind, words in spans(row):
            types[row["language"], words.lower()].add(kind)
    assert types["de", "küche"] == types["fr", "cuisine"] == {"PLACE"}
    assert types["en", "ceilingfan"] == {"DEVICE"}
    assert types["it", "latte"] == {"ITEM"}
    numbers = [kinds for (_, words), kinds in types.items() if words.isdigit()]
    assert {"LEVEL", "TIME"} >= set().union(*numbers)


def test_a_number_is_in_the_same_split_in_all_languages(rows: list[Row]) -> None:
    homes, languages = defaultdict(set), defaultdict(set)
    for row in rows:
        for _, words in spans(row):
            if words.isdigit():
                homes[words].add(row["split"])
                languages[words].add(row["language"])
    assert all(len(splits) == 1 for splits in homes.values())
    assert sum(len(names) == len(LANGUAGES) for names in languages.values()) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_list_is_shared_out_among_the_splits(language: str) -> None:
    shares = [values_of(split, language) for split in SHARES]
    for table, groups in all_values().items():
        for group, values in groups.items():
            parts = [set(part[table][group]) for part in shares]
            assert all(parts)
            assert sum(map(len, parts)) == len(values)
            assert set().union(*parts) == set(values)


def test_further_values_are_new_and_given_in_all_languages() -> None:
    path = Path(slots.__file__).with_name("slot_fillers.toml")
    more = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(more) == {"names", "slots"}
    for table, groups in more.items():
        assert set(groups) <= set(fillers()[table])
        for group, values in groups.items():
            assert not set(values) & set(fillers()[table][group])
            assert all(len(words) == len(LANGUAGES) for words in values.values())
            assert all(
                word == " ".join(word.split()) for words in values.values() for word in words
            )


@pytest.mark.parametrize("place", range(len(LANGUAGES)), ids=LANGUAGES)
def test_no_list_has_a_value_twice(place: int) -> None:
    for groups in all_values().values():
        for group, values in groups.items():
            words = Counter(letters(words[place]) for words in values.values())
            assert max(words.values()) == 1, (group, words.most_common(1))
