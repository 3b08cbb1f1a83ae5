"""Reduce an executed notebook to what is worth committing."""

import nbformat
from nbformat import NotebookNode

from utils.notebooks.files import has_tag

STANDARD_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
AUTHORS_METADATA = ("description",)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
ERROR_TAG = "papermill-error-cell-tag"
INJECTED_TAG = "injected-parameters"
PAPERMILL_TAGS = (INJECTED_TAG, ERROR_TAG)


def clean(notebook: NotebookNode) -> None:
    """Keep sources, outputs, tags and the description, in place, and nothing of papermill."""
    notebook.cells = [cell for cell in notebook.cells if not _is_papermills(cell)]
    kept = {key: notebook.metadata[key] for key in AUTHORS_METADATA if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(kept | STANDARD_METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)


def _is_papermills(cell: NotebookNode) -> bool:
    return any(has_tag(cell, tag) for tag in PAPERMILL_TAGS)
