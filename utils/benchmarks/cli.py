"""The command `python -m utils.benchmarking`."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from utils.assets.errors import AssetError
from utils.benchmarking.errors import BenchmarkError
from utils.benchmarks.records import BENCHMARKS, run_benchmark

app = typer.Typer(add_completion=False)


@app.command()
def main(
    name: Annotated[str | None, typer.Argument(help="One benchmark; all without it.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads that torch may use.")] = 1,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Timed calls, instead of its own.")
    ] = None,
    assets: Annotated[str, typer.Option(help="packaged or hub: source of models.")] = "packaged",
    show_list: Annotated[bool, typer.Option("--list", help="Show the benchmarks.")] = False,
) -> None:
    """Run benchmarks, show their tables and keep their records under build/benchmarks."""
    if show_list:
        for listed, title in BENCHMARKS.items():
            typer.echo(f"{listed}: {title}")
        return
    if assets == "packaged":  # read by huggingface_hub when it is imported
        os.environ["HF_HUB_OFFLINE"] = "1"
    options = {"threads": threads, "assets": assets} | (
        {} if rounds is None else {"rounds": rounds}
    )
    try:
        for chosen in [name] if name else BENCHMARKS:
            typer.echo(f"Running {chosen} ...")
            record = run_benchmark(chosen, **options)
            Console().print(*record.tables())
            typer.echo(f"Record: {record.save()}")
    except (BenchmarkError, AssetError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
