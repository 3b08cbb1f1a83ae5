"""`nightly`, once with real kernels: what the pages, the report and results.json say of it."""

import base64
import io
import json
import os
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from tiny_notebooks import add, tiny
from typer.testing import CliRunner, Result

from utils.notebooks.files import NotebookError
from utils.runner import history
from utils.runner.cli import app
from utils.runner.pages.site import build as build_pages
from utils.runner.provenance import Dials

FIGURE = """\
from IPython.display import display
from matplotlib.figure import Figure

figure = Figure(figsize=(8, 4))
figure.add_subplot(title="Loss", xlabel="step", ylabel="nats").plot([3, 2, 1])
buffer = __import__("io").BytesIO()
figure.savefig(buffer)
data = __import__("base64").b64encode(buffer.getvalue()).decode()
display({"image/png": data, "text/plain": "a figure"}, raw=True)"""
DRIFT = """\
from IPython.display import display

result = {"name": "loss", "value": 7.5, "low": 1.0, "high": 2.0}
display({"application/vnd.nlp-transformers.result+json": result, "text/plain": "loss"}, raw=True)
raise ValueError("loss is 7.5, outside the promised range")"""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A project after a night in which its second notebook failed."""
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/a/b"\n')
    works = tiny()
    words = "The *loss* falls [steadily](https://example.org). It ends at 1."
    works.cells[2:2] = [new_code_cell(FIGURE), new_markdown_cell(words)]
    works.cells.append(new_markdown_cell("Go on [with trees](articles/trees.ipynb#forest)."))
    add(root, "01_works", works)
    add(root, "02_fails", tiny(DRIFT))
    add(root, "articles/trees", tiny())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        result = CliRunner().invoke(app, ["nightly", "--jobs", "2"])
    return root, result


@pytest.fixture
def site(night: tuple[Path, Result]) -> Path:
    return night[0] / "build" / "pages" / "packaged-small"


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_a_failed_notebook_fails_the_night_but_stops_nothing(night: tuple[Path, Result]) -> None:
    root, result = night
    assert result.exit_code == 1, result.output
    assert "02_fails at packaged/small failed: ValueError: loss is 7.5" in result.output
    built = {
        path.relative_to(root / "build").as_posix() for path in (root / "build").rglob("*.html")
    }
    pages = {"index.html", "01_works.html", "02_fails.html", "articles/trees.html"}
    assert built == {f"pages/packaged-small/{page}" for page in pages} | {"report.html"}


def test_no_page_refers_to_a_host(night: tuple[Path, Result]) -> None:
    for path in (night[0] / "build").rglob("*.html"):
        page = soup(path)
        assert page.select("script[src], link, iframe[src], object, embed, base") == []
        assert all(image["src"].startswith("data:") for image in page("img"))
        for style in [*page("style"), *page.select("[style]")]:
            assert not re.search(r"@import|url\(", str(style))
        policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert "default-src 'none'" in policy
        assert not re.search(r"https?:|\*", policy)


def test_contents_lead_to_every_page(site: Path) -> None:
    index = soup(site / "index.html")
    cards = index.select(".cards li")
    links = [card.select_one("h3 a")["href"] for card in cards]
    assert links == ["01_works.html", "02_fails.html", "articles/trees.html"]
    assert all((site / link).is_file() for link in links)
    assert [heading.text for heading in index("h2")] == ["Chapters", "Articles"]
    assert "2 ok, 1 failed" in index.text
    assert "accuracy: 0.500 (book: 0.900)" in cards[0].text
    assert re.search(r"ok, \d+ s", cards[0].text)
    assert re.search(r"failed after \d+ s", cards[1].text)


def test_contents_show_the_first_figure_small(site: Path) -> None:
    first, *rest = soup(site / "index.html").select(".cards li")
    data = first.img["src"].partition(",")[2]
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.width == 480
    assert [card.img for card in rest] == [None, None]


def test_a_page_shows_its_notebook(site: Path) -> None:
    page = soup(site / "01_works.html")
    assert page.h1.text == "A tiny chapter"
    assert page.select_one("meta[name=viewport]")["content"].startswith("width=device-width")
    assert page.select_one("main img")["alt"] == "The loss falls steadily."
    assert page.find("a", string="with trees")["href"] == "articles/trees.html#forest"
    assert page.find("a", string="steadily")["href"] == "https://example.org"
    assert "packaged/small · CPU with 2 threads" in page.select_one(".facts").text
    back = soup(site / "articles" / "trees.html").nav.a["href"]
    assert (site / "articles" / back).resolve() == site / "index.html"


def test_the_page_of_a_failure_begins_with_it(site: Path) -> None:
    page = soup(site / "02_fails.html")
    failure = page.select_one(".failure")
    assert failure.text.startswith("Failed: ValueError: loss is 7.5")
    assert page.find(id=failure.a["href"].removeprefix("#")), "the link leads to the cell"
    assert page.main.find(string=lambda text: text.strip()) == "A tiny chapter"


def test_results_say_what_ran_and_what_it_gave(night: tuple[Path, Result]) -> None:
    works, fails, trees = json.loads((night[0] / "build" / "results.json").read_text())
    assert [works["notebook"], trees["notebook"]] == ["01_works", "articles/trees"]
    assert works["results"][0]["value"] == 0.5
    assert works["failure"] == ""
    assert (works["assets"], works["scale"], works["device"]) == (
        "packaged",
        "small",
        "CPU with 2 threads",
    )
    assert set(works["versions"]) >= {"python", "torch", "transformers", "datasets", "tokenizers"}
    assert fails["failure"] == "ValueError: loss is 7.5, outside the promised range"
    assert fails["results"][0]["value"] == 7.5


def test_what_a_failed_notebook_measured_is_in_history_and_report(
    night: tuple[Path, Result],
) -> None:
    root, result = night
    sentence = "loss is 7.500, outside the expected range 1.000 to 2.000."
    assert f"02_fails at packaged/small: {sentence}" in result.output
    report = soup(root / "build" / "report.html")
    assert sentence in report.ul.text
    assert [heading.text for heading in report("h2")] == [
        "01_works at packaged/small on CPU",
        "02_fails at packaged/small on an unknown device",
        "articles/trees at packaged/small on CPU",
    ]
    assert [image["alt"] for image in report("img")] == [
        "seconds over time",
        "accuracy over time",
        "seconds over time",
        "loss over time",
        "seconds over time",
        "accuracy over time",
    ]
    assert {line.metric for line in history.read(root)[0]} == {"seconds", "accuracy", "loss"}


def test_report_alone_is_no_judge(
    night: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(night[0])
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 0
    assert "02_fails at packaged/small failed" in result.output


def test_report_forgets_notebooks_that_are_gone_and_says_when_all_is_well(project: Path) -> None:
    add(project, "01_works", tiny())
    (project / "build").mkdir()
    line = {"metric": "seconds", "value": 60.0, "low": None, "high": None, "failure": ""}
    line |= {"device": "CPU", "commit": "", "modified": False, "sources": "", "versions": {}}
    line |= {"time": "2026-11-21T03:00:00+00:00", "assets": "packaged", "scale": "small"}
    gone = line | {"notebook": "09_gone", "failure": "ValueError"}
    text = "".join(json.dumps(entry) + "\n" for entry in (gone, line | {"notebook": "01_works"}))
    history.file(project).write_text(text)
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 0
    assert "Nothing failed or drifted" in result.output
    assert "09_gone" not in history.file(project).with_name("report.html").read_text()


def test_without_a_run_there_is_nothing_to_show(project: Path) -> None:
    add(project, "01_new", tiny())
    with pytest.raises(NotebookError, match=r"No notebook was executed at packaged/small: run"):
        build_pages(project, Dials())
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 1
    assert "There is no history yet" in result.output


def test_contents_list_what_was_not_executed_too(
    night: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = night
    monkeypatch.chdir(root)
    new = add(root, "03_new", tiny())
    index = soup(build_pages(root, Dials()))
    os.remove(new)
    build_pages(root, Dials())
    card = index.select(".cards li")[2]
    assert card.find("a") is None
    assert "not executed" in card.text


def test_a_night_with_a_notebook_that_is_none_yet_still_has_pages_and_report(
    project: Path,
) -> None:
    path = add(project, "Untitled", new_notebook(cells=[new_code_cell("")]))
    result = CliRunner().invoke(app, ["nightly", "Untitled"])
    assert result.exit_code == 1
    assert path.stem in result.output
    for page in ("report.html", "pages/packaged-small/index.html"):
        assert "Untitled" in (project / "build" / page).read_text()


@pytest.mark.parametrize("options", [["--timeout", "-5"], ["--jobs", "0"], ["--scale", "big"]])
def test_options_out_of_range_are_refused(project: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["nightly", *options])
    assert result.exit_code == 2
    assert options[0] in result.output
