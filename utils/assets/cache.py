"""The asset cache: whole, verified folders that appear by one rename."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from utils.assets.errors import AssetError

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MANIFEST = "manifest.json"  # name -> [size, sha256] of the files in a folder


def cache_dir() -> Path:
    """`NLP_ASSETS_DIR`, or a folder in the user's cache.

    Processes that this one starts elsewhere, as the runner does, find a relative path again.
    """
    chosen = os.environ.get("NLP_ASSETS_DIR")
    if chosen:
        folder = Path(chosen).expanduser().absolute()
        os.environ["NLP_ASSETS_DIR"] = str(folder)
        return folder
    return platformdirs.user_cache_path("nlp-transformers")


@dataclass(frozen=True)
class Entry:
    """A folder of the cache; `content` is all that decides on its bytes, and names it too."""

    name: str
    content: tuple[str, ...]

    @property
    def path(self) -> Path:
        key = hashlib.sha256("".join(f"{line}\n" for line in self.content).encode()).hexdigest()
        return cache_dir() / f"{self.name}-{key[:12]}"

    def is_cached(self) -> bool:
        """Whether every file is there in its size, which suffices as folders only appear whole."""
        sizes = {self.path / name: size for name, (size, _) in self._manifest().items()}
        with suppress(OSError):
            return bool(sizes) and all(path.stat().st_size == sizes[path] for path in sizes)
        return False

    def fill(self, write: Callable[[Path], None]) -> None:
        """Let `write` fill an empty folder, note what is in it, and move it into its place.

        One process does it while others wait. Raises AssetError when the disk is full or refuses.
        """
        with self._staging() as folder:
            if self.is_cached():  # by another process, while this one waited
                return
            partial = folder / "whole"
            partial.mkdir()
            write(partial)
            _write_manifest(partial)
            if self.path.exists():
                self.path.rename(folder / "damaged")
            partial.rename(self.path)

    def verify(self, asset: str) -> None:
        """Hash the files again; if one is not as it was written, the folder goes: AssetError."""
        if self.is_cached() and all(
            sha256(self.path / name) == expected for name, (_, expected) in self._manifest().items()
        ):
            return
        with explained_disk_errors():
            shutil.rmtree(self.path)
        raise AssetError(
            f"{asset} was damaged and is removed: run `python -m utils.assets fetch {asset}`."
        )

    def _manifest(self) -> dict[str, tuple[int, str]]:
        """Name -> (size, sha256); empty without a folder, or with a damaged manifest."""
        try:
            entries = json.loads((self.path / MANIFEST).read_bytes()).items()
            return {name: (size, digest) for name, (size, digest) in entries}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """A folder for this process alone; what a killed process left there is removed."""
        partial = cache_dir() / f".{self.name}.partial"
        with explained_disk_errors():
            partial.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(partial.with_suffix(".lock")):
                _discard(partial)
                partial.mkdir(exist_ok=True)
                try:
                    yield Path(tempfile.mkdtemp(dir=partial))
                finally:
                    _discard(partial)


def _discard(folder: Path) -> None:
    """Delete a folder that a pip, alive after its parent was killed, may still be writing to.

    The folder is moved first: the paths which that pip knows then lead nowhere.
    """
    trash = folder.with_suffix(".trash")
    shutil.rmtree(trash, ignore_errors=True)
    if folder.exists():
        with suppress(OSError):
            folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    entries = {path.name: (path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(entries, indent=2), encoding="utf-8")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explained_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            what = "is full: free space on its disk, or set NLP_ASSETS_DIR to another one"
        else:
            what = f"cannot be written ({error.strerror}): set NLP_ASSETS_DIR to another folder"
        raise AssetError(f"The asset cache {cache_dir()} {what}.") from error
