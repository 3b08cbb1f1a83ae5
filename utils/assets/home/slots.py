"""Commands to a smart home with seven types of slots; no skeleton or value is in two splits.

What a model gets right in the test split it has not memorised: it meets other sentences there, and
other rooms, devices and numbers in their slots, in all four languages.
"""

from __future__ import annotations

import hashlib
import tomllib
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import accumulate, product
from pathlib import Path
from typing import Any

from utils.assets.home.intents import (
    LANGUAGES,
    Command,
    Piece,
    Sampler,
    Values,
    fillers,
    read_grammar,
    unambiguous,
)
from utils.assets.jsonl import write_rows
from utils.assets.splits import letters_and_digits

OUTPUT = "commands.jsonl"
MORE_FILLERS = Path(__file__).with_name("slot_fillers.toml")
SHARES = {"test": 0.3, "validation": 0.2, "train": 0.5}  # of the skeletons and of the values
TYPES = {  # of a slot -> the lists that its values come from
    "CONTENT": "message search_query",
    "DEVICE": "binary_sensor button climate cover fan lawn_mower light lock media_player sensor "
    "switch vacuum valve",
    "ITEM": "shopping_list_item todo_list_item",
    "LEVEL": "brightness color_temperature fan_speed position temperature volume volume_level "
    "volume_step_down volume_step_up",
    "NAME": "input_boolean person scene script timer_name todo",
    "PLACE": "area floor weather zone",
    "TIME": "timer_hours timer_minutes timer_seconds",
}
TYPE_OF = {name: kind for kind, names in TYPES.items() for name in names.split()}
TAGS = ("O", *(f"{place}-{kind}" for kind in TYPES for place in "BI"))
UNTYPED = "timer_command"  # a command within a command

Row = dict[str, Any]


def convert(files: Mapping[str, Path], target: Path) -> None:
    """Templates of a smart home -> commands with typed slots."""
    write_rows(target / OUTPUT, draw_commands(files["en.json"].parent))


def draw_commands(folder: Path) -> Iterator[Row]:
    """Rows of all splits and languages from the files `<language>.json` in `folder`.

    Words of lists that the grammar closes, such as "open" and "closed", carry no tag. What differs
    only in case or punctuation counts as the same.
    """
    homes: dict[str, str] = {}  # text, skeleton or value -> the one split that has it
    grammars = {language: read_grammar(folder, language) for language in LANGUAGES}
    for split, (language, grammar) in product(SHARES, grammars.items()):
        belongs, fits = partial(_belongs, split), partial(_fits, split)
        sampler = Sampler(language, grammar, values_of(split, language), belongs, fits)
        for row in map(_row, unambiguous(sampler.commands())):
            keys = map(letters_and_digits, (row["text"], row["skeleton"], *row["values"]))
            if all(homes.setdefault(key, split) == split for key in keys):
                yield row | {"split": split}


def values_of(split: str, language: str) -> Values:
    """The values of open slots that a split may use in a language: a fixed share of every list.

    A language draws its share for itself. The test split may say "cuisine" where training says
    "Küche", and no split says what another says.
    """
    return {
        table: {group: _part(values, split, language) for group, values in groups.items()}
        for table, groups in all_values().items()
    }


@cache
def all_values() -> Values:
    """The values of both files of fillers, table -> group -> key -> words."""
    more = tomllib.loads(MORE_FILLERS.read_text(encoding="utf-8"))
    return {
        table: {group: values | more[table].get(group, {}) for group, values in groups.items()}
        for table, groups in fillers().items()
    }


def _part(values: Mapping[str, list[str]], split: str, language: str) -> dict[str, list[str]]:
    """The share of `split` in the order of the words' hashes; of a short list, one value each."""
    column = LANGUAGES.index(language)
    keys = sorted(values, key=lambda key: _place(values[key][column].lower()))
    bounds, start = {}, 0
    for name, share in SHARES.items():
        size = max(1, round(share * len(keys)))
        bounds[name] = slice(start, start + size if name != "train" else None)
        start += size
    return {key: values[key] for key in keys[bounds[split]]}


def _belongs(split: str, key: object) -> bool:
    """Whether the hash of a skeleton or number falls in the share of `split`."""
    bounds = list(accumulate(SHARES.values()))
    return list(SHARES)[bisect(bounds[:-1], _place(key))] == split


def _place(key: object) -> float:
    """Where a key stands between 0 and 1, by its hash."""
    return int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:6]) / 2**48


def _fits(split: str, command: Command) -> bool:
    is_typed = UNTYPED not in map(_list_of, command.pieces)
    return is_typed and _belongs(split, command.skeleton.lower())


def _row(command: Command) -> Row:
    typed = replace(
        command, pieces=tuple(replace(p, slot=TYPE_OF.get(_list_of(p), "")) for p in command.pieces)
    )
    return {
        "text": typed.text,
        "tokens": typed.tokens,
        "tags": typed.tags,
        "intent": typed.intent,
        "language": typed.language,
        "skeleton": command.skeleton.lower(),
        "values": [piece.text.lower() for piece in typed.pieces if piece.slot],
    }


def _list_of(piece: Piece) -> str:
    return piece.filler.partition(".")[0]
