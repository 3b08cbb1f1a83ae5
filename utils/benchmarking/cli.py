"""The command `python -m utils.benchmarking`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from rich.console import Console

from utils.assets.errors import AssetError
from utils.benchmarking.records import benchmark_titles, run_benchmark
from utils.benchmarking.timing import BenchmarkError

app = typer.Typer(add_completion=False)


@app.command()
def main(
    name: Annotated[str | None, typer.Argument(help="One benchmark; all without it.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads that torch may use.")] = 1,
    rounds: Annotated[
        int | None, typer.Option(help="Timed calls; each benchmark has its own.")
    ] = None,
    assets: Annotated[
        str, typer.Option(help="packaged or hub: where models and data come from.")
    ] = "packaged",
    show_list: Annotated[
        bool, typer.Option("--list", help="Show the benchmarks and stop.")
    ] = False,
) -> None:
    """Run benchmarks, show their tables and keep their records under build/benchmarks."""
    if show_list:
        for listed, title in benchmark_titles().items():
            typer.echo(f"{listed}: {title}")
        return
    if assets == "packaged":  # read by huggingface_hub when it is imported
        os.environ["HF_HUB_OFFLINE"] = "1"
    given = {"threads": threads, "assets": assets, "rounds": rounds}
    options = {option: value for option, value in given.items() if value is not None}
    try:
        for chosen in [name] if name else benchmark_titles():
            _run_and_show(chosen, options)
    except (BenchmarkError, AssetError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _run_and_show(name: str, options: dict[str, Any]) -> None:
    typer.echo(f"Running {name} ...")
    record = run_benchmark(name, **options)
    Console().print(*record.tables())
    typer.echo(f"Record: {record.save()}")
