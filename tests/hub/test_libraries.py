"""The libraries themselves, without our asset layer, find everything on the loopback hub."""

from pathlib import Path

from hub.conftest import visitor
from hub.repositories import repository
from hub.server import COMMIT, Hub

MODEL = "distilbert/distilbert-base-uncased"
LOAD = """
from datasets import load_dataset
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from transformers import AutoModelForMaskedLM, AutoTokenizer

id = "distilbert/distilbert-base-uncased"
tokenizer = AutoTokenizer.from_pretrained(id)
model, info = AutoModelForMaskedLM.from_pretrained(id, output_loading_info=True)
inputs = tokenizer("Fear [MASK] thoughtlessness", return_tensors="pt")
print(tokenizer.all_special_ids, inputs["input_ids"][0, [0, 2, -1]].tolist())
print(type(model).__name__, model(**inputs).logits.shape[-1], *info["missing_keys"])

print(hf_hub_download(id, "vocab.txt").rpartition("snapshots/")[2])
try:
    hf_hub_download(id, "spiece.model")
except EntryNotFoundError:
    print("no such file")

for data in (
    load_dataset("dair-ai/emotion", "split"),
    load_dataset("CogComp/trec", revision="refs/convert/parquet"),
):
    print(data.num_rows)
    for name, feature in data["train"].features.items():
        print(name, *getattr(feature, "names", [feature.dtype])[:6])
"""


def test_models_files_and_data_sets_by_their_ids(tmp_path: Path) -> None:
    hub = Hub({id: repository(id) for id in (MODEL, "dair-ai/emotion", "CogComp/trec")})
    with visitor(hub, tmp_path) as client:
        lines = client.run(LOAD).splitlines()
    assert lines == [
        "[100, 102, 0, 101, 103] [101, 103, 102]",
        "DistilBertForMaskedLM 2000",
        f"{COMMIT}/vocab.txt",
        "no such file",
        "{'train': 2400, 'validation': 400, 'test': 400}",
        "text string",
        "label sadness joy love anger fear surprise",
        "{'train': 4882, 'test': 500}",
        "text string",
        "coarse_label ABBR ENTY DESC HUM LOC NUM",
        "fine_label ABBR:abb ABBR:exp ENTY:animal ENTY:body ENTY:color ENTY:cremat",
    ]
