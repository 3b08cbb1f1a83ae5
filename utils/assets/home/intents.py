"""The one builder of commands to a smart home: text, slots and intent in four languages.

Templates such as "turn on [the] {name} in [the] {area}" come from Home Assistant, whose library
hassil parses them; the values of open slots come from `intent_fillers.toml`, or from whoever asks
for commands with values of their own. Everything is drawn from a seeded generator, so that the same
files give the same rows.
"""

import json
import re
import tomllib
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from hassil import expression as kinds
from hassil.intents import IntentData, Intents, RangeSlotList, TextSlotList

from utils.assets.words import TOKEN

LANGUAGES = ("en", "de", "fr", "it")
FILLERS = Path(__file__).with_name("intent_fillers.toml")
ROWS_PER_INTENT = 120
DRAWS_PER_INTENT = 2_400
ROWS_PER_SKELETON = 4
SAME_DEVICES = {"input_button": "button"}
Values = Mapping[str, Mapping[str, Mapping[str, list[str]]]]  # table -> group -> key -> words
NO_ELISION = {  # an article with an apostrophe stands before a vowel only
    language: re.compile(r"\w'(?![aeiouyhàâéèêëîïôùûœ])\w", re.IGNORECASE)
    for language in ("fr", "it")
}


@dataclass(frozen=True)
class Piece:
    """A part of a command; `slot` is empty in the words between the slots."""

    text: str
    slot: str = ""
    filler: str = ""


@dataclass(frozen=True)
class Command:
    """A command with its slots filled.

    `skeleton` is the text with the slots left open, `template` the rule it was drawn from, and
    `fillers` names the value of each slot alike in all languages, such as "area.kitchen".
    """

    language: str
    intent: str
    template: str
    pieces: tuple[Piece, ...] = field(repr=False)

    @cached_property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @cached_property
    def skeleton(self) -> str:
        return "".join(f"{{{p.slot}}}" if p.slot else p.text for p in self.pieces)

    @property
    def fillers(self) -> list[str]:
        return [piece.filler for piece in self.pieces if piece.slot]

    @cached_property
    def tokens(self) -> list[str]:
        """Words and punctuation marks; no token crosses the border of a slot."""
        return TOKEN.findall(self.text)

    @property
    def tags(self) -> list[str]:
        """IOB2 tags of the tokens."""
        tags = []
        for piece in self.pieces:
            count = len(TOKEN.findall(piece.text))
            inside = [f"I-{piece.slot}"] * (count - 1)
            tags += [f"B-{piece.slot}", *inside] if piece.slot else ["O"] * count
        return tags


def read_commands(folder: Path) -> list[Command]:
    """The commands in all languages from the files `<language>.json` in `folder`.

    No text stands twice in a language, and none that two intents or two taggings share is kept.
    """
    commands = []
    for language in LANGUAGES:
        commands += unambiguous(Sampler(language, read_grammar(folder, language)).commands())
    return commands


def read_grammar(folder: Path, language: str) -> Intents:
    """The templates of a language from its file in `folder`."""
    return Intents.from_dict(json.loads((folder / f"{language}.json").read_bytes()))


class Sampler:
    """Draws commands from the templates of one language.

    Open slots take one of `values`, numeric ones a whole number that `has_number` lets through, and
    only commands that `has_command` lets through are drawn.
    """

    def __init__(
        self,
        language: str,
        intents: Intents,
        values: Values | None = None,
        has_number: Callable[[int], bool] = lambda number: True,
        has_command: Callable[[Command], bool] = lambda command: True,
    ) -> None:
        self.language = language
        self.values = values or fillers()
        self.has_command = has_command
        self.numbers_in = cache(lambda span: [*filter(has_number, span)])
        self.intents = intents
        self.random = Random(language)

    def commands(self) -> Iterator[Command]:
        """For each intent up to ROWS_PER_INTENT commands, from its templates in turn."""
        for intent in self.intents.intents:
            skeletons: dict[str, set[str]] = defaultdict(set)
            drawn = (c for c in self._draw(intent) if self.has_command(c) and _is_well_formed(c))
            fresh = (command for command in drawn if _is_fresh(command, skeletons))
            yield from islice(fresh, ROWS_PER_INTENT)

    def _draw(self, intent: str) -> Iterator[Command]:
        """DRAWS_PER_INTENT commands, each template as often as the others, in random order."""
        templates = [
            (f"{self.language}.{intent}.{number}.{line}", block, sentence.expression)
            for number, block in enumerate(self.intents.intents[intent].data)
            for line, sentence in enumerate(block.sentences)
        ]
        templates.sort(key=lambda template: self.random.random())
        for draw in range(DRAWS_PER_INTENT):
            name, block, expression = templates[draw % len(templates)]
            pieces = self._expand(expression, block)
            yield Command(self.language, intent, name, _tidy(pieces))

    def _expand(self, expression: kinds.Expression, block: IntentData) -> list[Piece]:
        """One of the texts that an expression allows."""
        match expression:
            case kinds.TextChunk():
                return [Piece(expression.original_text)]
            case kinds.ListReference():
                return [self._fill(expression, block)]
            case kinds.RuleReference():
                rules = ChainMap(block.expansion_rules, self.intents.expansion_rules)
                return self._expand(rules[expression.rule_name].expression, block)
            case kinds.Alternative():
                items = [self._choose(expression.items)]
            case kinds.Permutation():
                items = sorted(expression.items, key=lambda item: self.random.random())
            case _:
                items = expression.items
        return [piece for item in items for piece in self._expand(item, block)]

    def _fill(self, reference: kinds.ListReference, block: IntentData) -> Piece:
        """A value for a slot: a number, one of the grammar's words, or one of our fillers."""
        name, slot = reference.list_name, reference.slot_name
        values = ChainMap(block.slot_lists, self.intents.slot_lists).get(name)
        if isinstance(values, RangeSlotList):
            whole = range(values.start, values.stop + 1, values.step)
            number = self._choose(self.numbers_in(whole))
            return Piece(str(number), slot, f"{name}.{number}")
        if isinstance(values, TextSlotList):
            value = self._choose(values.values)
            words = "".join(piece.text for piece in self._expand(value.text_in, block)).split()
            return Piece(" ".join(words), slot, f"{name}.{value.value_out}")
        return self._fill_open(name, slot, block)

    def _fill_open(self, name: str, slot: str, block: IntentData) -> Piece:
        """A filler; where a template asks for a device, one of a domain that it allows."""
        group, table = name, self.values["slots"]
        if name == "name":
            domain = self._choose(block.requires_context["domain"])
            group, table = SAME_DEVICES.get(domain, domain), self.values["names"]
        key = self._choose(list(table[group]))
        return Piece(table[group][key][LANGUAGES.index(self.language)], slot, f"{group}.{key}")

    def _choose(self, items: list[Any]) -> Any:
        # random() is the one method whose numbers no release of Python changes.
        return items[int(self.random.random() * len(items))]


@cache
def fillers() -> Values:
    """Table -> group -> key -> the words in the order of LANGUAGES."""
    return tomllib.loads(FILLERS.read_text(encoding="utf-8"))


def _tidy(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Merge the words between slots and leave single spaces, none at the ends."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and not (piece.slot or merged[-1].slot):
            merged[-1] = Piece(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    tidy = [p if p.slot else Piece(re.sub(r"\s+", " ", p.text)) for p in merged]
    if tidy and not tidy[0].slot:
        tidy[0] = Piece(tidy[0].text.lstrip())
    if tidy and not tidy[-1].slot:
        tidy[-1] = Piece(tidy[-1].text.rstrip())
    return tuple(piece for piece in tidy if piece.text)


def _is_well_formed(command: Command) -> bool:
    """Whether no word is partly in a slot, and none is elided before a consonant."""
    parts = [token for piece in command.pieces for token in TOKEN.findall(piece.text)]
    wrong = NO_ELISION.get(command.language)
    return parts == command.tokens != [] and not (wrong and wrong.search(command.text))


def _is_fresh(command: Command, skeletons: dict[str, set[str]]) -> bool:
    """Note a command; whether it is new and its skeleton not yet worn out."""
    texts = skeletons[command.skeleton.lower()]
    if command.text.lower() in texts or len(texts) >= ROWS_PER_SKELETON:
        return False
    texts.add(command.text.lower())
    return True


def unambiguous(commands: Iterable[Command]) -> list[Command]:
    """Each text once, if all its readings agree in intent and tags."""
    readings: dict[str, list[Command]] = defaultdict(list)
    for command in commands:
        readings["".join(filter(str.isalnum, command.text.lower()))].append(command)
    return [same[0] for same in readings.values() if len({(c.intent, *c.tags) for c in same}) == 1]
