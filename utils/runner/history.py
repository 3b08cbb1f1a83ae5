"""The history in build/history.jsonl: one line for each metric of each execution, forever.

An execution is added with one write of whole lines. If the machine dies in the middle of that, the
last line is torn: readers leave it out and the next writer cuts it off. When the runner comes
across the execution again, it adds what is missing and repeats nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from utils.runner.executions import Execution
from utils.runner.provenance import Dials

SECONDS = "seconds"  # the metric that every execution has
REASON = 200  # characters of the first line of a failure: some list all weights of a model


@dataclass(frozen=True)
class Line:
    """One metric of one execution; see `Stamp`, `Execution` and `Provenance` for what it repeats.

    Attributes:
        metric: the name of a result, or "seconds".
        low, high: the expected range; None where nothing was promised.
    """

    time: str
    notebook: str
    metric: str
    value: float | int | str
    low: float | None
    high: float | None
    failure: str
    device: str
    commit: str
    modified: bool
    sources: str
    assets: str
    scale: str
    versions: dict[str, str]

    @property
    def dials(self) -> str:
        return str(Dials(self.assets, self.scale))

    @property
    def device_kind(self) -> str:
        """The device without its number of threads: "CPU", or the name of a GPU."""
        return self.device.partition(" with ")[0]

    @property
    def key(self) -> tuple[str, ...]:
        """What no two lines share."""
        return self.time, self.notebook, self.assets, self.scale, self.metric


def lines_of(execution: Execution) -> Iterator[Line]:
    """The lines that `execution` adds: its seconds first."""
    common = execution.to_dict()
    common["value"] = common.pop("seconds")
    del common["results"]
    common["failure"] = common["failure"].partition("\n")[0][:REASON]
    yield Line(metric=SECONDS, low=None, high=None, **common)
    for result in execution.results:
        common["value"] = result.value
        yield Line(metric=result.name, low=result.low, high=result.high, **common)


def file(root: Path) -> Path:
    """Where the history of the project in `root` lies."""
    return root / "build" / "history.jsonl"


def add(execution: Execution, root: Path) -> None:
    """Append the lines of `execution` that are not there yet, for good or not at all."""
    path = file(root)
    with FileLock(path.with_suffix(".lock")):
        known = {line.key for line in read(root)[0]}
        missing = [line for line in lines_of(execution) if line.key not in known]
        text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in missing)
        with path.open("ab+") as stream:
            stream.seek(0)
            stream.truncate(stream.read().rfind(b"\n") + 1)  # a torn line goes
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())


def read(root: Path) -> tuple[list[Line], list[str]]:
    """All lines in the order of their times, and a sentence for each that had to be left out."""
    path, lines, complaints = file(root), [], []
    content = path.read_bytes() if path.exists() else b""
    *whole, torn = content.split(b"\n")
    for number, raw in enumerate(whole, start=1):
        try:
            lines.append(Line(**json.loads(raw)))
        except (ValueError, TypeError):
            complaints.append(f"Line {number} of {path} is damaged and left out.")
    if torn:
        complaints.append(f"The last line of {path} was cut off while it was written: left out.")
    return sorted(lines, key=lambda line: line.time), complaints
