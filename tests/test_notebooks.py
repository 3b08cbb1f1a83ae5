"""The committed notebooks keep the rules of the collection, and README says what they say."""

from pathlib import Path

import pytest

from utils.notebooks.files import find, read
from utils.notebooks.rules import findings
from utils.runner.readme import chapters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = find(ROOT)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS, "no notebook found: the rules below would hold for nothing"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path: Path) -> None:
    assert list(findings(read(path), path, ROOT)) == []


def test_readme_shows_the_table_of_chapters() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert chapters(ROOT) in readme, "run `python -m utils.runner table`"
