"""Wheels of Python packages -> their modules as lines of JSON, cleaned as CodeParrot's were.

See "The code dataset" in https://huggingface.co/blog/codeparrot for the filters.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from utils.assets.jsonl import write_rows

OUTPUT = "modules.jsonl"
MIN_CHARACTERS = 100
MAX_MEAN_LINE, MAX_LINE = 100, 1_000  # characters
MIN_ALPHANUMERIC = 0.25  # share of all characters
TEST_FOLDERS = {"test", "tests", "testing"}
LICENCES = {"BSD": "bsd-3-clause", "MIT": "mit", "Apache": "apache-2.0"}

Module = dict[str, str]


def convert(files: Mapping[str, Path], target: Path) -> None:
    modules = (module for name in sorted(files) for module in _modules(files[name]))
    write_rows(target / OUTPUT, _each_once(modules))


def _modules(wheel: Path) -> Iterator[Module]:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        head = archive.read(metadata).decode().partition("\n\n")[0]
        name = re.search(r"^Name: (.+)$", head, re.M)[1]
        package = {"repo_name": name, "license": _licence(head)}
        for path in sorted(archive.namelist()):
            if path.endswith(".py") and TEST_FOLDERS.isdisjoint(PurePosixPath(path).parts):
                content = archive.read(path).decode()
                if _is_written_by_hand(content):
                    yield package | {"path": path, "content": content}


def _is_written_by_hand(content: str) -> bool:
    """CodeParrot's heuristics against data, minified and generated files."""
    lengths = [len(line) for line in content.splitlines()]
    return (
        len(content) >= MIN_CHARACTERS
        and sum(lengths) <= MAX_MEAN_LINE * len(lengths)
        and max(lengths) <= MAX_LINE
        and sum(map(str.isalnum, content)) >= MIN_ALPHANUMERIC * len(content)
    )


def _each_once(modules: Iterator[Module]) -> Iterator[Module]:
    """Without those that differ from an earlier one in white space only."""
    seen = set()
    for module in modules:
        key = "".join(module["content"].split())
        if key not in seen:
            seen.add(key)
            yield module


def _licence(head: str) -> str:
    """The licence in the words of the hub, from the metadata of a wheel."""
    stated = re.findall(r"^(?:License-Expression|License|Classifier: License ::).*", head, re.M)
    return next(id for word, id in LICENCES.items() for line in stated if word in line)
