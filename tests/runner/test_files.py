from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from tiny_notebooks import TITLE, add, tiny

from utils.notebooks.files import NotebookError, find, needed_assets, read, select, title, write

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


def test_title_is_the_first_line() -> None:
    assert title(tiny()) == TITLE.splitlines()[0].removeprefix("# ")


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
