"""What becomes of a wheel once it is here: what is unpacked, refused, repaired and verified."""

import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from utils.assets.cache import cache_dir
from utils.assets.catalog import Catalog
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch, verify

from .conftest import (
    HELLO,
    REST,
    TOY_WHEEL,
    assets_in,
    contents,
    kill_when,
    leftovers,
    wait_for,
)
from .servers import PackageIndex

StartFetch = Callable[..., subprocess.Popen[str]]
WriteCatalog = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("without_pip")


def test_a_filled_cache_opens_no_socket_and_starts_no_process(
    catalog: Catalog, start_fetch: StartFetch
) -> None:
    folder = fetch("greeting", catalog)
    forbid = (
        "import sys\n"
        "def forbid(event, args):\n"
        "    assert not event.startswith(('socket.', 'subprocess.', 'os.posix_spawn')), event\n"
        "sys.addaudithook(forbid)\n"
    )
    output, errors = start_fetch(forbid).communicate(timeout=60)
    assert (output.strip(), errors) == (str(folder), "")


def test_an_unknown_name_lists_near_ones(catalog: Catalog) -> None:
    with pytest.raises(AssetError, match='no asset called "greting"; choose one of: greeting'):
        fetch("greting", catalog)


def test_another_wheel_is_discarded(catalog: Catalog, index: PackageIndex, cache: Path) -> None:
    index.publish(HELLO | REST | {"toy/config.json": b"[]"})
    with pytest.raises(AssetError, match=r"toy-wheel==1\.0 was discarded because its sha256"):
        fetch("greeting", catalog)
    assert leftovers(cache) == assets_in(cache) == []


def test_a_missing_member(index: PackageIndex, write_catalog: WriteCatalog, cache: Path) -> None:
    wheel = index.publish(REST | {"toy/config.json": b"{}"})
    with pytest.raises(AssetError, match=r"has no file toy/hello\.txt: correct catalog\.toml"):
        fetch("greeting", Catalog.read(write_catalog(wheel)))
    assert leftovers(cache) == assets_in(cache) == []


def test_other_content_has_another_folder(index: PackageIndex, write_catalog: WriteCatalog) -> None:
    wheel, other = index.publish(HELLO | REST), index.publish(HELLO)
    choices = [(wheel, HELLO), (wheel, HELLO | REST), (wheel, []), (other, HELLO)]
    catalogs = [Catalog.read(write_catalog(*choice)) for choice in choices]
    assert len({one.find("greeting").packaged.entry.path for one in catalogs}) == len(choices)


def test_a_wheel_cannot_write_outside_its_folder(
    index: PackageIndex, write_catalog: WriteCatalog, tmp_path: Path
) -> None:
    outside = {"../../outside.txt": b"1", str(tmp_path / "absolute.txt"): b"2"}
    catalog = Catalog.read(write_catalog(index.publish(outside), outside))
    assert contents(fetch("greeting", catalog)) == {"outside.txt": b"1", "absolute.txt": b"2"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "catalog.toml"]


def test_a_link_in_a_wheel_is_never_followed(
    index: PackageIndex, write_catalog: WriteCatalog, tmp_path: Path
) -> None:
    buffer = BytesIO(index.publish(REST))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("toy/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(tmp_path / "catalog.toml"))
    index.wheels[TOY_WHEEL] = buffer.getvalue()
    folder = fetch("greeting", Catalog.read(write_catalog(buffer.getvalue(), ["toy/link"])))
    assert contents(folder) == {"link": bytes(tmp_path / "catalog.toml")}


def test_a_pip_that_outlives_its_killed_parent(catalog: Catalog, cache: Path) -> None:
    """It fills the folder faster than the folder can be emptied, and is heard of no more."""
    folder = cache / ".toy-wheel.partial" / "of-the-killed"
    folder.mkdir(parents=True)
    write = (
        "import itertools, sys\n"
        "for number in itertools.count():\n"
        "    try: open(f'{sys.argv[1]}/{number}', 'w').close()\n"
        "    except OSError: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", write, str(folder)]) as pip:
        try:
            wait_for(lambda: (folder / "2000").exists())
            assert len(contents(fetch("greeting", catalog))) == 2
            assert leftovers(cache) == []
        finally:
            pip.kill()


@pytest.mark.parametrize(
    "moment",
    [
        "'open' and 'config.json' in str(args[0])",
        "'open' and 'manifest.json' in str(args[0]) and args[1] == 'w'",
        "'os.rename'",
    ],
)
def test_killed_while_unpacking(
    catalog: Catalog, cache: Path, start_fetch: StartFetch, moment: str
) -> None:
    assert start_fetch(kill_when(moment)).wait(60) == -signal.SIGKILL
    assert list(cache.glob(".toy-wheel.partial/*/whole/hello.txt"))
    assert leftovers(cache) == [".toy-wheel.partial"]
    assert len(contents(fetch("greeting", catalog))) == 2
    assert leftovers(cache) == []


def test_the_cache_cannot_be_written(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()  # binds root too, whom permissions do not
    monkeypatch.setenv("NLP_ASSETS_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(AssetError, match=r"cannot be written \(Not a directory\).*NLP_ASSETS_DIR"):
        fetch("greeting", catalog)


@pytest.mark.parametrize(
    ("file", "content"),
    [("hello.txt", b"hello"), ("manifest.json", b'{"hello.txt"'), ("manifest.json", b"[]")],
)
def test_a_cut_file_is_fetched_again(
    catalog: Catalog, index: PackageIndex, file: str, content: bytes
) -> None:
    (fetch("greeting", catalog) / file).write_bytes(content)
    assert contents(fetch("greeting", catalog))["hello.txt"] == HELLO["toy/hello.txt"]
    assert index.downloads == 2


def test_verify_finds_a_changed_file_and_fetch_repairs_it(catalog: Catalog) -> None:
    folder = fetch("greeting", catalog)
    verify("greeting", catalog)
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(AssetError, match=r"is removed: run .* greeting`"):
        verify("greeting", catalog)
    assert contents(fetch("greeting", catalog))["config.json"] == b"{}"
    verify("greeting", catalog)


def test_verify_of_an_absent_asset(catalog: Catalog) -> None:
    with pytest.raises(AssetError, match="greeting is not in the cache: run"):
        verify("greeting", catalog)


def test_the_cache_is_the_users_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLP_ASSETS_DIR", raising=False)
    assert cache_dir().is_absolute()
    monkeypatch.setenv("NLP_ASSETS_DIR", "~/assets")
    assert cache_dir() == Path.home() / "assets"
    monkeypatch.setenv("NLP_ASSETS_DIR", "mine")
    here = Path.cwd()
    assert cache_dir() == here / "mine"
    monkeypatch.chdir("/")
    assert cache_dir() == here / "mine", "and so in the kernels that this process starts"
