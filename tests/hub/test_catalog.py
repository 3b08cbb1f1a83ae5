"""What the catalogue names is on the loopback hub, and loads from there as from a wheel."""

import json
import re

import pytest

from hub.conftest import Client
from hub.repositories import HUB
from utils.assets.catalog import load_catalog
from utils.assets.datasets import load

ASSETS = [asset for asset in load_catalog().assets.values() if asset.hub]
MODELS = [asset.name for asset in ASSETS if asset.kind == "model"]
DATASETS = [asset.name for asset in ASSETS if asset.kind == "dataset"]
INPUTS = {  # of models that do not read text
    "speech": ("AutoProcessor", "np.sin(np.arange(16_000)), sampling_rate=16_000"),
    "vision": ("AutoImageProcessor", "np.zeros((300, 400, 3), np.uint8)"),
}
OTHER_CLASSES = {  # than those of the stand-in
    "short_texts": "label",
    "intents_oos": "intent",
    "slots": "tags",
}
CLASS_NAMES = re.compile(r"names=\[.+?\]")

LOAD_MODEL = """
import numpy as np
from transformers import AutoModel, {processor}
from utils.assets.models import checkpoint

folder = checkpoint({name!r}, "hub")
inputs = {processor}.from_pretrained(folder)({raw}, return_tensors="pt")
print(AutoModel.from_pretrained(folder)(**inputs).last_hidden_state.isfinite().all().item())
"""
LOAD_DATA = """
import json
from utils.assets.datasets import load

data = load({name!r}, "hub")
features = {{column: repr(kind) for column, kind in data["train"].features.items()}}
print(json.dumps([features, list(data)]))
"""


def test_every_id_is_served_and_no_other() -> None:
    assert sorted(HUB) == sorted({asset.hub.id for asset in ASSETS}), (
        "add a line to repositories.py"
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes(client: Client, name: str) -> None:
    processor, raw = INPUTS.get(name, ("AutoTokenizer", '"How far is it ?"'))
    assert client.run(LOAD_MODEL.format(name=name, processor=processor, raw=raw)) == "True"
    assert client.hosts == {"127.0.0.1"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_the_packaged_schema(client: Client, name: str) -> None:
    features, splits = json.loads(client.run(LOAD_DATA.format(name=name)))
    assert client.hosts == {"127.0.0.1"}
    packaged = load(name)
    assert splits == [*packaged]
    assert [*features] == [*load_catalog().assets[name].columns]
    expected = {column: repr(packaged["train"].features[column]) for column in features}
    if column := OTHER_CLASSES.get(name):
        without_names = [CLASS_NAMES.sub("", kinds.pop(column)) for kinds in (features, expected)]
        assert without_names[0] == without_names[1]
    assert features == expected
