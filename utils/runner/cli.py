"""The command line of the runner: `run`, `pages`, `report`, `nightly`, `refresh` and `table`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from utils.assets.errors import AssetError
from utils.chapter import ASSETS, SCALES, project_root
from utils.files import write_text
from utils.notebooks.files import NotebookError, find, needed_assets, read, select
from utils.runner import readme
from utils.runner.executions import write_results
from utils.runner.outcomes import Refresh, Run
from utils.runner.provenance import Dials
from utils.runner.schedule import Schedule, threads_per_job
from utils.runner.terminal import open_console, open_progress, overview

TIMEOUT = 2 * 60 * 60  # seconds; a notebook at scale="full" trains for long
INTERRUPTED = 130  # the exit status of a process that Ctrl-C ended

Assets = StrEnum("Assets", ASSETS)
Scale = StrEnum("Scale", SCALES)

Chapters = Annotated[
    list[str] | None,
    typer.Argument(help="Numbers (2 3) or names; none means all.", show_default=False),
]
AssetsDial = Annotated[Assets, typer.Option(help="Models and data.")]
ScaleDial = Annotated[Scale, typer.Option(help="Sizes.")]
Timeout = Annotated[float, typer.Option(min=1, help="Stop a notebook after so many seconds.")]
Jobs = Annotated[int, typer.Option(min=1, help="Run so many notebooks at a time.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip what is done for the same code, dials and versions.")
]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run the notebooks.")


@app.command()
def run(
    chapters: Chapters = None,
    assets: AssetsDial = Assets.packaged,
    scale: ScaleDial = Scale.small,
    timeout: Timeout = TIMEOUT,
    jobs: Jobs = 1,
    resume: Resume = False,
) -> None:
    """Execute notebooks into build/notebooks/; those in notebooks/ stay as they are."""
    root = project_root()
    dials = Dials(assets.value, scale.value)
    with _errors_as_sentences():
        paths = select(chapters or [], find(root))
        if assets is Assets.packaged:
            _fetch_assets(paths)
        try:
            jobs = min(jobs, len(paths))
            _execute_all(paths, Run(root, dials, timeout, resume, threads_per_job(jobs)), jobs)
        finally:
            write_results(root)


@app.command()
def pages(assets: AssetsDial = Assets.packaged, scale: ScaleDial = Scale.small) -> None:
    """Build HTML pages, with a contents page, from what `run` executed: build/pages/."""
    from utils.runner.pages.site import build

    with _errors_as_sentences():
        index = build(project_root(), Dials(assets.value, scale.value))
        typer.echo(f"Pages: {index}")


@app.command()
def report() -> None:
    """Draw the history of all runs and say what drifted: build/report.html."""
    from utils.runner.report import build

    with _errors_as_sentences():
        sentences, page = build(project_root())
        for sentence in [*sentences, f"Report: {page}"]:
            typer.echo(sentence)


@app.command()
def nightly(
    chapters: Chapters = None,
    assets: AssetsDial = Assets.packaged,
    scale: ScaleDial = Scale.small,
    timeout: Timeout = TIMEOUT,
    jobs: Jobs = 1,
    resume: Resume = False,
) -> None:
    """Run notebooks, build pages and report; exit status 1 if anything of it failed."""
    status = 0
    for step in (
        lambda: run(chapters, assets, scale, timeout, jobs, resume),
        lambda: pages(assets, scale),
        report,
    ):
        try:
            step()
        except typer.Exit as exit_:
            status = status or exit_.exit_code
        if status == INTERRUPTED:
            break
    raise typer.Exit(status)


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
        write_text(text, path)
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


def _execute_all(paths: Sequence[Path], action: Run | Refresh, jobs: int = 1) -> None:
    """Execute notebooks, `jobs` at a time; exit status 1 if any failed."""
    console = open_console()
    progress = open_progress(console)
    schedule = Schedule(action, jobs, progress)
    try:
        with progress:
            schedule.execute(paths)
    finally:
        ended = [schedule.outcomes[path] for path in paths if path in schedule.outcomes]
        console.print(overview(ended))
        console.print(f"Executed notebooks: {action.folder}", soft_wrap=True)
    if any(outcome.failure for outcome in ended):
        raise typer.Exit(1)
