"""Command line of the asset cache: `python -m utils.assets list|fetch|verify|path|card|counts`."""

import sys
from itertools import groupby
from math import ceil
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from utils.assets.cache import cache_dir
from utils.assets.catalog import Asset, load_catalog
from utils.assets.errors import AssetError
from utils.assets.fetch import cached, fetch, verify

DOWNLOAD_RATE = 20  # MB/s
CONVERSION_RATE = 25  # MB/s of what is written, on one core

app = typer.Typer(
    help="Fetch and check the models and data sets of the notebooks (NLP_ASSETS_DIR: the cache).",
    no_args_is_help=True,
    add_completion=False,
)
Names = Annotated[list[str] | None, typer.Argument(help="Names as in `list`.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="Every asset that is not optional.")]


@app.command("list")
def list_assets() -> None:
    """Show every asset, where it comes from, its licence, and whether it is in the cache."""
    short = (
        Column(header, no_wrap=True) for header in ("name", "download\nMB", "disk\nMB", "cached")
    )
    table = Table(*short, "licence", "source")
    for kind, assets in groupby(load_catalog().assets.values(), lambda asset: asset.kind):
        table.add_row(f"[bold]{kind}s[/]")
        for asset in assets:
            table.add_row(*_row(asset))
        table.add_section()
    Console().print(table)
    typer.echo(f"cache: {cache_dir()}")


@app.command("fetch")
def fetch_assets(names: Names = None, every: All = False) -> None:
    """Fetch assets from the package index into the cache."""
    if not names and not every:
        raise AssetError("Name the assets to fetch, or pass --all.")
    catalog = load_catalog()
    wanted = [asset.name for asset in catalog.assets.values() if not asset.optional]
    chosen = list(dict.fromkeys([*(wanted if every else []), *(names or [])]))
    if sentence := announcement([catalog.find(name) for name in chosen]):
        typer.echo(sentence)
    for name in chosen:
        typer.echo(f"{name}: {fetch(name)}")


@app.command("verify")
def verify_assets(names: Names = None) -> None:
    """Hash cached files again (without names: all); a damaged asset leaves the cache."""
    assets = load_catalog().assets.values()
    for name in names or [asset.name for asset in assets if asset.packaged.entry.is_cached()]:
        verify(name)
        typer.echo(f"{name}: ok")


@app.command("path")
def print_path(name: Annotated[str, typer.Argument(help="A name as in `list`.")]) -> None:
    """Print the folder of an asset that is in the cache."""
    typer.echo(cached(name))


@app.command("card")
def print_card(name: Annotated[str, typer.Argument(help="A name as in `list`.")]) -> None:
    """Print source, licence, size and known faults of a packaged data set or model."""
    from utils.assets.datasets import card

    typer.echo(card(name))


@app.command("counts")
def print_counts(name: Annotated[str, typer.Argument(help="A data set as in `list`.")]) -> None:
    """Print how many rows each class has, by language or by split."""
    from utils.assets.datasets import counts

    typer.echo(counts(name).to_string())


def main() -> None:
    """Run the command line; a failure is one line and exit status 1."""
    try:
        app()
    except AssetError as error:
        sys.exit(f"error: {error}")


def announcement(assets: list[Asset]) -> str:
    """What is still to be fetched and converted for `assets`, and about how long that takes."""
    missing = {asset.packaged for asset in assets if not asset.packaged.entry.is_cached()}
    wheels = {wheel for one in missing for wheel in one.wheels if not wheel.entry.is_cached()}
    download = sum(wheel.size for wheel in wheels) / 1e6  # MB
    converted = sum(one.conversion.size for one in missing if one.conversion) / 1e6
    if not missing:
        return ""
    minutes = (download / DOWNLOAD_RATE + converted / CONVERSION_RATE) / 60
    minutes += sum(one.conversion.minutes for one in missing if one.conversion)
    return (
        f"{download:,.0f} MB to fetch and {converted:,.0f} MB to convert or train: "
        f"about {ceil(minutes)} min at {DOWNLOAD_RATE} MB/s ..."
    )


def _row(asset: Asset) -> tuple[str, ...]:
    """Name, MB to download and to keep, presence in the cache, licence, wheels."""
    packaged = asset.packaged
    download = sum(wheel.size for wheel in packaged.wheels)
    sizes = (f"{size / 1e6:6.1f}" for size in (download, packaged.size))
    here = "yes" if packaged.entry.is_cached() else "optional" if asset.optional else "no"
    first, *others = packaged.wheels
    source = first.requirement + (f" and {len(others)} more" if others else "")
    return asset.name, *sizes, here, packaged.licence, source


if __name__ == "__main__":
    main()
