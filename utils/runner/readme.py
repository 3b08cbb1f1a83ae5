"""The table of chapters in README.md, made from what the committed notebooks say."""

from pathlib import Path

from nbformat import NotebookNode

from utils.chapter import read_summary
from utils.notebooks.files import NotebookError, find, read, title
from utils.notebooks.generated import badges
from utils.runner.executions import headline, results_of
from utils.runner.outcomes import headline_cells

BEGIN, END = "<!-- chapters -->", "<!-- /chapters -->"
COLUMNS = ("Notebook", "What you build", "Seconds", "Headline result", "Here", "Book", "Open")
ALIGNMENT = ("---", "---", "--:", "---", "--:", "--:", "---")


def updated(readme: str, root: Path) -> str:
    """`readme` with the table between its markers up to date; NotebookError without them."""
    before, opened, rest = readme.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not opened or not closed:
        raise NotebookError(f"README.md has no place for the table: add {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{chapters(root)}\n{END}{after}"


def chapters(root: Path) -> str:
    """The table in Markdown, one row for each notebook of the project in `root`."""
    rows = (_row(read(path), path, root) for path in find(root))
    return "\n".join(_line(cells) for cells in (COLUMNS, ALIGNMENT, *rows))


def _row(notebook: NotebookNode, path: Path, root: Path) -> tuple[str, ...]:
    summary = read_summary(notebook)
    return (
        f"[{title(notebook, path)}]({path.relative_to(root).as_posix()})",
        notebook.metadata.get("description", ""),
        f"{summary['seconds']:.0f}" if summary else "",
        *headline_cells(headline(results_of(notebook))),
        badges(path, root),
    )


def _line(cells: tuple[str, ...]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
