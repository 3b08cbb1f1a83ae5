"""Small notebooks for tests: they execute in a second, without torch."""

from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils.notebooks.files import write

TITLE = "# A tiny chapter\n\nIt shows how a notebook that keeps all the rules looks like."
PARAMETERS = 'assets = "packaged"\nscale = "small"'
SUMMARY = """\
from IPython.display import display

result = {"name": "accuracy", "value": 0.5, "book": 0.9, "low": 0.4, "high": 0.6, "headline": True}
summary = {"seconds": SECONDS, "assets": assets, "scale": scale, "results": [result]}
summary["device"] = "CPU with 2 threads"
bundle = {"text/plain": "a table", "application/vnd.nlp-transformers.summary+json": summary}
display(bundle, raw=True)"""


def tiny(*sources: str, seconds: float = 12.0) -> NotebookNode:
    """Title, parameters, one code cell for each of `sources`, closing table."""
    return new_notebook(
        cells=[
            new_markdown_cell(TITLE),
            new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            *map(new_code_cell, sources),
            new_code_cell(SUMMARY.replace("SECONDS", str(seconds))),
        ],
        metadata={"description": "a tiny | table"},
    )


def unfinished(*sources: str) -> NotebookNode:
    """The same without its closing table."""
    notebook = tiny(*sources)
    notebook.cells.pop()
    return notebook


def add(project: Path, name: str, notebook: NotebookNode) -> Path:
    """Save `notebook` as notebooks/`name`.ipynb of `project`."""
    path = project / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(notebook, path)
    return path
