"""What the catalogue names is on the loopback hub, and loads from there as from a wheel."""

import json

import pytest

from hub.conftest import Client
from hub.repositories import HUB
from utils.assets.catalog import load_catalog
from utils.assets.datasets import load

ASSETS = load_catalog().assets.values()
MODELS = [asset.name for asset in ASSETS if asset.kind == "model"]
DATASETS = [asset.name for asset in ASSETS if asset.kind == "dataset"]

LOAD_MODEL = """
from transformers import AutoModel, AutoTokenizer
from utils.assets.models import checkpoint

folder = checkpoint({name!r}, "hub")
inputs = AutoTokenizer.from_pretrained(folder)("How far is it ?", return_tensors="pt")
print(AutoModel.from_pretrained(folder)(**inputs).last_hidden_state.isfinite().all().item())
"""
LOAD_DATA = """
import json
from utils.assets.datasets import load

data = load({name!r}, "hub")
features = data["train"].features.items()
features = {{column: getattr(kind, "names", kind.dtype) for column, kind in features}}
print(json.dumps([features, list(data)]))
"""


def test_every_id_is_served_and_no_other() -> None:
    assert sorted(HUB) == sorted({asset.hub.id for asset in ASSETS}), (
        "add a line to repositories.py"
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes(client: Client, name: str) -> None:
    assert client.run(LOAD_MODEL.format(name=name)) == "True"
    assert client.hosts == {"127.0.0.1"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_the_packaged_schema(client: Client, name: str) -> None:
    features, splits = json.loads(client.run(LOAD_DATA.format(name=name)))
    assert client.hosts == {"127.0.0.1"}
    packaged = load(name)
    assert splits == [*packaged]
    assert [*features] == packaged["train"].column_names
    if name != "short_texts":  # the stand-in has six classes too, of questions
        assert features == {
            column: getattr(kind, "names", kind.dtype)
            for column, kind in packaged["train"].features.items()
        }
