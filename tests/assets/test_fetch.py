"""The cache of packaged assets against a real pip and a package index on this machine."""

import os
import pty
import resource
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from utils.assets.catalog import Catalog
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch

from .conftest import HELLO, REST, TOY_WHEEL, assets_in, contents, leftovers, wait_for
from .servers import PackageIndex

StartFetch = Callable[..., subprocess.Popen[str]]
WriteCatalog = Callable[..., Path]


def test_fetch_unpacks_exactly_the_named_files(catalog: Catalog, cache: Path) -> None:
    folder = fetch("greeting", catalog)
    assert folder.parent == cache
    assert contents(folder) == {"hello.txt": HELLO["toy/hello.txt"], "config.json": b"{}"}
    assert leftovers(cache) == []


def test_two_processes_download_once(
    catalog_file: Path, index: PackageIndex, start_fetch: StartFetch
) -> None:
    index.may_finish.clear()
    processes = [start_fetch(), start_fetch()]
    wait_for(lambda: index.downloads > 0)
    index.may_finish.set()
    last_lines = [process.communicate(timeout=60)[0].splitlines()[-1] for process in processes]
    assert last_lines[0] == last_lines[1]
    assert Path(last_lines[0]).is_dir()
    assert index.downloads == 1


@pytest.mark.usefixtures("index")
def test_no_index_reachable(catalog: Catalog, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(AssetError, match=r"No package index could be reached for toy-wheel==1\.0"):
        fetch("greeting", catalog)
    assert leftovers(cache) == assets_in(cache) == []


def test_the_index_lacks_the_wheel(catalog: Catalog, index: PackageIndex) -> None:
    index.wheels.clear()
    with pytest.raises(AssetError, match=r"The package index has no toy-wheel==1\.0"):
        fetch("greeting", catalog)


def test_a_broken_transfer_says_what_pip_said(catalog: Catalog, index: PackageIndex) -> None:
    index.breaks_off = True
    with pytest.raises(AssetError, match=r"toy-wheel==1\.0"):
        fetch("greeting", catalog)
    index.breaks_off = False
    assert fetch("greeting", catalog).is_dir()


def test_python_without_pip(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(AssetError, match="bin/python -m ensurepip"):
        fetch("greeting", catalog)


def test_modules_in_the_working_directory_do_not_run(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    assert fetch("greeting", catalog).is_dir()


def test_killed_while_downloading(
    catalog: Catalog, index: PackageIndex, cache: Path, start_fetch: StartFetch
) -> None:
    index.may_finish.clear()
    process = start_fetch()
    wait_for(lambda: any(path.stat().st_size for path in cache.rglob("*.whl")))
    process.kill()
    process.wait()
    assert leftovers(cache) == [".toy-wheel.partial"]
    index.may_finish.set()
    assert contents(fetch("greeting", catalog))["hello.txt"] == HELLO["toy/hello.txt"]
    assert leftovers(cache) == []


def test_interrupted_by_the_user(index: PackageIndex, cache: Path, start_fetch: StartFetch) -> None:
    index.may_finish.clear()
    process = start_fetch()
    wait_for(lambda: any(path.stat().st_size for path in cache.rglob("*.whl")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    with pytest.raises(ProcessLookupError):  # no pip goes on in the background
        os.killpg(process.pid, 0)
    assert leftovers(cache) == assets_in(cache) == []


@pytest.mark.parametrize("is_compressed", [False, True])
def test_no_room(
    index: PackageIndex,
    write_catalog: WriteCatalog,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_compressed: bool,
) -> None:
    """Files may grow to 100 kB, too little for a plain wheel, or for what a packed one holds."""
    buffer = BytesIO(index.publish(REST | {"toy/config.json": b"{}"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        kind = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
        archive.writestr("toy/hello.txt", HELLO["toy/hello.txt"], kind)
    index.wheels[TOY_WHEEL] = buffer.getvalue()
    catalog = Catalog.read(write_catalog(buffer.getvalue()))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(AssetError, match="is full: free space"):
            fetch("greeting", catalog)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert leftovers(cache) == assets_in(cache) == []
    assert fetch("greeting", catalog).is_dir()


def test_progress_is_one_line_in_a_log(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("greeting", catalog)
    assert capsys.readouterr().out == "Fetching toy-wheel==1.0 (0.5 MB) with pip ...\n"


def test_progress_is_one_moving_line_on_a_terminal(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    screen, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        fetch("greeting", catalog)
        bar = os.read(screen, 100_000).decode()
    os.close(screen)
    assert "Fetching toy-wheel" in bar
    assert bar.count("\r\x1b[2K") > 1
    assert "520.9/520.9 kB" in bar
    assert bar.count("\n") == 1


def test_a_wheel_for_another_machine_is_kept_whole(
    index: PackageIndex, write_catalog: WriteCatalog
) -> None:
    wheel = index.publish({"toy/data.txt": b"data"}, tag="py3-none-win_amd64")
    folder = fetch(
        "greeting", Catalog.read(write_catalog(wheel, members=[], more='platform = "win_amd64"'))
    )
    assert contents(folder) == {"toy-wheel-1.0.whl": wheel}
    assert index.downloaded == ["toy_wheel-1.0-py3-none-win_amd64.whl"]
