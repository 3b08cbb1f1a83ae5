"""The libraries themselves, without our asset layer, find everything on the loopback hub."""

import pytest

from hub.conftest import Client
from hub.server import COMMIT, Hub

LOAD_MODEL = """
from transformers import AutoModelForMaskedLM, AutoTokenizer

id = "distilbert/distilbert-base-uncased"
tokenizer = AutoTokenizer.from_pretrained(id)
model, info = AutoModelForMaskedLM.from_pretrained(id, output_loading_info=True)
inputs = tokenizer("Fear [MASK] thoughtlessness", return_tensors="pt")
print(tokenizer.all_special_ids, inputs["input_ids"][0, [0, 2, -1]].tolist())
print(type(model).__name__, model(**inputs).logits.shape[-1], *info["missing_keys"])
"""
LOAD_DATA = """
from datasets import load_dataset

data = load_dataset({arguments})
print(data.num_rows)
for name, feature in data["train"].features.items():
    print(name, *getattr(feature, "names", [feature.dtype])[:6])
"""


def test_a_model_by_its_id(hub: Hub, client: Client) -> None:
    assert client.run(LOAD_MODEL).splitlines() == [
        "[100, 102, 0, 101, 103] [101, 103, 102]",
        "DistilBertForMaskedLM 2000",
    ]
    assert client.hosts == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("arguments", "description"),
    [
        (
            '"dair-ai/emotion", "split"',
            [
                "{'train': 2400, 'validation': 400, 'test': 400}",
                "text string",
                "label sadness joy love anger fear surprise",
            ],
        ),
        (
            '"CogComp/trec", revision="refs/convert/parquet"',
            [
                "{'train': 4882, 'test': 500}",
                "text string",
                "coarse_label ABBR ENTY DESC HUM LOC NUM",
                "fine_label ABBR:abb ABBR:exp ENTY:animal ENTY:body ENTY:color ENTY:cremat",
            ],
        ),
    ],
)
def test_a_data_set_by_its_id(client: Client, arguments: str, description: list[str]) -> None:
    assert client.run(LOAD_DATA.format(arguments=arguments)).splitlines() == description


def test_one_file_by_its_path(client: Client) -> None:
    code = "from huggingface_hub import hf_hub_download as get; print(get({!r}, {!r}))"
    id = "distilbert/distilbert-base-uncased"
    assert client.run(code.format(id, "vocab.txt")).endswith(f"{COMMIT}/vocab.txt")
    absent = client.start("-c", code.format(id, "spiece.model"))
    assert "EntryNotFoundError" in absent.stderr
