import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from tiny_notebooks import TITLE, add, tiny

from utils.notebooks.files import NotebookError, find, needed_assets, read, select, title, write

ROOT = Path(__file__).parents[2]
NAMES = ["01_hello", "02_classification", "10_scratch", "articles/accelerate", "articles/02_faster"]


@pytest.fixture
def notebooks(project: Path) -> list[Path]:
    for name in NAMES:
        add(project, name, tiny())
    add(project, ".ipynb_checkpoints/01_hello-checkpoint", tiny())
    return find(project)


def test_chapters_come_before_articles_and_checkpoints_never(notebooks: list[Path]) -> None:
    assert [path.stem for path in notebooks] == [
        "01_hello",
        "02_classification",
        "10_scratch",
        "02_faster",
        "accelerate",
    ]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("2", "02_classification"),
        ("02", "02_classification"),
        ("10", "10_scratch"),
        ("Classification", "02_classification"),
        ("notebooks/02_classification.ipynb", "02_classification"),
        ("faster", "02_faster"),
        ("accelerate", "accelerate"),
    ],
)
def test_a_notebook_has_several_names(notebooks: list[Path], name: str, stem: str) -> None:
    assert [path.stem for path in select([name], notebooks)] == [stem]


def test_a_duplicate_goes_by_its_own_name_only(project: Path) -> None:
    for name in ("02_multi-lingual", "02_multi-lingual-Copy1"):
        add(project, name, tiny())
    copy, original = sorted(find(project), key=lambda path: "Copy" not in path.stem)
    for name in ("2", "multi-lingual", "02_multi-lingual", "02_multi_lingual"):
        assert select([name], find(project)) == [original]
    assert select(["02_multi-lingual-Copy1"], find(project)) == [copy]


def test_selection_keeps_the_collections_order_and_no_name_means_all(notebooks: list[Path]) -> None:
    assert [path.stem for path in select(["accelerate", "1", "01"], notebooks)] == [
        "01_hello",
        "accelerate",
    ]
    assert select([], notebooks) == notebooks


def test_unknown_name_lists_near_ones_or_all(notebooks: list[Path]) -> None:
    with pytest.raises(NotebookError, match=r'"clasification"; choose one of: 02_classification\.'):
        select(["clasification"], notebooks)
    with pytest.raises(NotebookError, match=r"01_hello, 02_classification, .*accelerate\."):
        select(["99"], notebooks)


def test_no_notebook_at_all_is_an_error() -> None:
    with pytest.raises(NotebookError, match="no notebook in notebooks/"):
        select([], [])


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\n{}", "[]", "{}", ""])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "01_broken.ipynb"
    path.write_text(content)
    with pytest.raises(NotebookError, match=r"01_broken\.ipynb is not a notebook"):
        read(path)


def test_written_format_is_the_committed_one(tmp_path: Path) -> None:
    path = tmp_path / "01.ipynb"
    write(tiny('print("naïve")'), path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n "cells": [\n')
    assert text.endswith("}\n")
    assert "naïve" in text
    assert [file.name for file in tmp_path.iterdir()] == ["01.ipynb"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """With one name for what is half written, one of them found it gone now and then."""
    code = "import sys, pathlib; from utils.files import write_text\n"
    code += "for _ in range(300): write_text(sys.argv[1] * 100_000, pathlib.Path('file'))"
    command = [sys.executable, "-c", code]
    with ThreadPoolExecutor() as pool:
        run = partial(subprocess.run, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
        done = list(pool.map(lambda letter: run([*command, letter]), "ab"))
    assert [process.returncode for process in done] == [0, 0]
    assert set((tmp_path / "file").read_text()) in ({"a"}, {"b"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_title_is_the_first_line_or_the_name_of_the_file() -> None:
    path = Path("Untitled.ipynb")
    assert title(tiny(), path) == TITLE.splitlines()[0].removeprefix("# ")
    assert title(new_notebook(cells=[new_code_cell("")]), path) == "Untitled"


def test_assets_are_found_in_code_not_in_text() -> None:
    notebook = new_notebook(
        cells=[
            new_code_cell('%time data = chapter.dataset("tweets")'),
            new_code_cell(
                'model = load(chapter.checkpoint("encoder"), n=2)\nchapter.files("tweets")'
            ),
            new_code_cell('chapter.checkpoint(role)\nother.dataset("no")\n# chapter.dataset("no")'),
            new_code_cell('text = "chapter.dataset(\'no\')"\nchapter.report("no", 1)'),
            new_code_cell("this does not parse"),
        ]
    )
    assert needed_assets(notebook) == ["tweets", "encoder"]
