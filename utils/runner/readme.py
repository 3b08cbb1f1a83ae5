"""The tables in README.md: chapters, from the committed notebooks, and runs, from the history."""

from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode

from utils.chapter import read_summary
from utils.notebooks.files import NotebookError, find, read, title
from utils.notebooks.generated import badges
from utils.runner import history
from utils.runner.executions import EVERY_DIALS, headline, name_of, results_of
from utils.runner.outcomes import headline_cells

COLUMNS = ("Notebook", "What you build", "Seconds", "Headline result", "Here", "Book", "Open")
ALIGNMENT = ("---", "---", "--:", "---", "--:", "--:", "---")
NEVER = "never"


def updated(readme: str, root: Path) -> str:
    """`readme` with both tables up to date; NotebookError where it has no place for one."""
    for name, table in (("chapters", chapters), ("runs", runs)):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, opened, rest = readme.partition(begin)
        old, closed, after = rest.partition(end)
        if not opened or not closed:
            raise NotebookError(f"README.md has no place for the {name}: add {begin} and {end}.")
        readme = f"{before}{begin}\n{table(root, old)}\n{end}{after}"
    return readme


def chapters(root: Path, _: str = "") -> str:
    """A table in Markdown, one row for each notebook of the project in `root`."""
    rows = (_row(read(path), path, root) for path in find(root))
    return "\n".join(_line(cells) for cells in (COLUMNS, ALIGNMENT, *rows))


def runs(root: Path, old: str) -> str:
    """The day on which each notebook last ran to its end at each pair of dials.

    The history knows this machine only, so the days in the `old` table stay until a newer one.
    """
    columns = [str(dials) for dials in EVERY_DIALS]
    last = dict[tuple[str, str], str]()
    for line in old.splitlines():
        name, *days = (cell.strip() for cell in line.strip("|").split("|"))
        known = zip(columns, days, strict=False)
        last |= {(name, dials): day for dials, day in known if day != NEVER}
    for line in history.read(root)[0]:
        if not line.failure:
            key = line.notebook, line.dials
            last[key] = max(line.time[:10], last.get(key, ""))
    names = [name_of(path, root) for path in find(root)]
    rows = ([name, *(last.get((name, dials), NEVER) for dials in columns)] for name in names)
    return "\n".join(_line(cells) for cells in (["Notebook", *columns], ["---"] * 5, *rows))


def _row(notebook: NotebookNode, path: Path, root: Path) -> tuple[str, ...]:
    summary = read_summary(notebook)
    return (
        f"[{title(notebook, path)}]({path.relative_to(root).as_posix()})",
        notebook.metadata.get("description", ""),
        f"{summary['seconds']:.0f}" if summary else "",
        *headline_cells(headline(results_of(notebook))),
        badges(path, root),
    )


def _line(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
