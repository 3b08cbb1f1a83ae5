"""Files that appear complete or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def complete_or_absent(path: Path | str) -> Iterator[Path]:
    """A path to write to beside `path`, which it becomes at the end of the block.

    If the block fails nothing is left of it, and a file that was at `path` before stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write `text`; the file changes at once or not at all."""
    with complete_or_absent(path) as partial:
        partial.write_text(text, encoding="utf-8")
