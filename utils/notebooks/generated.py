"""The parts of a notebook that nobody types: its badges and the cell that installs the package.

Both hold the address of the repository, which has one home: `[project.urls]` in pyproject.toml.
"""

import tomllib
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from utils.notebooks.files import has_tag, title_cell

SETUP_TAG = "setup"
BRANCH = "main"
BADGE_LINE = "[![Open in Colab]"

SETUP = """\
# On Colab and Kaggle this installs the collection; where it is installed, nothing happens.
from importlib import import_module

try:
    import_module("utils.chapter")
except ModuleNotFoundError as error:
    if error.name == "utils.chapter":
        other = import_module("utils").__file__
        raise ImportError(f"{{other}} hides the collection's utils: rename it.") from None
    %pip install --quiet git+{repository}"""


def regenerate(notebook: NotebookNode, path: Path, root: Path) -> None:
    """Bring the badge line below the title and the setup cell up to date, in place."""
    opening = title_cell(notebook)
    opening.source = _with_badges(opening.source, badges(path, root))
    _setup_cell(notebook).source = SETUP.format(repository=repository(root))


def badges(path: Path, root: Path) -> str:
    """Markdown that opens the notebook in Colab and in Kaggle."""
    url = f"{repository(root)}/blob/{BRANCH}/{path.relative_to(root).as_posix()}"
    colab = f"https://colab.research.google.com/github/{url.removeprefix('https://github.com/')}"
    kaggle = f"https://kaggle.com/kernels/welcome?src={url}"
    return (
        f"{BADGE_LINE}(https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})"
    )


def repository(root: Path) -> str:
    """The address of the repository, from `[project.urls]`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].rstrip("/")


def _with_badges(source: str, line: str) -> str:
    title, *rest = source.splitlines()
    text = "\n".join(row for row in rest if not row.startswith(BADGE_LINE)).strip()
    return f"{title}\n\n{line}\n\n{text}".rstrip()


def _setup_cell(notebook: NotebookNode) -> NotebookNode:
    """The setup cell; a new one before the first code cell where there is none."""
    cells = notebook.cells
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    if first == len(cells) or not has_tag(cells[first], SETUP_TAG):
        cells.insert(first, new_code_cell(id=SETUP_TAG, metadata={"tags": [SETUP_TAG]}))
    return cells[first]
