"""Small data sets with the columns and label names of the book's."""

import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets

from hub.server import Repository
from utils.assets.datasets import COARSE, load

EMOTIONS = {  # label: (share of the texts in %, words that give it away)
    "sadness": (29, "gloomy lonely hopeless miserable unwelcome"),
    "joy": (34, "cheerful delighted thankful eager carefree"),
    "love": (8, "tender adored caring devoted beloved"),
    "anger": (13, "furious bitter offended annoyed resentful"),
    "fear": (12, "anxious shaken nervous terrified uneasy"),
    "surprise": (4, "amazed stunned astonished curious dazed"),
}
SIZES = {"train": 2_400, "validation": 400, "test": 400}


def parquet(data: DatasetDict, config: str) -> Repository:
    """One parquet file for each split of one configuration, which the card names."""
    files = {
        f"{config}/{split}-00000-of-00001.parquet": _bytes(rows) for split, rows in data.items()
    }
    card = f"---\nconfigs:\n- config_name: {config}\n  data_files:\n" + "".join(
        f"  - split: {split}\n    path: {config}/{split}-*\n" for split in data
    )
    return Repository("dataset", {"README.md": f"{card}---\n".encode(), **files})


def converted_parquet(data: DatasetDict) -> Repository:
    """What the hub makes of a data set that is a script, on a branch of its own."""
    files = {f"default/{split}/0000.parquet": _bytes(rows) for split, rows in data.items()}
    return Repository("dataset", files, branch="refs/convert/parquet")


def emotions() -> DatasetDict:
    """Sentences with six unbalanced emotions: invented, filled up with words from questions."""
    words = " ".join(load("short_texts")["train"]["text"][:]).lower().split()
    features = Features(text=Value("string"), label=ClassLabel(names=[*EMOTIONS]))
    return DatasetDict(
        {
            split: Dataset.from_list([*_feelings(size, words, random.Random(split))], features)
            for split, size in SIZES.items()
        }
    )


def questions() -> DatasetDict:
    """The packaged questions, in the splits and under the label names of the original."""
    data = load("questions")
    train = concatenate_datasets([data["train"], data["validation"]])
    original = DatasetDict(train=train, test=data["test"])
    return original.cast_column("coarse_label", ClassLabel(names=[*COARSE]))


def _feelings(size: int, words: list[str], rng: random.Random) -> Iterator[dict[str, str]]:
    shares = [share for share, _ in EMOTIONS.values()]
    for label in rng.choices([*EMOTIONS], shares, k=size):
        feeling = rng.choice(EMOTIONS[label][1].split())
        rest = rng.choices(words, k=rng.randint(3, 15))
        yield {"text": " ".join(["i feel", feeling, "about", *rest]), "label": label}


def _bytes(rows: Dataset) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        rows.to_parquet(path)
        return path.read_bytes()
