from pathlib import Path

import pytest
from nbformat.v4 import new_output
from tiny_notebooks import add, tiny
from typer.testing import CliRunner

from utils.chapter import SUMMARY_MIME
from utils.runner import history
from utils.runner.cli import app
from utils.runner.executions import Execution, Stamp
from utils.runner.provenance import Dials, Provenance

README = (
    "# Project\n\n<!-- chapters -->\nold\n<!-- /chapters -->\n\nMore text.\n"
    "<!-- runs -->\n<!-- /runs -->\n"
)


@pytest.fixture
def chapters(project: Path) -> Path:
    executed = tiny()
    result = {"name": "F1 | macro", "value": 0.91234, "book": 0.925, "headline": True}
    ignored = {"name": "minutes", "value": 3, "headline": False}
    summary = {"seconds": 83.4, "results": [ignored, result]}
    executed.cells[-1].outputs = [new_output("display_data", {SUMMARY_MIME: summary})]
    add(project, "02_tiny", executed)
    add(project, "articles/new", tiny())
    return project


def test_table_says_what_the_notebooks_say(chapters: Path) -> None:
    readme = chapters / "README.md"
    readme.write_text(README)

    result = CliRunner().invoke(app, ["table"])

    assert result.exit_code == 0
    once = readme.read_text()
    before, _, rest = once.partition("<!-- chapters -->")
    table, _, after = rest.partition("<!-- /chapters -->")
    assert before == "# Project\n\n"
    assert after.startswith("\n\nMore text.\n<!-- runs -->\n| Notebook |")
    assert table.strip() == result.output.strip()
    _, _, first, second = table.strip().splitlines()
    assert first.startswith(
        "| [A tiny chapter](notebooks/02_tiny.ipynb) | a tiny \\| table | 83 "
        "| F1 \\| macro | 0.912 | 0.925 | [![Open in Colab]"
    )
    assert second.startswith(
        "| [A tiny chapter](notebooks/articles/new.ipynb) | a tiny \\| table |  |  |  |  | [![Open"
    )

    CliRunner().invoke(app, ["table"])
    assert readme.read_text() == once, "the table again changes nothing"


def test_readme_without_markers_is_left_alone(chapters: Path) -> None:
    readme = chapters / "README.md"
    readme.write_text("# Project\n")
    result = CliRunner().invoke(app, ["table"])
    assert result.exit_code == 1
    assert "add <!-- chapters --> and <!-- /chapters -->" in result.output
    assert readme.read_text() == "# Project\n"


def test_days_of_runs_come_from_the_history_and_from_the_table_before(chapters: Path) -> None:
    readme = chapters / "README.md"
    old = "| 02_tiny | never | 2026-11-01 | 2026-12-24 | never |"
    readme.write_text(README.replace("<!-- runs -->\n", f"<!-- runs -->\n{old}\n"))
    (chapters / "build").mkdir()
    for day, scale, failure in (("02", "full", ""), ("03", "full", "stopped"), ("04", "small", "")):
        provenance = Provenance("c0ffee", False, "5eed", Dials(scale=scale), {})
        stamp = Stamp("02_tiny", f"2026-12-{day}T03:00:00.000+00:00", 9.0, failure, provenance)
        history.add(Execution(stamp, "CPU", []), chapters)

    assert CliRunner().invoke(app, ["table"]).exit_code == 0
    _, _, first, second, _ = readme.read_text().partition("<!-- runs -->\n")[2].splitlines()
    assert first == "| 02_tiny | 2026-12-04 | 2026-12-02 | 2026-12-24 | never |"
    assert second == "| articles/new | never | never | never | never |"
