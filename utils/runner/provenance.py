"""What a result depends on: the code, the dials and the libraries that produced it."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from utils.notebooks.files import read

LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "numpy")
PACKAGE = "utils"


@dataclass(frozen=True)
class Dials:
    """The two parameters of every notebook."""

    assets: str = "packaged"
    scale: str = "small"

    def __str__(self) -> str:
        return f"{self.assets}/{self.scale}"

    @property
    def folder(self) -> str:
        return f"{self.assets}-{self.scale}"


@dataclass(frozen=True)
class Provenance:
    """Two executions with equal provenance had the same reasons to give the same results.

    Attributes:
        commit: of the project; empty outside a git repository.
        modified: whether the notebook or `utils` differed from that commit. Equality leaves it out:
            `sources` says it better, since new outputs in a notebook modify it too.
        sources: a hash of the notebook's cells, without outputs, and of all files in `utils`.
    """

    commit: str
    modified: bool = field(compare=False)
    sources: str
    dials: Dials
    versions: dict[str, str]


def provenance_of(path: Path, root: Path, dials: Dials) -> Provenance:
    """What the notebook in `path` would depend on if it were executed now."""
    return Provenance(
        commit=_git(root, "rev-parse", "--verify", "--quiet", "HEAD"),
        modified=bool(_git(root, "status", "--porcelain", "--", PACKAGE, str(path))),
        sources=_hash_of_sources(path, root / PACKAGE),
        dials=dials,
        versions={"python": platform.python_version()} | {lib: version(lib) for lib in LIBRARIES},
    )


def _git(root: Path, *arguments: str) -> str:
    """What git answers; nothing where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip()


def _hash_of_sources(path: Path, package: Path) -> str:
    """16 hexadecimal digits."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags")) for cell in read(path).cells]
    digest = hashlib.sha256(json.dumps(cells).encode())
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"\0{file.relative_to(package).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
