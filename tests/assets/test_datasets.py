"""The real data sets, fetched with pip unless they are in the cache."""

import ast
import hashlib
import json
import re
import zipfile
from collections import Counter
from itertools import combinations

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from utils.assets.catalog import load_catalog
from utils.assets.datasets import card, counts, load
from utils.assets.errors import AssetError
from utils.assets.fetch import fetch, original
from utils.assets.home.intents import read_commands
from utils.assets.splits import hold_out, hold_out_groups
from utils.assets.words import TOKEN

DIGESTS = {  # of all rows in their order
    "short_texts": "f2fc404d39a182c2",
    "questions": "6d4d8a29c846a440",
    "tweets": "5dc10277189b60be",
    "wiki": "96159fce1d00fc5e",
    "papers": "6ae35547e05cc879",
    "conversations": "dcf951dd63d1ced2",
    "intents_oos": "2c3f79b6fdd5044c",
    "slots": "f2eba982e19f91e1",
    "code": "013e2975b588113c",
    "squad": "e6e4fcd09228814a",
    "reviews": "156e0c94134c0fec",
}
NAMES = [*DIGESTS]
LABELS = {"short_texts": "label", "questions": "coarse_label", "tweets": "label", "wiki": "topic"}


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
def test_a_data_set_and_its_card_are_as_catalogued(
    loaded: dict[str, DatasetDict], name: str
) -> None:
    asset, text = load_catalog().assets[name], card(name)
    assert loaded[name].num_rows == asset.splits
    assert all(set(asset.columns) <= set(split.column_names) for split in loaded[name].values())
    assert asset.packaged.source in text
    assert f"Licence: {asset.packaged.licence}" in text
    assert f"train {asset.splits['train']:,}" in text
    assert all(f"`{column}`" in text for column in asset.columns)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_stands_in_two_splits(loaded: dict[str, DatasetDict], name: str) -> None:
    columns = {"papers": "document", "conversations": "dialogue", "code": "content"}
    columns |= {"squad": "context"}
    plain = [
        {re.sub(r"[\W_]", "", text.lower()) for text in split[columns.get(name, "text")]}
        for split in loaded[name].values()
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(plain, 2))


@pytest.mark.parametrize(("name", "column"), LABELS.items())
def test_classes_keep_their_proportions(
    loaded: dict[str, DatasetDict], name: str, column: str
) -> None:
    train = loaded[name]["train"]
    for split in ("validation", "test"):
        held_out = label_counts(loaded[name][split], column)
        for label, count in label_counts(train, column).items():
            share = held_out[label] / held_out.total()
            assert share == pytest.approx(count / len(train), abs=0.025)


@pytest.mark.parametrize(("name", "digest"), DIGESTS.items())
def test_rows_and_their_order_never_change(
    loaded: dict[str, DatasetDict], name: str, digest: str
) -> None:
    rows = json.dumps({split: data[:] for split, data in loaded[name].items()})
    assert hashlib.sha256(rows.encode()).hexdigest()[:16] == digest


def test_answers_are_spans_of_their_passages(loaded: dict[str, DatasetDict]) -> None:
    for row in [
        *loaded["squad"]["validation"].select(range(0, 10_570, 50)),
        loaded["squad"]["test"][0],
    ]:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text
    titles = [set(split["title"][:]) for split in loaded["squad"].values()]
    assert all(one.isdisjoint(other) for one, other in combinations(titles, 2))


def test_reviews_are_clear_and_of_two_kinds(loaded: dict[str, DatasetDict]) -> None:
    lengths = {
        split: sum(len(text.split()) for text in rows["text"]) / len(rows)
        for split, rows in loaded["reviews"].items()
    }
    assert lengths["test"] > 10 * lengths["train"]
    assert label_counts(loaded["reviews"]["test"]) == {"neg": 97, "pos": 103}


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


def test_articles_have_one_set_of_topics(loaded: dict[str, DatasetDict]) -> None:
    rows = Counter(all_rows(loaded["wiki"], "language"))
    assert rows == {("en",): 9_033, ("fr",): 9_955, ("es",): 6_239}
    topics = loaded["wiki"]["train"].features["topic"]
    found = {
        (language, title): topics.names[topic]
        for language, title, topic in all_rows(loaded["wiki"], "language", "title", "topic")
    }
    assert found["en", "Titanium"] == found["fr", "Boson de Higgs"] == "physical sciences"
    assert found["en", "Kangaroo"] == found["fr", "Paludisme"] == "biology and health sciences"
    assert found["fr", "Julie Andrews"] == "people"
    assert found["es", "Comida rápida"] == "everyday life"
    assert len(set(found.values())) == 11


def test_papers_keep_their_authors_split(loaded: dict[str, DatasetDict]) -> None:
    lines = original("papers", "val.jsonl").read_text(encoding="utf-8").splitlines()
    papers = [json.loads(line) for line in lines]
    validation = loaded["papers"]["validation"]
    assert validation["id"] == [paper["id"] for paper in papers]
    for ours, paper in zip(validation, papers, strict=True):
        sentences = paper["sentences"]
        assert ours["document"].startswith(sentences["abstract"][0])
        assert ours["document"].endswith(sentences["conclusion"][-1])
        assert ours["summary"].split("\n") == list(paper["summary"].values())
        assert ours["outcome"] == paper["summary"]["outcome"]


def test_conversations_have_two_speakers_and_their_words(loaded: dict[str, DatasetDict]) -> None:
    chats = json.loads(original("conversations", "dataset.json").read_bytes())
    rows = all_rows(loaded["conversations"], "id", "dialogue")
    assert len({id for id, _ in rows}) == len(rows) == 3_243
    for id, dialogue in rows[::50]:
        lines = [line.split(": ", 1) for line in dialogue.split("\n")]
        turns = chats[id]["messages"]
        assert len(lines) == len(turns) >= 4
        assert {speaker for speaker, _ in lines} == {"A", "B"}
        words = [word for turn in turns for message in turn for word in message["text"].split()]
        assert [word for _, text in lines for word in text.split()] == words
        senders = [turn[0]["sender"] for turn in turns]
        assert [speaker == "A" for speaker, _ in lines] == [one == senders[0] for one in senders]


def test_queries_in_scope_are_the_commands_of_common_intents(
    loaded: dict[str, DatasetDict],
) -> None:
    commands = read_commands(original("intents_oos", "en.json").parent)
    columns = ("text", "intent", "skeleton")
    english = pd.DataFrame(
        [[getattr(c, column) for column in columns] for c in commands if c.language == "en"],
        columns=columns,
    )
    skeletons = english.skeleton.str.lower().groupby(english.intent).nunique()
    common = english[english.intent.isin(skeletons[skeletons >= 16].index)]
    expected = {*zip(common.text, common.intent, strict=True)}
    queries = loaded["intents_oos"]
    intents = queries["train"].features["intent"]
    ours = all_rows(queries, "text", "intent", "scope")
    assert {(text, intents.int2str(i)) for text, i, scope in ours if scope == "in"} == expected
    assert {intents.int2str(i) for _, i, scope in ours if scope != "in"} == {"oos"}
    skeleton_of = dict(zip(common.text, common.skeleton.str.lower(), strict=True))
    in_splits = [
        {skeleton_of[text] for text in rows["text"] if text in skeleton_of}
        for rows in queries.values()
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(in_splits, 2))


def test_queries_near_the_scope_are_of_other_intents_in_each_split(
    loaded: dict[str, DatasetDict],
) -> None:
    near = [
        {source for source, scope in all_rows({"": rows}, "source", "scope") if scope == "near"}
        for rows in loaded["intents_oos"].values()
    ]
    assert all(near)
    assert all(one.isdisjoint(other) for one, other in combinations(near, 2))


def test_code_is_python_under_a_known_licence(loaded: dict[str, DatasetDict]) -> None:
    packages = {
        split: set(all_rows(DatasetDict(split=data), "repo_name", "license"))
        for split, data in loaded["code"].items()
    }
    assert packages["test"] == {(name, "bsd-3-clause") for name in ("click", "Flask", "httpx")}
    assert packages["validation"] == {("requests", "apache-2.0"), ("Werkzeug", "bsd-3-clause")}
    assert {("rich", "mit"), ("nltk", "apache-2.0")} < packages["train"]
    for path, content in all_rows(loaded["code"], "path", "content")[::10]:
        ast.parse(content)
        assert max(map(len, content.splitlines())) <= 1_000
        assert not re.search(r"(^|/)tests?/", path)


def test_modules_are_those_of_the_wheel(loaded: dict[str, DatasetDict]) -> None:
    rows = all_rows(loaded["code"], "repo_name", "path", "content")
    ours = {path: content for package, path, content in rows if package == "click"}
    with zipfile.ZipFile(original("code", "click-8.3.0.whl")) as wheel:
        names = {name for name in wheel.namelist() if name.endswith(".py")}
        assert names == set(ours)
        assert all(wheel.read(name).decode() == content for name, content in ours.items())


def test_groups_stay_together() -> None:
    groups = ["a b", "A-b", "c", "c", "c", "d", "e", "f"]
    dataset = Dataset.from_dict({"text": list("12345678"), "group": groups})
    rest, held_out = hold_out_groups(dataset, 4, "group")
    assert 2 <= len(held_out) <= 4
    plain = [
        {group.lower().replace("-", " ") for group in part["group"]} for part in (rest, held_out)
    ]
    assert plain[0].isdisjoint(plain[1])
    assert sorted([*rest["text"], *held_out["text"]]) == list("12345678")


def test_near_duplicates_are_not_held_out() -> None:
    texts = ["So good!", "so GOOD", *(f"text {number}" for number in range(8))]
    features = Features(text=Value("string"), label=ClassLabel(names=["a", "b"]))
    dataset = Dataset.from_dict({"text": texts, "label": [0, 0, *[0, 1] * 4]}, features)
    rest, held_out = hold_out(dataset, 4)
    assert label_counts(held_out) == {"a": 2, "b": 2}
    assert set(rest["text"]) >= {"So good!", "so GOOD"}
    assert sorted([*rest["text"], *held_out["text"]]) == sorted(texts)


def test_an_unknown_data_set() -> None:
    with pytest.raises(AssetError, match='no dataset called "tweet"; choose one of: tweets'):
        load("tweet")


def test_counts_add_up_by_language(loaded: dict[str, DatasetDict]) -> None:
    table, data = counts("slots"), loaded["slots"]
    assert table.to_numpy().sum() == sum(data.num_rows.values())
    language, intent = (data["train"].features[name] for name in ("language", "intent"))
    wanted = (language.str2int("de"), intent.str2int("HassTurnOn"))
    turned_on = sum(
        list(zip(rows["language"], rows["intent"], strict=True)).count(wanted)
        for rows in data.values()
    )
    assert table.loc["HassTurnOn", "de"] == turned_on > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("السَّلَامُ عَلَيْكُمْ", ["السَّلَامُ", "عَلَيْكُمْ"]),
        ("cafe\u0301 à 3 km²!", ["cafe\u0301", "à", "3", "km²", "!"]),
        ("I ❤️ 東京", ["I", "❤", "\ufe0f", "東京"]),
    ],
)
def test_combining_marks_belong_to_their_word(text: str, words: list[str]) -> None:
    assert TOKEN.findall(text) == words
