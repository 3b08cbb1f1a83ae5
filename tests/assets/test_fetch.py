"""The cache of packaged assets against a real pip and a package index on this machine."""

import os
import pty
import resource
import signal
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from utils.assets.cache import cache_dir
from utils.assets.catalog import Catalog
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch, verify

from .conftest import GOODBYE, HELLO
from .servers import PackageIndex

TOY_WHEEL = "toy_wheel-1.0-py3-none-any.whl"

StartFetch = Callable[..., subprocess.Popen[str]]
WriteCatalog = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(cache: Path) -> list[str]:
    """What is in the cache besides whole assets and lock files."""
    return [
        path.name
        for path in cache.iterdir()
        if path.suffix != ".lock" and not path.name.startswith(("hello-", "goodbye-"))
    ]


def assets_in(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.is_dir()]


def test_fetch_unpacks_exactly_the_named_files(catalog: Catalog, cache: Path) -> None:
    folder = fetch("greeting", catalog)
    assert folder.parent == cache
    assert contents(folder) == {"hello.txt": HELLO["toy/hello.txt"], "config.json": b"{}"}
    assert leftovers(cache) == []


def test_assets_in_one_wheel_share_the_download(catalog: Catalog, index: PackageIndex) -> None:
    fetch("greeting", catalog)
    assert contents(fetch("farewell", catalog)) == {"goodbye.txt": GOODBYE["toy/goodbye.txt"]}
    assert index.downloads == 1


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


def test_an_unknown_name_lists_near_ones(catalog: Catalog) -> None:
    with pytest.raises(AssetError, match='no asset called "greting"; choose one of: greeting'):
        fetch("greting", catalog)


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


def test_another_wheel_is_discarded(catalog: Catalog, index: PackageIndex, cache: Path) -> None:
    index.publish(HELLO | GOODBYE | {"toy/extra.txt": b"not in the catalogued wheel"})
    with pytest.raises(AssetError, match=r"toy-wheel==1\.0 was discarded because its sha256"):
        fetch("greeting", catalog)
    assert leftovers(cache) == assets_in(cache) == []


def test_another_member_is_discarded(
    index: PackageIndex, write_catalog: WriteCatalog, cache: Path
) -> None:
    wheel = index.publish(HELLO | GOODBYE | {"toy/config.json": b"[]"})
    with pytest.raises(AssetError, match=r"toy/config\.json was discarded because its sha256"):
        fetch("greeting", Catalog.read(write_catalog(wheel)))
    assert leftovers(cache) == assets_in(cache) == []


def test_a_missing_member(index: PackageIndex, write_catalog: WriteCatalog, cache: Path) -> None:
    wheel = index.publish(GOODBYE)
    with pytest.raises(AssetError, match=r"has no file toy/hello\.txt: correct catalog\.toml"):
        fetch("greeting", Catalog.read(write_catalog(wheel)))
    assert leftovers(cache) == assets_in(cache) == []


def test_a_wheel_cannot_write_outside_its_folder(
    index: PackageIndex, write_catalog: WriteCatalog, cache: Path, tmp_path: Path
) -> None:
    outside = {"../../outside.txt": b"1", str(tmp_path / "absolute.txt"): b"2"}
    wheel = index.publish(HELLO | GOODBYE | outside)
    catalog = Catalog.read(write_catalog(wheel, hello={**HELLO, "../../outside.txt": b"1"}))
    assert sorted(contents(fetch("greeting", catalog))) == [
        "config.json",
        "hello.txt",
        "outside.txt",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "catalog.toml"]


def test_a_link_in_a_wheel_is_never_followed(
    index: PackageIndex, write_catalog: WriteCatalog, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(HELLO["toy/hello.txt"])
    buffer = BytesIO(index.publish(GOODBYE | {"toy/config.json": b"{}"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("toy/hello.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
    index.wheels[TOY_WHEEL] = buffer.getvalue()
    with pytest.raises(AssetError, match=r"toy/hello\.txt was discarded"):
        fetch("greeting", Catalog.read(write_catalog(buffer.getvalue())))


@pytest.mark.parametrize("path", ["toy/..", "", "..\\..\\evil.txt"])
def test_the_catalogue_names_files_only(
    index: PackageIndex, write_catalog: WriteCatalog, path: str
) -> None:
    wheel = index.publish(GOODBYE)
    with pytest.raises(AssetError, match="must be the path of a file in a wheel"):
        Catalog.read(write_catalog(wheel, hello={path: b""}))


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


@pytest.mark.parametrize("moment", ["'open' and 'config.json' in str(args[0])", "'os.rename'"])
def test_killed_while_unpacking(
    catalog: Catalog, cache: Path, start_fetch: StartFetch, moment: str
) -> None:
    kill = (
        "import os, signal, sys\n"
        "def kill(event, args):\n"
        f"    if event == {moment}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(kill)\n"
    )
    process = start_fetch(kill)
    assert process.wait(60) == -signal.SIGKILL
    assert list(cache.glob(".toy-wheel.partial/*/hello/hello.txt"))
    assert len(contents(fetch("greeting", catalog))) == 2
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


def test_the_cache_cannot_be_written(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()  # binds root too, whom permissions do not
    monkeypatch.setenv("NLP_ASSETS_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(AssetError, match=r"cannot be written \(Not a directory\).*NLP_ASSETS_DIR"):
        fetch("greeting", catalog)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_no_room(
    index: PackageIndex,
    write_catalog: WriteCatalog,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_compressed: bool,
) -> None:
    """Files may grow to 100 kB, too little for a plain wheel, or for what a packed one holds."""
    buffer = BytesIO(index.publish(GOODBYE | {"toy/config.json": b"{}"}))
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


def test_a_cut_file_is_fetched_again(catalog: Catalog, index: PackageIndex) -> None:
    folder = fetch("greeting", catalog)
    (folder / "hello.txt").write_bytes(b"hello")
    assert contents(fetch("greeting", catalog))["hello.txt"] == HELLO["toy/hello.txt"]
    assert index.downloads == 2


def test_verify_finds_a_changed_file_and_fetch_repairs_it(catalog: Catalog) -> None:
    folder = fetch("greeting", catalog)
    verify("greeting", catalog)
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(AssetError, match="greeting was damaged and is removed"):
        verify("greeting", catalog)
    assert contents(fetch("greeting", catalog))["config.json"] == b"{}"
    verify("greeting", catalog)


def test_verify_of_an_absent_asset(catalog: Catalog) -> None:
    with pytest.raises(AssetError, match="greeting is not in the cache: run"):
        verify("greeting", catalog)


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


def test_the_cache_is_the_users_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NLP_ASSETS_DIR", raising=False)
    assert cache_dir().is_absolute()
    monkeypatch.setenv("NLP_ASSETS_DIR", "~/assets")
    assert cache_dir() == Path.home() / "assets"


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
