"""What a committed notebook promises its reader: each rule yields one sentence per breach."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from nbformat import NotebookNode

from utils.chapter import Result, read_summary
from utils.notebooks.clean import clean
from utils.notebooks.files import NotebookError, has_tag, syntax_trees
from utils.notebooks.generated import regenerate

Findings = Iterator[str]

DIALS = {"assets": "packaged", "scale": "small"}
PARAMETERS = ast.dump(ast.parse("\n".join(f"{name} = {value!r}" for name, value in DIALS.items())))
MAX_P90_LINES = 15
WORDS_PER_CODE_LINE = (4, 9)
MIN_WORDS_BESIDE_FIGURE = 10
MAX_OUTPUT_CHARACTERS = 20_000
MIN_SECONDS = 1
HOME_FOLDERS = "tmp|root|home|Users|var|private|mnt|workspace|content|kaggle"
MACHINE_PATH = rf"(?<![\w.:/~-])/(?:{HOME_FOLDERS})/[\w.-]+|\b[A-Z]:\\\\?Users\b"
EMBEDDED = re.compile(r'\b(?:src|srcdoc)="[^"]*"')  # a picture or a whole document in an attribute
RATE_BY_SCALE = re.compile(
    r"(\w*learning_rate|\b\w*lr)\b['\"]?\s*[=:]\s*\S*pick\(\s*(?:small|full)="
)
WARNING = re.compile(r"\b(?:Deprecation|Future|User|Runtime|Tqdm)Warning\b|LOAD REPORT")


def findings(notebook: NotebookNode, path: Path, root: Path) -> Findings:
    """Everything in the notebook in `path` of the project in `root` that breaks a rule."""
    for rule in RULES:
        yield from rule(notebook)
    yield from names_a_machine(notebook, root)
    yield from has_stale_generated_cells(notebook, path, root)


def lacks_description(notebook: NotebookNode) -> Findings:
    """The table of chapters needs to know what the reader builds."""
    if not notebook.metadata.get("description"):
        yield "metadata.description is missing: say in one phrase what the reader builds"


def lacks_parameters(notebook: NotebookNode) -> Findings:
    """Papermill turns the two dials in one tagged cell."""
    tagged = [tree for cell, tree in syntax_trees(notebook) if has_tag(cell, "parameters")]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged parameters, there must be one"
    elif ast.dump(tagged[0]) != PARAMETERS:
        yield f"the parameters cell must assign exactly {DIALS}"


def turns_dials_itself(notebook: NotebookNode) -> Findings:
    """Code depends on the dials only through `start(...)` and `chapter.pick(...)`."""
    for cell, tree in syntax_trees(notebook):
        used = set(ast.walk(tree)) - _passed_to_start(tree)
        if not has_tag(cell, "parameters") and any(map(_is_dial, used)):
            yield f"{_place(cell)} uses a dial: use chapter.pick(...)"


def picks_learning_rate_by_scale(notebook: NotebookNode) -> Findings:
    """A learning rate belongs to a checkpoint, whatever the sizes."""
    for cell in _code(notebook):
        if hit := RATE_BY_SCALE.search(cell.source):
            yield f"{_place(cell)} picks {hit[1]} by scale: use chapter.pick(packaged=..., hub=...)"


def is_not_fully_executed(notebook: NotebookNode) -> Findings:
    """All code ran once, top to bottom, in a fresh kernel."""
    counts = [cell.execution_count for cell in _code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: run make notebooks"


def ends_in_error(notebook: NotebookNode) -> Findings:
    """No cell shows a traceback."""
    for cell, output in _outputs(notebook):
        if output.output_type == "error":
            yield f"{_place(cell)} ends in {output.ename}"


def shows_noise(notebook: NotebookNode) -> Findings:
    """Neither stderr nor warnings are shown."""
    for cell, output in _outputs(notebook):
        if output.get("name") == "stderr" or WARNING.search(_text(output)):
            yield f"{_place(cell)} shows stderr or a warning: {_text(output)[:80]!r}"


def shows_too_much(notebook: NotebookNode) -> Findings:
    """The text that one cell shows stays readable."""
    for cell in _code(notebook):
        length = sum(len(_text(output)) for output in cell.outputs)
        if length > MAX_OUTPUT_CHARACTERS:
            yield f"{_place(cell)} shows {length:,} characters of text"


def stores_foreign_metadata(notebook: NotebookNode) -> Findings:
    """No traces of widgets, papermill or an editor."""
    cleaned = copy.deepcopy(notebook)
    clean(cleaned)
    if cleaned != notebook:
        yield "stores metadata of widgets, papermill or an editor: run make notebooks"


def compares_nothing(notebook: NotebookNode) -> Findings:
    """Some output is compared by nbval."""
    if not any(has_tag(cell, "nbval-check-output") for cell in _code(notebook)):
        yield "no cell is tagged nbval-check-output"


def leaves_figures_unexplained(notebook: NotebookNode) -> Findings:
    """Words stand before or after each figure."""
    explained = set[int]()
    for before, after in pairwise(notebook.cells):
        explained |= {id(after)} if _explains(before) else set()
        explained |= {id(before)} if _explains(after) else set()
    for cell, output in _outputs(notebook):
        if "image/png" in output.get("data", {}) and id(cell) not in explained:
            yield f"{_place(cell)} shows a figure with no words beside it"


def lacks_summary(notebook: NotebookNode) -> Findings:
    """The notebook closes with a table of results that took time to measure."""
    summary = read_summary(notebook)
    if summary is None:
        yield "it has no closing table: end it with chapter.summary()"
    elif summary["seconds"] < MIN_SECONDS:
        yield "it ran in about 0 s, so it measured nothing: execute it again from the top"
    elif not summary["results"]:
        yield "its closing table is empty: measure with chapter.report(...)"


def ends_after_summary(notebook: NotebookNode) -> Findings:
    """The closing table is the last output, and it was made at the default dials."""
    summary = read_summary(notebook)
    last = [cell for cell in _code(notebook) if cell.outputs][-1:]
    if summary and read_summary({"cells": last}) is None:
        yield "chapter.summary() is not in the last cell with output"
    if summary and {dial: summary[dial] for dial in DIALS} != DIALS:
        yield f"was executed at {summary['assets']}/{summary['scale']}: run make notebooks"


def reports_out_of_range(notebook: NotebookNode) -> Findings:
    """Every result lies in the range that the chapter promises."""
    for data in (read_summary(notebook) or {}).get("results", []):
        result = Result(**data)
        if not result.in_range:
            yield f"{result} is outside {result.low} to {result.high}"


def has_long_cells(notebook: NotebookNode) -> Findings:
    """Code cells are short: the 90th percentile of their lines is bounded."""
    lines = sorted(len(cell.source.splitlines()) for cell in _code(notebook))
    p90 = lines[int(0.9 * (len(lines) - 1))] if lines else 0
    if p90 > MAX_P90_LINES:
        yield f"the p90 of code lines per cell is {p90}, the limit is {MAX_P90_LINES}"


def has_unbalanced_prose(notebook: NotebookNode) -> Findings:
    """Words of prose per line of code."""
    low, high = WORDS_PER_CODE_LINE
    lines = sum(len(cell.source.splitlines()) for cell in _code(notebook))
    words = sum(_words(cell) for cell in notebook.cells)
    if not low * lines <= words <= high * lines:
        yield f"{words} words of prose for {lines} lines of code, not {low} to {high} per line"


def names_a_machine(notebook: NotebookNode, root: Path) -> Findings:
    """No path of one machine, and not the project's folder: in sources, outputs or metadata."""
    here = re.compile(rf"{MACHINE_PATH}|{re.escape(str(root))}")
    for place, text in _texts(notebook):
        if hit := here.search(text):
            yield f"{place} names a path of one machine: {hit.group()}"


def has_stale_generated_cells(notebook: NotebookNode, path: Path, root: Path) -> Findings:
    """Badges and setup cell are what the project generates today."""
    fresh = copy.deepcopy(notebook)
    try:
        regenerate(fresh, path, root)
    except NotebookError as error:
        yield str(error)
    else:
        if fresh != notebook:
            yield "badges or setup cell are out of date: run make notebooks"


RULES: tuple[Callable[[NotebookNode], Findings], ...] = (
    lacks_description,
    lacks_parameters,
    turns_dials_itself,
    picks_learning_rate_by_scale,
    is_not_fully_executed,
    ends_in_error,
    shows_noise,
    shows_too_much,
    stores_foreign_metadata,
    compares_nothing,
    leaves_figures_unexplained,
    lacks_summary,
    ends_after_summary,
    reports_out_of_range,
    has_long_cells,
    has_unbalanced_prose,
)


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _outputs(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    return ((cell, output) for cell in _code(notebook) for output in cell.outputs)


def _place(cell: NotebookNode) -> str:
    return f"In [{cell.execution_count}]"


def _text(output: NotebookNode) -> str:
    """All text of an output, with its pictures and interactive views left out."""
    data = output.get("data", {}).items()
    shown = [EMBEDDED.sub("", str(value)) for mime, value in data if mime.startswith("text/")]
    return "".join([output.get("text", ""), *shown, *output.get("traceback", [])])


def _texts(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Each place in the notebook where text stands, with the text."""
    yield "metadata", json.dumps(notebook.metadata)
    for index, cell in enumerate(notebook.cells):
        yield f"source of cell {index}", cell.source
        yield f"metadata of cell {index}", json.dumps(cell.metadata)
    for cell, output in _outputs(notebook):
        yield f"output of {_place(cell)}", _text(output) + json.dumps(output.get("metadata"))


def _words(cell: NotebookNode) -> int:
    return len(cell.source.split()) if cell.cell_type == "markdown" else 0


def _explains(cell: NotebookNode) -> bool:
    return _words(cell) >= MIN_WORDS_BESIDE_FIGURE


def _passed_to_start(tree: ast.Module) -> set[ast.AST]:
    """All nodes in the arguments of `start(...)`."""
    return {
        node
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "start"
        for node in ast.walk(call)
    }


def _is_dial(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in DIALS
        case ast.Attribute(value=ast.Name(id="chapter"), attr=name):
            return name in DIALS
    return False
