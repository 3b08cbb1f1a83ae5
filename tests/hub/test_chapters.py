"""Whole chapters at hub/small, with the loopback hub as the only host: `make test-hub`."""

import os
import shutil
from pathlib import Path

import pytest
from nbformat import NotebookNode

from hub.conftest import ROOT, visitor
from hub.repositories import repository
from hub.server import Hub
from utils.assets.catalog import load_catalog
from utils.assets.fetch import fetch
from utils.chapter import read_summary
from utils.notebooks.files import find, needed_assets, read, select

ASSETS = {  # what each chapter asks the hub for
    "02_text_classification": ["encoder", "short_texts"],
    "03_transformer_anatomy": ["bert", "llama"],
    "04_multilingual_ner": ["bert", "multilingual", "slots"],
    "05_text_generation": ["causal_lm", "wiki"],
    "08_efficient_transformers": ["bert", "small_student", "intents_oos"],
    "how_to_generate": ["gpt2", "wiki"],
}
CHOSEN = select(os.environ.get("CHAPTERS", "").split(), find(ROOT))


@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.stem)
def test_a_chapter_reaches_its_closing_table(path: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"  # so that the executed notebook stays out of the repository
    copy = project / path.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    shutil.copy(ROOT / "pyproject.toml", project)
    for asset in needed_assets(read(path)):
        fetch(asset)  # what a chapter reads from a wheel at either position of the dial
    ids = {load_catalog().find(asset).hub.id for asset in ASSETS[path.stem]}
    hub = Hub({id: repository(id) for id in ids})

    with visitor(hub, tmp_path) as client:
        dials = ("--assets", "hub", "--scale", "small")
        run = client.start("-m", "utils.runner", "run", path.stem, *dials, cwd=project)

    assert run.returncode == 0, run.stdout
    executed = read(
        project / "build" / "notebooks" / "hub-small" / copy.relative_to(project / "notebooks")
    )
    summary = read_summary(executed)
    assert (summary["chapter"], summary["assets"], summary["scale"]) == (path.stem, "hub", "small")
    assert {id for id, _ in hub.asked} == ids
    assert client.hosts == {"127.0.0.1"}
    assert "LOAD REPORT" not in errors(executed), "a head that is left over is no news"


def errors(notebook: NotebookNode) -> str:
    """What its cells wrote to stderr."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.text for output in outputs if output.get("name") == "stderr")
