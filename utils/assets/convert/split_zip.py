"""A zip archive in numbered parts with one folder in it -> the files a checkpoint needs."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

NAMES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def convert(files: Mapping[str, Path], target: Path) -> None:
    joined = BytesIO(b"".join(files[name].read_bytes() for name in sorted(files)))
    with zipfile.ZipFile(joined) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        for name in NAMES:
            (target / name).write_bytes(archive.read(f"{folder}/{name}"))
