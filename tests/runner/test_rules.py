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


@pytest.fixture
def path(project: Path) -> Path:
    return project / "notebooks" / "01_tiny.ipynb"


@pytest.fixture
def valid(project: Path, path: Path) -> NotebookNode:
    """Cells: title, setup, parameters, start, figure, words, summary."""
    notebook = prepared(tiny(START, "figure"), path, project)
    notebook.cells.insert(FIGURE + 1, new_markdown_cell(TEXT * 2))
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


def drop_description(notebook: NotebookNode) -> None:
    del notebook.metadata["description"]


def tag_parameters_twice(notebook: NotebookNode) -> None:
    notebook.cells[3].metadata.tags = ["parameters"]


def change_default(notebook: NotebookNode) -> None:
    notebook.cells[2].source = 'assets = "packaged"\nscale = "full"'


def compute_in_parameters(notebook: NotebookNode) -> None:
    notebook.cells[2].source = 'assets = "packaged"\nscale = "small"\nprint(scale)'


def branch_on_dial(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].source = "figure if scale == 'small' else None"


def branch_on_chapters_dial(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].source = "figure if chapter.assets == 'hub' else None"


def overwrite_dial(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].source = "scale = 0.5"


def skip_a_cell(notebook: NotebookNode) -> None:
    notebook.cells[3].execution_count = None


def execute_out_of_order(notebook: NotebookNode) -> None:
    notebook.cells[SUMMARY].execution_count = 9


def end_in_error(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [new_output("error", ename="ValueError", evalue="", traceback=[])]


def write_stderr(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [stream("stderr", "oops")]


def warn(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [stream("stdout", "UserWarning: look out")]


def print_a_book(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [stream("stdout", "word " * 5_000)]


def name_a_home_in_source(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].source = "load('/home/me/model')"


def name_a_home_in_text(notebook: NotebookNode) -> None:
    notebook.cells[5].source += "C:\\Users\\me"


def name_a_home_in_output(notebook: NotebookNode) -> None:
    show(notebook.cells[3], {"text/html": "<b>/tmp/xyz</b>"})


def name_the_project(notebook: NotebookNode) -> None:
    notebook.cells[3].outputs = [stream("stdout", f"saved in {Path.cwd()}")]


def name_a_home_in_output_metadata(notebook: NotebookNode) -> None:
    notebook.cells[FIGURE].outputs[0].metadata["file"] = "/Users/me/figure.png"


def keep_papermill(notebook: NotebookNode) -> None:
    notebook.metadata.papermill = {"duration": 2}


def keep_widgets(notebook: NotebookNode) -> None:
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {}}


def keep_widget_view(notebook: NotebookNode) -> None:
    show(notebook.cells[3], {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"})


def keep_timestamps(notebook: NotebookNode) -> None:
    notebook.cells[3].metadata.execution = {"iopub.status.busy": "2026-01-01"}


def compare_nothing(notebook: NotebookNode) -> None:
    del notebook.cells[FIGURE].metadata["tags"]


def leave_figure_alone(notebook: NotebookNode) -> None:
    notebook.cells.append(notebook.cells.pop(FIGURE + 1))


def drop_summary(notebook: NotebookNode) -> None:
    show(notebook.cells[SUMMARY], {"text/plain": "no table"})


def measure_nothing(notebook: NotebookNode) -> None:
    show(notebook.cells[SUMMARY], {SUMMARY_MIME: summary(seconds=0.3)})


def report_nothing(notebook: NotebookNode) -> None:
    show(notebook.cells[SUMMARY], {SUMMARY_MIME: summary(results=[])})


def leave_range(notebook: NotebookNode) -> None:
    show(notebook.cells[SUMMARY], {SUMMARY_MIME: summary(results=[RESULT | {"value": 0.7}])})


def run_at_full(notebook: NotebookNode) -> None:
    show(notebook.cells[SUMMARY], {SUMMARY_MIME: summary(scale="full")})


def talk_after_summary(notebook: NotebookNode) -> None:
    last = new_code_cell("print()", execution_count=6, outputs=[stream("stdout", "bye")])
    notebook.cells.append(last)


def write_long_cells(notebook: NotebookNode) -> None:
    for cell in (notebook.cells[3], notebook.cells[FIGURE]):
        cell.source += "\n" * 16
    notebook.cells[5].source *= 5


def write_no_prose(notebook: NotebookNode) -> None:
    notebook.cells[5].source = " ".join(TEXT.split()[:10])


def write_too_much_prose(notebook: NotebookNode) -> None:
    notebook.cells[5].source *= 3


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
        (drop_description, "description is missing"),
        (tag_parameters_twice, "2 cells are tagged parameters"),
        (change_default, "must assign exactly"),
        (compute_in_parameters, "must assign exactly"),
        (branch_on_dial, r"In \[4\] uses a dial"),
        (branch_on_chapters_dial, r"In \[4\] uses a dial"),
        (overwrite_dial, r"In \[4\] uses a dial"),
        (skip_a_cell, r"\[1, 2, None, 4, 5\], not 1 to 5"),
        (execute_out_of_order, r"\[1, 2, 3, 4, 9\], not 1 to 5"),
        (end_in_error, r"In \[3\] ends in ValueError"),
        (write_stderr, r"In \[3\] shows stderr or a warning: 'oops'"),
        (warn, r"In \[3\] shows stderr or a warning"),
        (print_a_book, r"In \[3\] shows 25,000 characters"),
        (name_a_home_in_source, "source of cell 4 names .*: /home/me"),
        (name_a_home_in_text, "source of cell 5 names .*Users"),
        (name_a_home_in_output, r"output of In \[3\] names .*: /tmp/xyz"),
        (name_the_project, r"output of In \[3\] names a path of one machine"),
        (name_a_home_in_output_metadata, r"output of In \[4\] names .*: /Users/me"),
        (keep_papermill, "metadata of widgets, papermill"),
        (keep_widgets, "metadata of widgets, papermill"),
        (keep_widget_view, "metadata of widgets, papermill"),
        (keep_timestamps, "metadata of widgets, papermill"),
        (compare_nothing, "nbval-check-output"),
        (leave_figure_alone, r"In \[4\] shows a figure with no words"),
        (drop_summary, "no closing table"),
        (measure_nothing, "about 0 s"),
        (report_nothing, "closing table is empty"),
        (leave_range, r"accuracy: 0\.700 is outside 0\.4 to 0\.6"),
        (run_at_full, "executed at packaged/full"),
        (talk_after_summary, "not in the last cell with output"),
        (write_long_cells, "p90 .* is 16, the limit is 15"),
        (write_no_prose, "words of prose for 12 lines"),
        (write_too_much_prose, "words of prose for 12 lines"),
        (type_badges, "badges or setup cell are out of date"),
        (type_setup, "badges or setup cell are out of date"),
        (drop_title, "must be markdown that begins with the title"),
    ],
)
def test_each_guard_goes_red(
    valid: NotebookNode,
    path: Path,
    project: Path,
    damage: Callable[[NotebookNode], None],
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
