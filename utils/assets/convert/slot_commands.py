"""Templates of a smart home -> commands with typed slots, as lines of JSON."""

import json
from collections.abc import Mapping
from pathlib import Path

from utils.assets.slots import draw_commands

OUTPUT = "commands.jsonl"


def convert(files: Mapping[str, Path], target: Path) -> None:
    with (target / OUTPUT).open("w", encoding="utf-8") as sink:
        for command in draw_commands(files["en.json"].parent):
            sink.write(json.dumps(command, ensure_ascii=False) + "\n")
