"""Find, choose, read and write the project's notebooks, and parse the code in them."""

from __future__ import annotations

import ast
import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError

from utils.files import write_text

FOLDER = "notebooks"
ASSET_CALLS = {"checkpoint", "dataset", "files"}
COPY = re.compile(r"[-_ ]copy\d*$")  # JupyterLab's "Duplicate", among others


class NotebookError(ValueError):
    """A notebook cannot be found, read or completed; the message says what to do."""


def find(root: Path) -> list[Path]:
    """All notebooks of the project in `root`: the chapters in order, then those in subfolders."""
    folder = root / FOLDER
    paths = [path.relative_to(folder) for path in folder.rglob("*.ipynb")]
    visible = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    return [folder / path for path in sorted(visible, key=lambda path: (len(path.parts), path))]


def select(names: Sequence[str], notebooks: Sequence[Path]) -> list[Path]:
    """The notebooks called `names`, each once and in the order of `notebooks`; no name means all.

    A name is a chapter's number ("2", "02"), a file's stem ("02_classification"), the stem without
    its number ("classification") or a path.

    Raises:
        NotebookError: there is no notebook, or none is called so.
    """
    if not notebooks:
        raise NotebookError(f"There is no notebook in {FOLDER}/: run this in the project's folder.")
    chosen = {_select_one(name, notebooks) for name in names}
    return [path for path in notebooks if path in chosen or not names]


def read(path: Path) -> NotebookNode:
    """The notebook in `path`.

    Raises:
        NotebookError: the file holds something else.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (NotJSONError, ValidationError, AttributeError) as error:  # the last: no JSON object
        reason = str(error).splitlines()[0][:80]
        raise NotebookError(f"{path.name} is not a notebook, restore it: {reason}") from error


def write(notebook: NotebookNode, path: Path) -> None:
    """Write `notebook` in the format that is committed; the file changes at once or not at all."""
    write_text(nbformat.writes(notebook) + "\n", path)


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Whether `cell` carries `tag`."""
    return tag in cell.metadata.get("tags", [])


def title_cell(notebook: NotebookNode) -> NotebookNode:
    """The first cell: markdown that begins with `# Title`, else a NotebookError."""
    first = next(iter(notebook.cells), None)
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        raise NotebookError("The first cell must be markdown that begins with the title: # Title.")
    return first


def title(notebook: NotebookNode, path: Path) -> str:
    """The title; the file's name where the first cell has none."""
    try:
        return title_cell(notebook).source.splitlines()[0].removeprefix("# ").strip()
    except NotebookError:
        return path.stem


def syntax_trees(notebook: NotebookNode) -> Iterator[tuple[NotebookNode, ast.Module]]:
    """Every code cell that parses, with its syntax tree; magics count as calls."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            with contextlib.suppress(SyntaxError):
                yield cell, ast.parse(TransformerManager().transform_cell(cell.source))


def needed_assets(notebook: NotebookNode) -> list[str]:
    """Names in calls such as `chapter.dataset("tweets")`, each once, in order."""
    names: dict[str, None] = {}
    for node in (node for _, tree in syntax_trees(notebook) for node in ast.walk(tree)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="chapter"), attr=method),
                args=[ast.Constant(value=str(name)), *_],
            ) if method in ASSET_CALLS:
                names[name] = None
    return list(names)


def _select_one(name: str, notebooks: Sequence[Path]) -> Path:
    called = {alias: path for path in reversed(notebooks) for alias in _aliases(path)}
    wanted = _normal(name.removesuffix(".ipynb").rpartition("/")[2])
    wanted = wanted.lstrip("0") if wanted.isdigit() else wanted
    if wanted in called:
        return called[wanted]
    near = {called[alias].stem: None for alias in difflib.get_close_matches(wanted, called)}
    choice = near or [path.stem for path in notebooks]
    raise NotebookError(f'There is no notebook "{name}"; choose one of: {", ".join(choice)}.')


def _normal(name: str) -> str:
    return name.lower().replace("-", "_")


def _aliases(path: Path) -> Iterator[str]:
    stem = _normal(path.stem)
    yield stem
    number, _, name = stem.partition("_")
    if number.isdigit() and not COPY.search(stem):
        yield name
        if path.parent.name == FOLDER:
            yield number.lstrip("0")
