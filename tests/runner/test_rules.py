"""Each rule goes red when a valid notebook is broken in its one way, and no other rule does."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from tiny_notebooks import tiny

from utils.chapter import SUMMARY_MIME
from utils.notebooks.rules import findings
from utils.runner.outcomes import prepared

TEXT = "The figure below shows one word after the other in the order in which we wrote them down. "
RESULT = {"name": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6, "headline": True}
START = "chapter = start('01_tiny', assets=assets, scale=scale)"
FIGURE = 4
SUMMARY = 6

Damage = Callable[[NotebookNode], None]


@pytest.fixture
def path(project: Path) -> Path:
    return project / "notebooks" / "01_tiny.ipynb"


@pytest.fixture
def valid(project: Path, path: Path) -> NotebookNode:
    """Cells: title, setup, parameters, start, figure, words, summary."""
    notebook = prepared(tiny(START, "figure"), path, project)
    notebook.cells.insert(FIGURE + 1, new_markdown_cell(TEXT * 3))
    notebook.cells[SUMMARY].source = "chapter.summary()"
    for count, cell in enumerate(code(notebook), start=1):
        cell.execution_count = count
    notebook.cells[FIGURE].metadata.tags = ["nbval-check-output"]
    show(notebook.cells[FIGURE], {"image/png": "AAAA", "text/plain": "<Figure>"})
    show(notebook.cells[SUMMARY], {SUMMARY_MIME: summary(), "text/plain": "table"})
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def summary(**changes: object) -> dict[str, object]:
    usual = {"seconds": 12.0, "assets": "packaged", "scale": "small", "results": [RESULT]}
    return usual | changes


def show(cell: NotebookNode, data: dict[str, object]) -> None:
    cell.outputs = [new_output("display_data", from_dict(data))]


def stream(name: str, text: str) -> NotebookNode:
    return new_output("stream", name=name, text=text)


def source(cell: int, text: str) -> Damage:
    return lambda notebook: notebook.cells[cell].update(source=text)


def output(cell: int, shown: NotebookNode) -> Damage:
    return lambda notebook: notebook.cells[cell].update(outputs=[shown])


def data(cell: int, bundle: dict[str, object]) -> Damage:
    return lambda notebook: show(notebook.cells[cell], bundle)


def metadata(key: str, value: object) -> Damage:
    return lambda notebook: notebook.metadata.update({key: value})


def tag_parameters_twice(notebook: NotebookNode) -> None:
    notebook.cells[3].metadata.tags = ["parameters"]


def skip_a_cell(notebook: NotebookNode) -> None:
    notebook.cells[3].execution_count = None


def execute_out_of_order(notebook: NotebookNode) -> None:
    notebook.cells[SUMMARY].execution_count = 9


def name_the_project(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [stream("stdout", f"saved in {Path.cwd()}")]


def name_a_home_in_output_metadata(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].outputs[0].metadata["file"] = "/Users/me/figure.png"


def keep_timestamps(notebook: NotebookNode) -> None:
    notebook.cells[3].metadata.execution = {"iopub.status.busy": "2026-01-01"}


def compare_nothing(notebook: NotebookNode) -> None:
    del notebook.cells[FIGURE].metadata["tags"]


def leave_figure_alone(notebook: NotebookNode) -> None:
    notebook.cells.append(notebook.cells.pop(FIGURE + 1))


def talk_after_summary(notebook: NotebookNode) -> None:
    last = new_code_cell("print()", execution_count=6, outputs=[stream("stdout", "bye")])
    notebook.cells.append(last)


def write_long_cells(notebook: NotebookNode) -> None:
    for cell in (notebook.cells[3], notebook.cells[FIGURE]):
        cell.source += "\n" * 16
    notebook.cells[5].source *= 5


def type_badges(notebook: NotebookNode) -> None:
    first = notebook.cells[0]
    first.source = first.source.replace("someone/somewhere", "someone/else")


def type_setup(notebook: NotebookNode) -> None:
    notebook.cells[1].source = notebook.cells[1].source.replace("--quiet ", "")


def drop_title(notebook: NotebookNode) -> None:
    notebook.cells[0].source = notebook.cells[0].source.removeprefix("# ")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (metadata("description", ""), "description is missing"),
        (tag_parameters_twice, "2 cells are tagged parameters"),
        (source(2, 'assets = "packaged"\nscale = "full"'), "must assign exactly"),
        (source(2, 'assets = "packaged"\nscale = "small"\nprint(scale)'), "must assign exactly"),
        (source(FIGURE, "figure if scale == 'small' else None"), r"In \[4\] uses a dial"),
        (source(FIGURE, "figure if chapter.assets == 'hub' else None"), r"In \[4\] uses a dial"),
        (source(FIGURE, "scale = 0.5"), r"In \[4\] uses a dial"),
        *(
            (
                source(FIGURE, f"{name}chapter.pick(small=1e-3, full=1e-4)"),
                "In .4. picks .* by scale",
            )
            for name in ("learning_rate = ", "f(lr=", "settings = {'learning_rate': ")
        ),
        (skip_a_cell, r"\[1, 2, None, 4, 5\], not 1 to 5"),
        (execute_out_of_order, r"\[1, 2, 3, 4, 9\], not 1 to 5"),
        (
            output(3, new_output("error", ename="ValueError", evalue="", traceback=[])),
            r"In \[3\] ends in ValueError",
        ),
        (output(3, stream("stderr", "oops")), r"In \[3\] shows stderr or a warning: 'oops'"),
        (
            output(3, stream("stdout", "UserWarning: look out")),
            r"In \[3\] shows stderr or a warning",
        ),
        (output(3, stream("stdout", "word " * 5_000)), r"In \[3\] shows 25,000 characters"),
        (source(FIGURE, "load('/home/me/model')"), "source of cell 4 names .*: /home/me"),
        (source(5, TEXT * 3 + "C:\\Users\\me"), "source of cell 5 names .*Users"),
        (data(3, {"text/html": "<b>/tmp/xyz</b>"}), r"output of In \[3\] names .*: /tmp/xyz"),
        (name_the_project, r"output of In \[3\] names a path of one machine"),
        (name_a_home_in_output_metadata, r"output of In \[4\] names .*: /Users/me"),
        (metadata("papermill", {"duration": 2}), "metadata of widgets, papermill"),
        (
            metadata("widgets", {"application/vnd.jupyter.widget-state+json": {}}),
            "metadata of widgets, papermill",
        ),
        (
            data(3, {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}),
            "metadata of widgets, papermill",
        ),
        (keep_timestamps, "metadata of widgets, papermill"),
        (compare_nothing, "nbval-check-output"),
        (leave_figure_alone, r"In \[4\] shows a figure with no words"),
        (data(SUMMARY, {"text/plain": "no table"}), "no closing table"),
        (data(SUMMARY, {SUMMARY_MIME: summary(seconds=0.3)}), "about 0 s"),
        (data(SUMMARY, {SUMMARY_MIME: summary(results=[])}), "closing table is empty"),
        (
            data(SUMMARY, {SUMMARY_MIME: summary(results=[RESULT | {"value": 0.7}])}),
            r"accuracy: 0\.700 is outside 0\.4 to 0\.6",
        ),
        (data(SUMMARY, {SUMMARY_MIME: summary(scale="full")}), "executed at packaged/full"),
        (talk_after_summary, "not in the last cell with output"),
        (write_long_cells, "p90 .* is 16, the limit is 15"),
        (source(5, " ".join(TEXT.split()[:10])), "words of prose for 15 lines"),
        (source(5, TEXT * 7), "words of prose for 15 lines"),
        (type_badges, "badges or setup cell are out of date"),
        (type_setup, "badges or setup cell are out of date"),
        (drop_title, "must be markdown that begins with the title"),
    ],
)
def test_each_guard_goes_red(
    valid: NotebookNode,
    path: Path,
    project: Path,
    damage: Damage,
    sentence: str,
) -> None:
    assert list(findings(valid, path, project)) == []
    damage(valid)
    (finding,) = findings(valid, path, project)
    assert re.search(sentence, finding), finding


def test_an_interactive_view_counts_as_a_picture(valid: NotebookNode, path: Path, project: Path):
    view = f'<iframe srcdoc="<p>UserWarning /tmp/a{"A" * 30_000}</p>"></iframe>'
    picture = f'<img src="data:image/webp;base64,{"A" * 30_000}">'
    show(valid.cells[FIGURE], {"text/html": picture + view, "image/png": "AAAA"})
    assert list(findings(valid, path, project)) == []
