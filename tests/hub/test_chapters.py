"""Whole chapters at hub/small, with the loopback hub as the only host."""

import shutil
from pathlib import Path

import pytest
from nbformat import NotebookNode

from hub.conftest import ROOT, Client
from hub.server import Hub
from utils.assets.catalog import load_catalog
from utils.assets.fetch import fetch
from utils.chapter import read_summary
from utils.notebooks.files import needed_assets, read

CHAPTERS = {
    "02_text_classification": ["encoder", "short_texts"],
    "03_transformer_anatomy": ["bert", "llama"],
    "04_multilingual_ner": ["bert", "multilingual", "slots"],
    "05_text_generation": ["causal_lm", "wiki"],
    "08_efficient_transformers": ["bert", "small_student", "intents_oos"],
    "articles/how_to_generate": ["gpt2", "wiki"],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project, so that the executed notebooks stay out of the repository's."""
    (tmp_path / "notebooks" / "articles").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "assets"), CHAPTERS.items())
def test_a_chapter_reaches_its_closing_table(
    hub: Hub, client: Client, project: Path, name: str, assets: list[str]
) -> None:
    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    shutil.copy(notebook, project / "notebooks" / f"{name}.ipynb")
    for asset in needed_assets(read(notebook)):
        fetch(asset)  # what a chapter reads from a wheel at either position of the dial

    run = client.start(
        "-m", "utils.runner", "run", name, "--assets", "hub", "--scale", "small", cwd=project
    )

    assert run.returncode == 0, run.stdout
    executed = read(project / "build" / "notebooks" / "hub-small" / f"{name}.ipynb")
    summary = read_summary(executed)
    assert (summary["chapter"], summary["assets"], summary["scale"]) == (
        notebook.stem,
        "hub",
        "small",
    )
    assert {id for id, _ in hub.asked} == {load_catalog().find(asset).hub.id for asset in assets}
    assert client.hosts == {"127.0.0.1"}
    assert "LOAD REPORT" not in errors(executed), "a head that is left over is no news"


def errors(notebook: NotebookNode) -> str:
    """What its cells wrote to stderr."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.text for output in outputs if output.get("name") == "stderr")
