"""What the catalogue names is on the loopback hub, and loads from there as from a wheel."""

import json
import re
from typing import Any

import pytest

from hub.conftest import visitor
from hub.repositories import HUB, repository
from hub.server import Hub
from utils.assets.catalog import load_catalog
from utils.assets.datasets import load

ASSETS = {asset.name: asset for asset in load_catalog().assets.values() if asset.hub}
MODELS = [name for name, asset in ASSETS.items() if asset.kind == "model"]
DATASETS = [name for name, asset in ASSETS.items() if asset.kind == "dataset"]
OTHER_CLASSES = {  # than those of the stand-in
    "short_texts": "label",
    "intents_oos": "intent",
    "slots": "tags",
}
CLASS_NAMES = re.compile(r"names=\[.+?\]")

LOAD_ALL = """
import json
import sys
import traceback
import numpy as np
import transformers
from utils.assets.datasets import load
from utils.assets.models import checkpoint

INPUTS = {
    "speech": ("AutoProcessor", [np.sin(np.arange(16_000))], {"sampling_rate": 16_000}),
    "vision": ("AutoImageProcessor", [np.zeros((300, 400, 3), np.uint8)], {}),
}

def model(name):
    processor, raw, arguments = INPUTS.get(name, ("AutoTokenizer", ["How far is it ?"], {}))
    folder = checkpoint(name, "hub")
    prepare = getattr(transformers, processor).from_pretrained(folder)
    inputs = prepare(*raw, return_tensors="pt", **arguments)
    model = transformers.AutoModel.from_pretrained(folder)
    if model.config.is_encoder_decoder and name != "speech":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    return model(**inputs)[0].isfinite().all().item()

def dataset(name):
    data = load(name, "hub")
    return [{column: repr(kind) for column, kind in data["train"].features.items()}, list(data)]

def attempt(function, name):
    try:
        return function(name)
    except Exception:
        return traceback.format_exc()

kinds = ((model, MODELS), (dataset, DATASETS))
found = {name: attempt(function, name) for function, names in kinds for name in names}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process of a client finds, by name; a text if that raised an error."""
    hub = Hub({id: repository(id) for id in HUB})
    code = LOAD_ALL.replace("MODELS", repr(MODELS)).replace("DATASETS", repr(DATASETS))
    with visitor(hub, tmp_path_factory.mktemp("client")) as client:
        found = json.loads(client.run(code).splitlines()[-1])
        assert client.hosts == {"127.0.0.1"}
    return found


def test_every_id_is_served_and_no_other() -> None:
    ids = {asset.hub.id for asset in ASSETS.values()}
    assert sorted(HUB) == sorted(ids), "add a line to repositories.py"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_computes(found: dict[str, Any], name: str) -> None:
    assert found[name] is True, found[name]


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_the_packaged_schema(found: dict[str, Any], name: str) -> None:
    assert isinstance(found[name], list), found[name]
    features, splits = found[name]
    packaged = load(name)
    assert splits == [*packaged]
    assert [*features] == [*ASSETS[name].columns]
    expected = {column: repr(packaged["train"].features[column]) for column in features}
    if column := OTHER_CLASSES.get(name):
        without_names = [CLASS_NAMES.sub("", kinds.pop(column)) for kinds in (features, expected)]
        assert without_names[0] == without_names[1]
    assert features == expected
