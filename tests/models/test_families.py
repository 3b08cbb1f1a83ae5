"""The tables of chapter 3 agree with each other and with its picture."""

import json
import re
from importlib.resources import files

import pandas as pd
import pytest

FOLDER = files("utils.models")


@pytest.fixture(scope="module")
def families() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "families.csv", keep_default_na=False)


def test_all_descend_from_the_transformer_and_parents_are_older(families):
    date = families["year"] * 12 + families["month"]
    assert date.is_monotonic_increasing
    assert families["name"].is_unique
    dates = dict(zip(families["name"], date, strict=True))
    for model in families.itertuples():
        parents = model.parents.split("; ") if model.parents else []
        assert all(dates[parent] < dates[model.name] for parent in parents), model.name
        assert bool(parents) == (model.name != "Transformer")


def test_every_model_has_a_branch_a_size_and_a_source(families):
    assert set(families["branch"]) == {"encoder", "encoder-decoder", "decoder"}
    assert (families["parameters"] > 0).all()
    assert (families[["change", "source"]] != "").all(axis=None)


def test_the_picture_shows_the_models_and_the_lines_of_the_table(families):
    drawn = set(re.findall(r'<g id="([^"]+)"', (FOLDER / "families.svg").read_text()))
    parents = families.set_index("name")["parents"].str.split("; ").explode()
    lines = {f"{parent} -&gt; {name}" for name, parent in parents.items() if parent}
    assert drawn >= set(families["name"]) | lines
    assert {name for name in drawn if "-&gt;" in name} == lines


def test_the_picture_names_no_machine_and_loads_nothing():
    svg = (FOLDER / "families.svg").read_text()
    assert not re.search(r"<(script|image|link)|/(home|tmp|root)/|url\(http", svg)


def test_variants_have_a_branch_and_readable_fields():
    variants = pd.read_csv(FOLDER / "variants.csv")
    assert set(variants["branch"]) == {"encoder", "encoder-decoder", "decoder"}
    assert (variants["published"] > 0).all()
    assert all(isinstance(json.loads(fields), dict) for fields in variants["fields"])
