"""The generated commands against hassil's recogniser, which Home Assistant uses."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hassil import recognize_all
from hassil.intents import TextSlotList

from utils.assets.fetch import original
from utils.assets.home.intents import (
    LANGUAGES,
    Command,
    Piece,
    fillers,
    read_commands,
    read_grammar,
)

COMMANDS = 150  # recognised in each language


@pytest.fixture(scope="module")
def templates() -> Path:
    """The folder with the files of the wheel."""
    return original("slots", "en.json").parent


@pytest.fixture(scope="module")
def commands(templates: Path) -> list[Command]:
    return read_commands(templates)


@pytest.fixture(scope="module")
def recognise(templates: Path) -> Callable[[str, str], list[tuple[str, dict[str, str]]]]:
    """Every reading (intent, text by slot) of a command in a language.

    Slots without a text are implied by the template.
    """

    def recognise(language: str, text: str) -> list[tuple[str, dict[str, str]]]:
        readings = recognize_all(
            text, *grammars[language], intent_context={"area": "here"}, language=language
        )
        return [
            (
                reading.intent.name,
                {slot.name: slot.text for slot in reading.entities_list if slot.text},
            )
            for reading in readings
        ]

    grammars = {
        language: (read_grammar(templates, language), values(language)) for language in LANGUAGES
    }
    return recognise


def values(language: str) -> dict[str, TextSlotList]:
    """Our words for the lists that a home fills."""
    place = LANGUAGES.index(language)
    names = [
        (words[place], key, {"domain": domain})
        for domain, devices in fillers()["names"].items()
        for key, words in devices.items()
    ]
    lists = {"name": TextSlotList.from_tuples(names, name="name")}
    for name in ("area", "floor"):
        places = [(words[place], key) for key, words in fillers()["slots"][name].items()]
        lists[name] = TextSlotList.from_tuples(places, name=name)
    return lists


def spans(command: Command) -> dict[str, str]:
    """Text by slot, read off the tokens and their tags."""
    found: dict[str, list[str]] = {}
    for token, tag in zip(command.tokens, command.tags, strict=True):
        if tag[0] == "B":
            found[tag[2:]] = [token]
        elif tag[0] == "I":
            found[tag[2:]].append(token)
    return {slot: "".join(tokens).lower() for slot, tokens in found.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_home_assistant_understands_every_command(
    commands: list[Command], recognise: Callable[..., list], language: str
) -> None:
    ours = [command for command in commands if command.language == language]
    for command in ours[:: len(ours) // COMMANDS]:
        readings = [
            (intent, {slot: "".join(text.lower().split()) for slot, text in slots.items()})
            for intent, slots in recognise(language, command.text)
        ]
        assert (command.intent, spans(command)) in readings, command.text


def test_a_skeleton_is_the_text_with_open_slots(commands: list[Command]) -> None:
    for command in commands:
        text = command.skeleton
        for tag in command.tags:
            if tag[0] == "B":
                text = text.replace(f"{{{tag[2:]}}}", "", 1)
        outside = (
            token for token, tag in zip(command.tokens, command.tags, strict=True) if tag == "O"
        )
        assert "".join(outside) == "".join(text.split())


def test_commands_and_their_order_never_change(commands: list[Command]) -> None:
    rows = repr([(c.language, c.intent, c.template, c.text, c.tags, c.fillers) for c in commands])
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == "aa3f4ca09e3df689"


def test_a_command_reads_off_its_pieces() -> None:
    pieces = (Piece("accendi la "), Piece("lampada da scrivania", "name", "light.desk"), Piece("!"))
    command = Command("it", "HassTurnOn", "it.HassTurnOn.0.0", pieces)
    assert command.text == "accendi la lampada da scrivania!"
    assert command.skeleton == "accendi la {name}!"
    assert command.tokens == ["accendi", "la", "lampada", "da", "scrivania", "!"]
    assert command.tags == ["O", "O", "B-name", "I-name", "I-name", "O"]
    assert command.fillers == ["light.desk"]
