"""The generated commands against hassil's recogniser, which Home Assistant uses."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from datasets import DatasetDict, concatenate_datasets
from hassil import recognize_all
from hassil.intents import Intents, TextSlotList

from utils.assets.datasets import load
from utils.assets.fetch import fetch
from utils.assets.intents import LANGUAGES, Command, Piece, fillers

ROWS = 150  # recognised in each language

Row = dict[str, Any]


@pytest.fixture(scope="module")
def data() -> DatasetDict:
    return load("intents")


@pytest.fixture(scope="module")
def rows(data: DatasetDict) -> list[Row]:
    """All rows, with the names of their labels."""
    features = data["train"].features
    rows = concatenate_datasets(list(data.values())).to_list()
    for row in rows:
        row["tags"] = features["tags"].feature.int2str(row["tags"])
        for column in ("intent", "language"):
            row[column] = features[column].int2str(row[column])
    return rows


@pytest.fixture
def recognise() -> Callable[[str, str], list[tuple[str, dict[str, str]]]]:
    """Every reading (intent, text by slot) of a command in a language.

    Slots without a text are implied by the template.
    """

    def recognise(language: str, text: str) -> list[tuple[str, dict[str, str]]]:
        grammar = grammars.setdefault(language, read_grammar(language))
        readings = recognize_all(text, *grammar, intent_context={"area": "here"}, language=language)
        return [
            (
                reading.intent.name,
                {slot.name: slot.text for slot in reading.entities_list if slot.text},
            )
            for reading in readings
        ]

    grammars: dict[str, tuple[Intents, dict[str, TextSlotList]]] = {}
    return recognise


def read_grammar(language: str) -> tuple[Intents, dict[str, TextSlotList]]:
    grammar = json.loads((fetch("intents") / f"{language}.json").read_bytes())
    place = LANGUAGES.index(language)
    names = [
        (words[place], key, {"domain": domain})
        for domain, devices in fillers()["names"].items()
        for key, words in devices.items()
    ]
    lists = {"name": TextSlotList.from_tuples(names, name="name")}
    for name in ("area", "floor"):
        values = [(words[place], key) for key, words in fillers()["slots"][name].items()]
        lists[name] = TextSlotList.from_tuples(values, name=name)
    return Intents.from_dict(grammar), lists


def spans(row: Row) -> dict[str, str]:
    """Text by slot, read off the tokens and their tags."""
    found: dict[str, list[str]] = {}
    for token, tag in zip(row["tokens"], row["tags"], strict=True):
        if tag[0] == "B":
            found[tag[2:]] = [token]
        elif tag[0] == "I":
            found[tag[2:]].append(token)
    return {slot: "".join(tokens).lower() for slot, tokens in found.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_home_assistant_understands_every_command(
    rows: list[Row], recognise: Callable[..., list], language: str
) -> None:
    ours = [row for row in rows if row["language"] == language]
    for row in ours[:: len(ours) // ROWS]:
        readings = [
            (intent, {slot: "".join(text.lower().split()) for slot, text in slots.items()})
            for intent, slots in recognise(language, row["text"])
        ]
        assert (row["intent"], spans(row)) in readings, row["text"]


def test_tokens_are_the_text_without_spaces(rows: list[Row]) -> None:
    for row in rows:
        assert "".join(row["tokens"]) == "".join(row["text"].split())
        assert len(row["tokens"]) == len(row["tags"])
        assert row["text"] == " ".join(row["text"].split())


def test_tags_are_valid_iob2(rows: list[Row]) -> None:
    for row in rows:
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert tag[0] in "OB" or before[2:] == tag[2:]
        assert sum(tag[0] == "B" for tag in row["tags"]) == len(row["fillers"])


def test_a_skeleton_is_the_text_with_open_slots(rows: list[Row]) -> None:
    for row in rows:
        text = row["skeleton"]
        for tag in row["tags"]:
            if tag[0] == "B":
                text = text.replace(f"{{{tag[2:]}}}", "", 1)
        outside = (
            token for token, tag in zip(row["tokens"], row["tags"], strict=True) if tag == "O"
        )
        assert "".join(outside) == "".join(text.split())


def test_no_skeleton_stands_in_two_splits(data: DatasetDict) -> None:
    splits = defaultdict(set)
    for name, split in data.items():
        for skeleton in split["skeleton"]:
            splits[skeleton.lower()].add(name)
    assert len(splits) > 15_000
    assert all(len(names) == 1 for names in splits.values())


def test_counts_by_language_and_intent(rows: list[Row]) -> None:
    assert Counter(row["language"] for row in rows) == {
        "en": 4171,
        "de": 4747,
        "fr": 4483,
        "it": 4510,
    }
    counts = Counter((row["language"], row["intent"]) for row in rows)
    assert max(counts.values()) == 120
    assert len(counts) == 4 * 42 - 3
    assert sum(count >= 100 for count in counts.values()) > 140


def test_every_intent_is_in_every_split(data: DatasetDict) -> None:
    assert all(len(set(split["intent"])) == 42 for split in data.values())


def test_the_same_values_fill_the_slots_of_all_languages(rows: list[Row]) -> None:
    devices = {f"{domain}.{key}" for domain, keys in fillers()["names"].items() for key in keys}
    for language in LANGUAGES:
        used = {name for row in rows if row["language"] == language for name in row["fillers"]}
        assert len(used & devices) > 0.75 * len(devices)


def test_devices_fit_what_the_template_asks_for(rows: list[Row]) -> None:
    domains = defaultdict(set)
    for row in rows:
        if row["intent"].startswith(("HassLawnMower", "HassVacuumStart", "HassGetWeather")):
            domains[row["intent"]] |= {name.partition(".")[0] for name in row["fillers"]}
    assert domains["HassLawnMowerDock"] == domains["HassLawnMowerStartMowing"] == {"lawn_mower"}
    assert domains["HassVacuumStart"] <= {"vacuum", "area", "floor"}
    assert domains["HassGetWeather"] == {"weather"}


def test_fillers_are_given_in_all_languages() -> None:
    for table in fillers().values():
        for values in table.values():
            assert all(len(words) == len(LANGUAGES) == 4 for words in values.values())
            for place in range(len(LANGUAGES)):
                assert len({words[place].lower() for words in values.values()}) == len(values)


def test_a_command_reads_off_its_pieces() -> None:
    pieces = (Piece("accendi la "), Piece("lampada da scrivania", "name", "light.desk"), Piece("!"))
    command = Command("it", "HassTurnOn", "it.HassTurnOn.0.0", pieces)
    assert command.text == "accendi la lampada da scrivania!"
    assert command.skeleton == "accendi la {name}!"
    assert command.tokens == ["accendi", "la", "lampada", "da", "scrivania", "!"]
    assert command.tags == ["O", "O", "B-name", "I-name", "I-name", "O"]
    assert command.fillers == ["light.desk"]
