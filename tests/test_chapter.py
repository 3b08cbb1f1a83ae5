"""Opening a chapter, reporting results and reading them back from an executed notebook."""

import random
import subprocess
import sys
import textwrap

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from utils.assets.models import checkpoint
from utils.chapter import (
    RESULT_MIME,
    SUMMARY_MIME,
    Chapter,
    ResultOutOfRangeError,
    Summary,
    format_value,
    has_fast_bf16,
    project_root,
    read_results,
    read_summary,
    show_source,
    start,
)


def a_chapter(**changes) -> Chapter:
    settings = {"name": "00_test", "assets": "packaged", "scale": "small", "bf16": False}
    return Chapter(**(settings | {"device": torch.device("cpu")} | changes))


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def fresh_start(tmp_path_factory) -> list[str]:
    """What a fresh interpreter finds before and after it opens a chapter, one fact a line."""
    code = """
        import logging, os, sys
        from utils.chapter import start
        print(sorted({"torch", "transformers", "datasets"} & set(sys.modules)))
        start("00_test")
        import huggingface_hub, datasets
        print(huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE)
        print(os.environ["HAYSTACK_TELEMETRY_ENABLED"])
        from transformers import AutoModel, AutoModelForSequenceClassification as Classifier
        records = []
        class Keep(logging.Handler):
            def emit(self, record): records.append(record.getMessage())
        logging.getLogger("transformers").addHandler(Keep())
        Classifier.from_pretrained(ENCODER)
        AutoModel.from_pretrained(ENCODER, add_pooling_layer=False)
        print("new head:", sum("LOAD REPORT" in r for r in records))
        model = AutoModel.from_pretrained(ENCODER)
        weights = model.state_dict()
        del weights["encoder.layer.0.output.dense.weight"]
        model.save_pretrained(DAMAGED, state_dict=weights)
        Classifier.from_pretrained(DAMAGED)
        print("damaged:", sum("LOAD REPORT" in r for r in records))
    """
    damaged = str(tmp_path_factory.mktemp("damaged"))
    code = code.replace("ENCODER", repr(checkpoint("encoder"))).replace("DAMAGED", repr(damaged))
    return run_python(code).splitlines()


class TestStart:
    def test_prints_dials_versions_and_device_in_three_lines(self, capsys):
        start("00_test")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        assert "assets=packaged" in lines[0]
        assert "scale=small" in lines[0]
        assert torch.__version__.split("+")[0] in lines[1]
        assert "threads" in lines[2] or torch.cuda.is_available()

    @pytest.mark.parametrize(
        ("dials", "sentence"),
        [
            ({"assets": "hup"}, 'assets="hup" is not known: use "packaged" or "hub".'),
            ({"scale": "big"}, 'scale="big" is not known: use "small" or "full".'),
        ],
    )
    def test_unknown_dial_is_refused(self, dials, sentence):
        with pytest.raises(ValueError, match=sentence):
            start("00_test", **dials)

    def test_same_seed_same_numbers(self):
        draws = []
        for _ in range(2):
            start("00_test", seed=7)
            draws.append((random.random(), np.random.rand(), torch.rand(3).tolist()))  # noqa: NPY002
        assert draws[0] == draws[1]

    def test_packaged_is_offline_before_the_libraries_look(self, fresh_start):
        assert fresh_start[0] == "[]"
        assert fresh_start[-4:-2] == ["True True", "false"]

    def test_reports_of_a_new_head_are_hidden_and_others_are_not(self, fresh_start):
        assert fresh_start[-2:] == ["new head: 0", "damaged: 1"]

    def test_hub_in_an_offline_kernel_asks_for_a_restart(self, monkeypatch):
        start("00_test")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(RuntimeError, match="restart it"):
            start("00_test", assets="hub")

    def test_full_scale_without_gpu_says_so(self):
        assert "no GPU found" in a_chapter(scale="full").banner()
        assert "no GPU found" not in a_chapter(scale="small").banner()


class TestChapter:
    @pytest.mark.parametrize("assets", ["packaged", "hub"])
    @pytest.mark.parametrize("scale", ["small", "full"])
    def test_pick_follows_the_dial_that_it_names(self, assets, scale):
        chapter = a_chapter(assets=assets, scale=scale)
        assert chapter.pick(small="small", full="full") == scale
        assert chapter.pick(hub="hub", packaged="packaged") == assets

    @pytest.mark.parametrize("names", ["small", "small hub", "small full hub", "small ful"])
    def test_pick_refuses_names_of_no_dial(self, names):
        with pytest.raises(TypeError, match="give small and full, or packaged and hub"):
            a_chapter().pick(**dict.fromkeys(names.split(), 1))

    def test_assets_follow_the_dial(self):
        chapter = a_chapter()
        assert chapter.checkpoint("encoder") == checkpoint("encoder")
        assert set(chapter.dataset("short_texts")) == {"train", "validation", "test"}
        assert (chapter.files("tweets") / "tweets_GroundTruth.txt").is_file()

    def test_autocast_only_where_it_pays(self):
        x = torch.ones(2, 2)
        with a_chapter(bf16=True).autocast():
            assert (x @ x).dtype == torch.bfloat16
        with a_chapter(bf16=False).autocast():
            assert (x @ x).dtype == torch.float32

    def test_bf16_is_slow_where_the_processor_lacks_it(self, monkeypatch):
        monkeypatch.delenv("NLP_BF16", raising=False)
        monkeypatch.setattr("pathlib.Path.read_text", lambda _: "flags : avx2 avx512f")
        assert not has_fast_bf16(torch.device("cpu"))
        monkeypatch.setattr("pathlib.Path.read_text", lambda _: "flags : avx2 avx512_bf16")
        assert has_fast_bf16(torch.device("cpu"))

    def test_bf16_can_be_chosen(self, monkeypatch):
        monkeypatch.setenv("NLP_BF16", "0")
        assert not has_fast_bf16(torch.device("cpu"))
        monkeypatch.setenv("NLP_BF16", "1")
        assert has_fast_bf16(torch.device("cpu"))
        monkeypatch.setenv("NLP_BF16", "yes")
        with pytest.raises(ValueError, match='NLP_BF16="yes" is not known: use "0" or "1"'):
            has_fast_bf16(torch.device("cpu"))

    def test_scratch_lies_under_build_and_goes_with_the_kernel(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder = run_python(
            """
            from utils.chapter import Chapter
            chapter = Chapter("00_test", "packaged", "small", device=None, bf16=False)
            (chapter.scratch / "weights").write_text("0")
            assert chapter.scratch == chapter.scratch
            print(chapter.scratch.relative_to(chapter.scratch.parents[1]))
            """
        )
        assert folder.startswith("build/00_test-")
        assert not (tmp_path / folder).exists()

    def test_scratch_of_a_killed_kernel_goes_with_the_next_one(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        open_scratch = """
            import os
            from utils.chapter import Chapter
            chapter = Chapter("00_test", "packaged", "small", device=None, bf16=False)
            print(chapter.scratch.name, flush=True)
        """
        abandoned = run_python(open_scratch + "\n            os._exit(0)")
        assert [path.name for path in tmp_path.glob("build/*")] == [abandoned]
        chapter = a_chapter()
        living = chapter.scratch
        assert run_python(open_scratch).startswith("00_test-")
        assert [*tmp_path.glob("build/*")] == [living]

    def test_project_root_is_found_from_the_notebooks_folder(self, tmp_path, monkeypatch):
        notebooks = tmp_path / "notebooks" / "articles"
        notebooks.mkdir(parents=True)
        monkeypatch.chdir(notebooks)
        assert project_root() == notebooks
        (tmp_path / "pyproject.toml").touch()
        assert project_root() == tmp_path

    def test_track_yields_everything(self, capsys):
        assert list(a_chapter().track("abc", "letters")) == ["a", "b", "c"]
        assert list(a_chapter().track(iter("abc"), "letters", total=3)) == ["a", "b", "c"]
        assert "letters: 0/3" in capsys.readouterr().out


class TestReport:
    def test_shows_the_value_beside_the_books(self, capsys):
        chapter = a_chapter()
        chapter.report("Accuracy", np.float32(0.5), book=0.9225)
        assert capsys.readouterr().out.strip() == "Accuracy: 0.500 (book: 0.922)"
        assert type(chapter.results[0].value) is float

    def test_out_of_range_fails_at_packaged_small_and_is_kept(self):
        chapter = a_chapter()
        with pytest.raises(ResultOutOfRangeError, match=r"Accuracy is 0\.100.*0\.5 to 1"):
            chapter.report("Accuracy", 0.1, expect=(0.5, 1))
        assert chapter.results[0].value == 0.1

    @pytest.mark.parametrize("edge", [0.5, 1])
    def test_both_ends_belong_to_the_range(self, edge):
        a_chapter().report("Accuracy", edge, expect=(0.5, 1))

    @pytest.mark.parametrize("dials", [{"assets": "hub"}, {"scale": "full"}])
    def test_other_dials_promise_nothing(self, dials):
        chapter = a_chapter(**dials)
        chapter.report("Accuracy", 0.1, expect=(0.5, 1), note="first try")
        assert Summary(chapter, 1.0).rows == [("Accuracy", "0.100", "", "first try")]
        assert (chapter.results[0].low, chapter.results[0].high) == (None, None)

    @pytest.mark.parametrize(
        ("assets", "note"), [("packaged", "TREC; one run"), ("hub", "one run")]
    )
    def test_the_stand_in_is_named_where_it_stands(self, assets, note):
        chapter = a_chapter(assets=assets)
        chapter.report("Texts", 1, stand_in="TREC", note="one run")
        assert chapter.results[0].note == note

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(float("nan"))])
    def test_a_number_must_be_finite(self, value):
        with pytest.raises(ValueError, match="finite"):
            a_chapter().report("Loss", value)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (3882, "3,882"),
            (0.92251, "0.923"),
            (14.4677, "14.5"),
            (1234.5, "1,234.5"),
            (2e-5, "2.0e-05"),
            (0.0, "0.000"),
            ("5 to 10", "5 to 10"),
            (None, ""),
            (True, "True"),
        ],
    )
    def test_numbers_read_well(self, value, text):
        assert format_value(value) == text


class TestSummary:
    def test_tables_hold_every_result_and_escape_html(self):
        chapter = a_chapter()
        chapter.report("Tokens <s>", 12, book=13, note="a & b")
        chapter.report("Accuracy", 0.5, headline=True)
        summary = Summary(chapter, 12.3)
        assert summary.rows == [("Tokens <s>", "12", "13", "a & b"), ("Accuracy", "0.500", "", "")]
        html = summary.to_html()
        assert "Tokens &lt;s&gt;" in html
        assert "a &amp; b" in html
        assert html.count("<tr>") == 3
        assert html.count("font-weight:bold") == 4, "the headline's four cells"
        assert "12 s" in str(summary)

    def test_plain_columns_line_up(self):
        chapter = a_chapter()
        chapter.report("A long name of a result", 1)
        chapter.report("B", 1_000_000)
        first, second = str(Summary(chapter, 1)).splitlines()[-2:]
        assert first.rindex("1") == second.rindex("0")

    def test_an_executed_notebook_gives_its_numbers_back(self):
        cells = (
            "from utils.chapter import start\nchapter = start('00_test')",
            "for _ in chapter.track(range(3), 'steps'): pass",
            "chapter.report('Accuracy', 0.5, book=0.6, expect=(0, 1), headline=True)",
            "chapter.report('Loss', 0.1, expect=(0.5, 1))",
            "chapter.summary()",
        )
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
        summary = read_summary(notebook)
        assert (summary["chapter"], summary["assets"]) == ("00_test", "packaged")
        assert summary["results"] == read_results(notebook)
        assert summary["results"][0]["value"] == 0.5
        assert summary["results"][0]["headline"] is True
        assert 0 <= summary["seconds"] < 120

        progress, reported, failed, closing = (cell.outputs for cell in notebook.cells[1:])
        assert [o["data"]["text/plain"][:10] for o in progress] == ["steps: 3/3"]
        assert set(reported[0]["data"]) == {"text/plain", RESULT_MIME}
        assert failed[-1].ename == "ResultOutOfRangeError"
        assert set(closing[0]["data"]) == {"text/plain", "text/html", SUMMARY_MIME}

        notebook.cells.pop()  # what a notebook leaves that stops at the failure
        assert [r["name"] for r in read_results(notebook)] == ["Accuracy", "Loss"]
        assert read_summary(notebook) is None


def test_source_is_shown_whole_and_highlighted() -> None:
    shown = show_source(format_value, Chapter.autocast)
    assert repr(shown).startswith("def format_value(")
    assert "\n\ndef autocast(self)" in repr(shown)  # a method stands at the margin
    compile(repr(shown), "shown", "exec", dont_inherit=True)
    assert shown._repr_markdown_() == f"```python\n{shown!r}\n```"
