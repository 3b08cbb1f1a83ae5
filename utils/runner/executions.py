"""Executions: which notebook ran when, on what, and what it reported.

The runner stamps each notebook that it executed with what the notebook cannot know. All else about
an execution is read from the executed notebook, so that there is one file to trust, and that file
is whole or it is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict

from utils.chapter import ASSETS, SCALES, Result, read_results, read_summary
from utils.files import write_text
from utils.notebooks.files import FOLDER, NotebookError, find, read
from utils.runner.provenance import Dials, Provenance

STAMP = "nlp-transformers"  # the key in the metadata of an executed notebook
EVERY_DIALS = [Dials(assets, scale) for assets in ASSETS for scale in SCALES]


@dataclass(frozen=True)
class Stamp:
    """What the runner knows about an execution.

    Attributes:
        notebook: its path below notebooks/, without suffix: "02_classification", "articles/faster".
        time: when it began, ISO 8601 in UTC.
        seconds: on the clock, the start of the kernel included.
        failure: why it failed; empty if it did not.
    """

    notebook: str
    time: str
    seconds: float
    failure: str
    provenance: Provenance


@dataclass(frozen=True)
class Execution:
    """One execution of one notebook.

    Attributes:
        device: where it ran; empty if it failed before its closing table.
        results: what it reported, also before it failed.
    """

    stamp: Stamp
    device: str
    results: list[Result]

    def to_dict(self) -> dict[str, Any]:
        """One flat entry, as JSON holds it."""
        stamp = asdict(self.stamp)
        provenance = stamp.pop("provenance")
        dials = provenance.pop("dials")
        results = [asdict(result) for result in self.results]
        return stamp | provenance | dials | {"device": self.device, "results": results}


def name_of(path: Path, root: Path) -> str:
    """The name of the notebook in `path` of the project in `root`."""
    return path.relative_to(root / FOLDER).with_suffix("").as_posix()


def executed_file(path: Path, root: Path, dials: Dials) -> Path:
    """Where the notebook in `path` goes when it was executed at `dials`."""
    return root / "build" / FOLDER / dials.folder / path.relative_to(root / FOLDER)


def put_stamp(notebook: NotebookNode, stamp: Stamp) -> None:
    """Write `stamp` into the metadata of an executed notebook."""
    notebook.metadata[STAMP] = from_dict(asdict(stamp))


def execution_of(notebook: NotebookNode) -> Execution:
    """The execution that a stamped notebook holds; KeyError where there is no stamp."""
    summary = read_summary(notebook)
    device = summary["device"] if summary else ""
    return Execution(_stamp(notebook.metadata[STAMP]), device, results_of(notebook))


def read_execution(path: Path) -> tuple[Execution, NotebookNode] | None:
    """The execution in `path`, with its notebook; None if no whole one of the runner lies there."""
    try:
        notebook = read(path)
        return execution_of(notebook), notebook
    except (FileNotFoundError, NotebookError):
        return None
    except (KeyError, AttributeError, TypeError):  # no stamp, or one of another version
        return None


def results_of(notebook: NotebookNode) -> list[Result]:
    """What an executed notebook reported, from its closing table if it got there."""
    summary = read_summary(notebook)
    return [Result(**data) for data in (summary["results"] if summary else read_results(notebook))]


def headline(results: Iterable[Result]) -> Result | None:
    """The result that stands for its notebook in tables."""
    return next((result for result in results if result.headline), None)


def write_results(root: Path) -> None:
    """Write build/results.json: of each notebook its last execution at each pair of dials."""
    files = (executed_file(path, root, dials) for dials in EVERY_DIALS for path in find(root))
    found = filter(None, map(read_execution, files))
    entries = [execution.to_dict() for execution, _ in found]
    (root / "build").mkdir(exist_ok=True)
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    write_text(text + "\n", root / "build" / "results.json")


def _stamp(data: NotebookNode) -> Stamp:
    provenance = dict(data.provenance)
    dials, versions = Dials(**provenance.pop("dials")), dict(provenance.pop("versions"))
    return Stamp(**data | {"provenance": Provenance(**provenance, dials=dials, versions=versions)})
