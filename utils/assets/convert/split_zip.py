"""A zip archive in numbered parts with one folder in it -> the files a checkpoint needs."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

NAMES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def convert(files: Mapping[str, Path], target: Path) -> None:
    archive = target / "joined.zip"
    _join([files[name] for name in sorted(files)], archive)
    with zipfile.ZipFile(archive) as source:
        for name in NAMES:
            _extract(source, _top_folder(source) / name, target / name)
    archive.unlink()


def _join(parts: list[Path], target: Path) -> None:
    with target.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink)


def _top_folder(archive: zipfile.ZipFile) -> PurePosixPath:
    return PurePosixPath(PurePosixPath(archive.namelist()[0]).parts[0])


def _extract(archive: zipfile.ZipFile, name: PurePosixPath, target: Path) -> None:
    with archive.open(str(name)) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
