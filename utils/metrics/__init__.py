"""Metrics as modules of the library `evaluate` that need no network: one file, one metric.

    f1 = load("f1")
    f1.compute(predictions=[0, 1, 1], references=[0, 1, 0], average="macro")

`evaluate.load` takes the path of such a file as well; it copies the file into the modules folder of
the Hugging Face cache and imports the copy. A new file in this folder is a new metric.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import evaluate

FOLDER = Path(__file__).parent
HELPERS = ("__init__", "checks")


def load(name: str) -> evaluate.EvaluationModule:
    """The metric `name` of this folder; it keeps what it is given in memory, not in a cache file.

    Raises:
        ValueError: no such metric.
    """
    import evaluate  # takes seconds

    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)
    if name not in names:
        raise ValueError(f"There is no metric {name!r}: use one of {', '.join(names)}.")
    return evaluate.load(str(FOLDER / f"{name}.py"), keep_in_memory=True)
