"""The real data sets, fetched with pip unless they are in the cache."""

import hashlib
import json
import re
from collections import Counter
from itertools import combinations

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from utils.assets.catalog import load_catalog
from utils.assets.datasets import card, hold_out, load
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch

NAMES = ["short_texts", "questions", "tweets"]


@pytest.fixture(scope="module")
def loaded() -> dict[str, DatasetDict]:
    return {name: load(name) for name in NAMES}


def label_counts(dataset: Dataset, column: str = "label") -> Counter[str]:
    return Counter(dataset.features[column].int2str(dataset[column]))


def all_rows(data: DatasetDict, *columns: str) -> list[tuple]:
    return [
        row for split in data.values() for row in zip(*map(split.__getitem__, columns), strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_splits_have_the_catalogued_sizes(loaded: dict[str, DatasetDict], name: str) -> None:
    assert loaded[name].num_rows == load_catalog().assets[name].splits


@pytest.mark.parametrize("name", NAMES)
def test_no_text_stands_in_two_splits(loaded: dict[str, DatasetDict], name: str) -> None:
    plain = [
        {re.sub(r"[\W_]", "", text.lower()) for text in split["text"]}
        for split in loaded[name].values()
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(plain, 2))


@pytest.mark.parametrize("name", NAMES)
def test_classes_keep_their_proportions(loaded: dict[str, DatasetDict], name: str) -> None:
    column = "coarse_label" if name == "questions" else "label"
    train = loaded[name]["train"]
    for split in ("validation", "test"):
        held_out = label_counts(loaded[name][split], column)
        for label, count in label_counts(train, column).items():
            share = held_out[label] / held_out.total()
            assert share == pytest.approx(count / len(train), abs=0.025)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("short_texts", "f2fc404d39a182c2"),
        ("questions", "6d4d8a29c846a440"),
        ("tweets", "5dc10277189b60be"),
    ],
)
def test_rows_and_their_order_never_change(
    loaded: dict[str, DatasetDict], name: str, digest: str
) -> None:
    rows = json.dumps({split: data[:] for split, data in loaded[name].items()})
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == digest


def test_questions_are_those_of_the_file(loaded: dict[str, DatasetDict]) -> None:
    lines = (fetch("questions") / "question_labels.txt").read_bytes().splitlines()
    assert len(lines) == 15_452
    fine = loaded["questions"]["train"].features["fine_label"]
    ours = all_rows(loaded["questions"], "fine_label", "text")
    text = "\n".join(f"{fine.int2str(label)} {text}" for label, text in ours)
    damaged = b"sister\xef\xbf\xbdcity"
    assert set(text.encode().split(b"\n")) == {
        line.replace(damaged, b"sister city") for line in lines
    }
    assert len(ours) == 5_382


def test_the_six_classes(loaded: dict[str, DatasetDict]) -> None:
    names = ["abbreviation", "entity", "description", "human", "location", "number"]
    total = sum((label_counts(split) for split in loaded["short_texts"].values()), Counter())
    assert loaded["short_texts"]["train"].features["label"].names == names
    assert [total[name] for name in names] == [86, 1245, 1153, 1215, 824, 859]


def test_short_texts_are_the_questions_with_the_coarse_label(
    loaded: dict[str, DatasetDict],
) -> None:
    coarse = (
        loaded["questions"].remove_columns("fine_label").rename_columns({"coarse_label": "label"})
    )
    for split, dataset in loaded["short_texts"].items():
        assert dataset[:] == coarse[split][:]


def test_fine_labels_belong_to_their_coarse_label(loaded: dict[str, DatasetDict]) -> None:
    features = loaded["questions"]["train"].features
    pairs = set(all_rows(loaded["questions"], "coarse_label", "fine_label"))
    prefixes = {
        features["coarse_label"].names[coarse]: features["fine_label"].names[fine].split(":")[0]
        for coarse, fine in pairs
    }
    assert len(pairs) == 50
    assert prefixes == {
        "abbreviation": "ABBR",
        "entity": "ENTY",
        "description": "DESC",
        "human": "HUM",
        "location": "LOC",
        "number": "NUM",
    }


def test_tweets_in_three_classes(loaded: dict[str, DatasetDict]) -> None:
    total = sum((label_counts(split) for split in loaded["tweets"].values()), Counter())
    assert total == {"negative": 1087, "neutral": 813, "positive": 2300}
    names = ["negative", "neutral", "positive"]
    assert loaded["tweets"]["train"].features["label"].names == names


def test_tweets_read_as_in_tweet_eval(loaded: dict[str, DatasetDict]) -> None:
    raw = (fetch("tweets") / "tweets_GroundTruth.txt").read_text(encoding="utf-8").splitlines()
    tweets = [text for (text,) in all_rows(loaded["tweets"], "text")]
    assert not [tweet for tweet in tweets if re.search("&(amp|lt|gt|quot);|://|@anonymous", tweet)]
    for ours, theirs in {"@user": "@anonymous", "http": "http://url_removed"}.items():
        assert sum(ours in text for text in tweets) >= sum(theirs in line for line in raw) > 600
    assert "Wow, @user and @user I love today's PCW: http  Nice mix of cute" in "\n".join(tweets)


def test_the_raw_tweets_are_a_table() -> None:
    """Chapter 2 reads this file itself."""
    lines = (fetch("tweets") / "tweets_GroundTruth.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id\tsentiment\ttext"
    assert {line.count("\t") for line in lines} == {2}
    assert len(lines) == 4_201


def test_near_duplicates_are_not_held_out() -> None:
    texts = ["So good!", "so GOOD", *(f"text {number}" for number in range(8))]
    features = Features(text=Value("string"), label=ClassLabel(names=["a", "b"]))
    dataset = Dataset.from_dict({"text": texts, "label": [0, 0, *[0, 1] * 4]}, features)
    rest, held_out = hold_out(dataset, 4)
    assert label_counts(held_out) == {"a": 2, "b": 2}
    assert set(rest["text"]) >= {"So good!", "so GOOD"}
    assert sorted([*rest["text"], *held_out["text"]]) == sorted(texts)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_names_source_licence_and_sizes(name: str) -> None:
    asset = load_catalog().assets[name]
    text = card(name)
    assert asset.packaged.source in text
    assert f"Licence: {asset.packaged.licence}" in text
    assert f"train {asset.splits['train']:,}" in text


def test_an_unknown_data_set() -> None:
    with pytest.raises(AssetError, match='no dataset called "tweet"; choose one of: tweets'):
        load("tweet")
