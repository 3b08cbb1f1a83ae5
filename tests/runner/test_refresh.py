"""The command `refresh`, with real kernels."""

import subprocess
import sys
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell
from tiny_notebooks import PARAMETERS, TITLE, add, tiny
from typer.testing import CliRunner, Result

from utils.notebooks.files import read
from utils.notebooks.rules import findings
from utils.runner import history
from utils.runner.cli import app
from utils.runner.outcomes import prepared

REPOSITORY = "https://github.com/someone/somewhere"
PROSE = "Words explain what each line of code in this chapter does, and what to look at. " * 5
CHAPTER = [
    'from utils.chapter import start\n\nchapter = start("01_real", assets=assets, scale=scale)',
    "from matplotlib.figure import Figure\n\nFigure(figsize=(1, 1))",
    'for _ in chapter.track(range(11), "waiting"):\n    time.sleep(0.1)',
    'chapter.report("accuracy", 0.5, book=0.9, expect=(0.4, 0.6), headline=True)',
    "chapter.summary()",
]


def refresh(*chapters: str) -> Result:
    return CliRunner().invoke(app, ["refresh", *chapters])


def dirty() -> NotebookNode:
    """A notebook as papermill, an editor and another machine leave it."""
    notebook = tiny("print(1 + 1)")
    injected = new_code_cell('assets = "hub"', metadata={"tags": ["injected-parameters"]})
    notebook.cells.insert(2, injected)
    notebook.cells[3].metadata = from_dict({"execution": {"iopub.status.busy": "2026"}})
    notebook.metadata.update(
        papermill={"input_path": "/home/me/01.ipynb"},
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {}}},
        kernelspec={"name": "my-env", "display_name": "My env", "language": "python"},
        colab={"provenance": []},
    )
    return notebook


def test_refresh_keeps_the_work_and_drops_the_traces(project: Path) -> None:
    refreshed = add(project, "articles/tiny", dirty())
    assert refresh("tiny").exit_code == 0
    notebook, before = read(refreshed), dirty()
    assert {line.notebook for line in history.read(project)[0]} == {"articles/tiny"}
    assert notebook.metadata == {
        "description": "a tiny | table",
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4]
    assert [cell.metadata for cell in code] == [
        {"tags": ["setup"]},
        {"tags": ["parameters"]},
        {},
        {},
    ]
    assert code[1].source == PARAMETERS
    assert code[2].source == before.cells[3].source
    assert code[0].outputs == []
    assert code[2].outputs[0].text == "2\n"

    first = refreshed.read_bytes()
    assert refresh().exit_code == 0
    assert refreshed.read_bytes() == first, "refreshing again changes nothing"


def test_generated_cells_know_the_repository(project: Path) -> None:
    path = project / "notebooks" / "articles" / "tiny.ipynb"
    title, setup, *_ = prepared(tiny(), path, project).cells
    first, badges, text = title.source.split("\n\n")
    assert f"{first}\n\n{text}" == TITLE
    page = "someone/somewhere/blob/main/notebooks/articles/tiny.ipynb"
    assert f"(https://colab.research.google.com/github/{page})" in badges
    assert f"(https://kaggle.com/kernels/welcome?src=https://github.com/{page})" in badges
    assert f"%pip install --quiet git+{REPOSITORY}" in setup.source


def test_another_utils_beside_the_notebook_is_named(project: Path) -> None:
    """The book's own helpers have that name; pip would install the collection in vain."""
    setup = prepared(tiny(), project / "notebooks" / "tiny.ipynb", project).cells[1].source
    (project / "utils.py").write_text("def plot(): ...")
    code = TransformerManager().transform_cell(setup)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {project / 'utils.py'} hides the collection's utils: rename it."
    )


def test_a_failing_notebook_and_one_without_title_stay_as_they_were(project: Path) -> None:
    untitled = tiny()
    del untitled.cells[0]
    paths = [add(project, "01_bad", tiny("1 / 0")), add(project, "02_untitled", untitled)]
    before = [path.read_bytes() for path in paths]
    result = refresh()
    assert result.exit_code == 1
    assert "[1/2] 01_bad: failed" in result.output
    assert "The first cell must be markdown that begins with the title" in result.output
    assert [path.read_bytes() for path in paths] == before
    assert sorted((project / "notebooks").iterdir()) == paths


def test_a_real_chapter_keeps_all_rules_once_refreshed(project: Path) -> None:
    notebook = tiny("import time", *CHAPTER)
    notebook.cells[-1:] = []
    notebook.cells[4:4] = [new_markdown_cell(PROSE)]
    notebook.cells[-2].metadata.tags = ["nbval-check-output"]
    path = add(project, "01_real", notebook)

    result = refresh()

    assert result.exit_code == 0, result.output
    assert list(findings(read(path), path, project)) == []
