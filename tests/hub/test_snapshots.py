"""Snapshots with the real hub client: what arrives, and what a user reads when the hub refuses."""

import shutil
import socket
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from huggingface_hub import constants

from hub.conftest import set_endpoint
from hub.repositories import repository
from hub.server import COMMIT, TOKEN, Hub, RefusalError, Repository
from hub.tables import converted_parquet, parquet
from utils.assets import datasets
from utils.assets.catalog import load_catalog
from utils.assets.datasets import load
from utils.assets.errors import AssetError
from utils.assets.models import checkpoint

ENCODER = "distilbert/distilbert-base-uncased"
WEIGHTS = "model.safetensors"
TRY_AGAIN = f'{ENCODER} could not be downloaded, try again or use assets="packaged":'

pytestmark = pytest.mark.usefixtures("hub_cache")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub address where nobody answers."""
    set_endpoint(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture
def encoder(hub: Hub) -> Repository:
    """The encoder on the hub: a small one that loads."""
    hub.repositories[ENCODER] = repository(ENCODER)
    return hub.repositories[ENCODER]


def assert_whole(folder: str, repository: Repository) -> None:
    """The checkpoint in `folder` is the hub's, to the byte."""
    assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == repository.files


def test_a_checkpoint_holds_what_transformers_loads(hub: Hub) -> None:
    files = {
        "config.json": b"{}",
        "model.safetensors": b"weights",
        "vocab.txt": b"[PAD]",
        "pytorch_model.bin": b"a pickle",
        "onnx/config.json": b"another format",
    }
    hub.repositories[ENCODER] = Repository("model", files)
    folder = Path(checkpoint("encoder", "hub"))
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["config.json", "model.safetensors", "vocab.txt"]
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert hub.asked == [(ENCODER, "main")]


def test_a_snapshot_serves_without_the_hub(hub: Hub, request: pytest.FixtureRequest) -> None:
    hub.repositories[ENCODER] = Repository("model", {"config.json": b"{}"})
    folder = checkpoint("encoder", "hub")
    request.getfixturevalue("no_hub")
    assert checkpoint("encoder", "hub") == folder
    assert folder.endswith(COMMIT)


@pytest.mark.usefixtures("no_hub")
def test_no_network_names_the_packaged_assets() -> None:
    with pytest.raises(
        AssetError, match=r'127\.0\.0\.1:9.*cannot be reached: use assets="packaged"'
    ):
        checkpoint("encoder", "hub")


def test_a_silent_hub_is_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.assets.hub.PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        set_endpoint(monkeypatch, f"http://127.0.0.1:{port}")
        with pytest.raises(AssetError, match="cannot be reached"):
            load("short_texts", "hub")


@pytest.mark.usefixtures("hub")
def test_offline_mode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(AssetError, match="HF_HUB_OFFLINE is set"):
        load("tweets", "hub")


def test_a_hub_that_is_down_says_so(hub: Hub) -> None:
    hub.errors["/"] = repeat(RefusalError(500))
    with pytest.raises(AssetError, match=f"{TRY_AGAIN} ."):
        checkpoint("encoder", "hub")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_wrong_id(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(AssetError, match=f"The hub has no model {ENCODER}: correct its id in cat"):
        checkpoint("encoder", "hub")


def test_a_missing_revision(hub: Hub) -> None:
    hub.repositories["CogComp/trec"] = Repository("dataset", {})
    with pytest.raises(AssetError, match="CogComp/trec has no revision refs/convert/parquet: corr"):
        load("questions", "hub")


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        ("gated", f"{ENCODER} is gated: accept its terms on the hub, then run `hf auth login`"),
        ("private", "or run `hf auth login` if it is private"),
    ],
)
def test_a_token_opens_what_is_closed(
    hub: Hub, encoder: Repository, access: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[ENCODER] = replace(encoder, access=access)
    with pytest.raises(AssetError, match=sentence):
        checkpoint("encoder", "hub")
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(AssetError, match=f"accept your token for {ENCODER}: run `hf auth login`"):
        checkpoint("encoder", "hub")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert_whole(checkpoint("encoder", "hub"), encoder)


@pytest.mark.parametrize("which", ["GET .*/revision/main", f"GET .*/{WEIGHTS}"])
def test_a_server_error_stops_and_the_next_try_is_whole(
    hub: Hub, encoder: Repository, which: str
) -> None:
    hub.errors[which] = iter([RefusalError(500)])
    with pytest.raises(AssetError, match=TRY_AGAIN):
        checkpoint("encoder", "hub")
    assert_whole(checkpoint("encoder", "hub"), encoder)


@pytest.mark.parametrize("which", ["GET .*/tree/", f"HEAD .*/{WEIGHTS}"])
def test_a_server_error_is_tried_again_by_itself(hub: Hub, encoder: Repository, which: str) -> None:
    hub.errors[which] = iter([RefusalError(500)])
    assert_whole(checkpoint("encoder", "hub"), encoder)
    assert next(hub.errors[which], None) is None, "the error was met"


def test_a_whole_snapshot_serves_while_the_hub_is_down(hub: Hub, encoder: Repository) -> None:
    folder = checkpoint("encoder", "hub")
    hub.errors["/"] = repeat(RefusalError(500))
    assert checkpoint("encoder", "hub") == folder


def test_a_broken_download_goes_on_where_it_stopped(hub: Hub, encoder: Repository) -> None:
    hub.breaks[WEIGHTS] = 1
    assert_whole(checkpoint("encoder", "hub"), encoder)
    assert hub.downloads.count((ENCODER, WEIGHTS)) == 2


def test_a_file_that_never_arrives_whole(
    hub: Hub, encoder: Repository, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.breaks[WEIGHTS] = 100
    with pytest.raises(AssetError, match=TRY_AGAIN):
        checkpoint("encoder", "hub")
    assert not list(hub_cache.rglob(WEIGHTS)), "nothing half-written bears the name"
    with monkeypatch.context() as patch:
        set_endpoint(patch, "http://127.0.0.1:9")
        with pytest.raises(AssetError, match=f"{ENCODER} is not in the local cache"):
            checkpoint("encoder", "hub")
    hub.breaks.clear()
    assert_whole(checkpoint("encoder", "hub"), encoder)


def splits(rows: dict[str, list], features: Features) -> DatasetDict:
    """The same rows in each split."""
    return DatasetDict({name: Dataset.from_dict(rows, features) for name in datasets.SPLITS})


def test_questions_get_our_names_and_a_validation_split(hub: Hub) -> None:
    upstream = Features(
        text=Value("string"),
        coarse_label=ClassLabel(names=["NUM", "LOC", "HUM", "DESC", "ENTY", "ABBR"]),
        fine_label=ClassLabel(names=sorted(datasets.FINE, reverse=True)),
    )
    fine = ["HUM:ind", "LOC:city"]
    texts = [f"question {number}" for number in range(1200)]
    rows = {"text": texts, "coarse_label": ["HUM", "LOC"] * 600, "fine_label": fine * 600}
    data = splits(rows, upstream)
    del data["validation"]
    hub.repositories["CogComp/trec"] = converted_parquet(data)
    data = load("questions", "hub")
    assert hub.asked == [("CogComp/trec", "refs/convert/parquet")]
    assert data.num_rows == {"train": 200, "validation": 1000, "test": 1200}
    assert data["test"].features["coarse_label"].names == list(datasets.COARSE.values())
    assert data["test"].features["fine_label"].names == datasets.FINE
    for split in data.values():
        as_text = split.features["fine_label"].int2str(split["fine_label"])
        coarse = split.features["coarse_label"].int2str(split["coarse_label"])
        numbers = [int(text.split()[1]) for text in split["text"]]
        assert as_text == [fine[number % 2] for number in numbers]
        assert coarse == [("human", "location")[number % 2] for number in numbers]


def test_a_configuration_is_all_that_is_downloaded(hub: Hub) -> None:
    features = Features(text=Value("string"), label=ClassLabel(names=["joy", "fear"]))
    rows = {split: {"text": [f"{split} ha", "oh"], "label": [0, 1]} for split in datasets.SPLITS}
    tables = {split: Dataset.from_dict(rows[split], features) for split in rows}
    whole = parquet({"split": DatasetDict(tables)})
    other = {"unsplit/train-00000-of-00001.parquet": b"another configuration"}
    hub.repositories["dair-ai/emotion"] = replace(whole, files={**whole.files, **other})
    data = load("short_texts", "hub")
    assert {split: table[:] for split, table in data.items()} == rows
    assert data["train"].features == features
    assert sorted(path for _, path in hub.downloads) == sorted(whole.files)


def test_columns_get_our_names_and_the_others_go(hub: Hub) -> None:
    columns = ("id", "article", "highlights", "url")
    features = Features({column: Value("string") for column in columns})
    rows = {column: [f"{column} {number}" for number in range(3)] for column in columns}
    hub.repositories["abisee/cnn_dailymail"] = parquet({"3.0.0": splits(rows, features)})
    data = load("papers", "hub")
    assert data["test"][1] == {"id": "id 1", "document": "article 1", "summary": "highlights 1"}


def test_configurations_of_several_languages_come_together(hub: Hub) -> None:
    names = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
    words = List(Value("string"))
    features = Features(tokens=words, ner_tags=List(ClassLabel(names=names)), langs=words)
    configs = {
        f"PAN-X.{name}": splits(
            {"tokens": [[name, "x"]], "ner_tags": [[0, 5]], "langs": [[name] * 2]}, features
        )
        for name in ("de", "en", "es", "fr", "it")
    }
    hub.repositories["google/xtreme"] = parquet(configs)
    data = load("slots", "hub")
    assert data["test"].features["tags"] == List(ClassLabel(names=names))
    assert data["test"][:] == {
        "tokens": [["en", "x"], ["de", "x"], ["fr", "x"], ["it", "x"]],
        "tags": [[0, 5]] * 4,
        "language": [0, 1, 2, 3],
    }
    assert data["test"].features["language"].names == ["en", "de", "fr", "it"]
    assert not [path for _, path in hub.downloads if ".es/" in path]
    assert "PAN-X.en, PAN-X.de, PAN-X.fr, PAN-X.it" in datasets.card("slots", "hub")


def test_a_missing_test_split_comes_from_train(hub: Hub) -> None:
    titles = [f"Title {number}" for number in range(4_100)]
    rows = Dataset.from_dict({"id": titles, "title": titles, "text": titles})
    hub.repositories["wikimedia/wikipedia"] = parquet({"20231101.simple": DatasetDict(train=rows)})
    data = load("wiki", "hub")
    assert data.num_rows == {"train": 100, "validation": 2000, "test": 2000}
    assert {title for split in data.values() for title in split["title"]} == set(titles)


def test_the_dial_has_two_positions() -> None:
    with pytest.raises(AssetError, match='assets must be "packaged" or "hub", not "Hub"'):
        checkpoint("encoder", "Hub")


def test_cards_on_the_hub_name_their_source() -> None:
    for asset in load_catalog().assets.values():
        if asset.kind == "dataset":
            assert f"https://huggingface.co/datasets/{asset.hub.id}" in datasets.card(
                asset.name, "hub"
            )


def test_a_snapshot_that_was_lost_is_downloaded_again(hub: Hub, hub_cache: Path) -> None:
    hub.repositories[ENCODER] = Repository("model", {"config.json": b"{}"})
    checkpoint("encoder", "hub")
    shutil.rmtree(hub_cache)
    assert (Path(checkpoint("encoder", "hub")) / "config.json").exists()
