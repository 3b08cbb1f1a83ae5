"""The gazetteer on rules that can be checked by eye, and on the annotated sentences."""

import hashlib
import tomllib

import pytest
from datasets import ClassLabel, Dataset, concatenate_datasets
from seqeval.metrics import precision_score, recall_score
from seqeval.scheme import IOB2, Entities

from utils.assets.datasets import load
from utils.assets.words import TOKEN
from utils.tagging import ENTITY_TAGS, Gazetteer, TaggingError, gold_sentences, split_sentences
from utils.tagging.gold import GOLD

TOPICS = ["geography", "history", "people", "physical sciences", "society and social sciences"]
ARTICLES = [  # language, title, text, description, topic
    ("en", "New York City", "", "Most populous city in the United States", "geography"),
    ("en", "York", "", "City in England", "geography"),
    ("en", "Korea", "", "Region of East Asia", "geography"),
    ("en", "Korean War", "", "1950-1953 conflict between North and South", "history"),
    ("en", "War in Korea", "", "Military conflict", "history"),
    ("en", "Desert", "We saw a desert, a desert.", "Barren area of landscape", "geography"),
    ("en", "Mercury (planet)", "", "First planet from the Sun", "physical sciences"),
    ("en", "Marie Curie", "They met Curie.", "Polish-French physicist (1867-1934)", "people"),
    ("en", "Eugene of Savoy", "They saw Savoy.", "Field marshal", "people"),
    ("en", "Peter II", "", "Emperor of Russia", "people"),
    ("en", "Arthur Wellesley, 1st Duke of Wellington", "", "British statesman", "people"),
    ("en", "Pink Floyd", "", "English rock band", "people"),
    ("en", "Harvard University", "", "Private university in Massachusetts", TOPICS[4]),
    ("en", "College", "A College, a college.", "Educational institution", TOPICS[4]),
    ("es", "Mar Rojo", "Es un mar.", "mar entre África y Asia", "geography"),
    ("es", "Viena", "", "capital de Austria", "geography"),
    ("fr", "Europe de l'Ouest", "", "région d'Europe", "geography"),
]


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    names = ("language", "title", "text", "description", "topic")
    articles = Dataset.from_list([dict(zip(names, row, strict=True)) for row in ARTICLES])
    return Gazetteer.from_articles(articles.cast_column("topic", ClassLabel(names=TOPICS)))


def entities(gazetteer: Gazetteer, text: str, language: str = "en") -> list[tuple[str, str]]:
    """(words, type) of what is found, the spans as seqeval reads the tags."""
    tokens = TOKEN.findall(text)
    found = Entities([gazetteer.tag(tokens, language)], IOB2).entities[0]
    return [(" ".join(tokens[entity.start : entity.end]), entity.tag) for entity in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He left New York City for York.", [("New York City", "LOC"), ("York", "LOC")]),
        ("He saw Mercury.", [("Mercury", "LOC")]),
        ("In Peter II and Arthur Wellesley", [("Peter II", "PER"), ("Arthur Wellesley", "PER")]),
        ("a song by Pink Floyd", [("Pink Floyd", "ORG")]),
        ("at Harvard University", [("Harvard University", "ORG")]),
        ("new york city", []),
        ("", []),
    ],
)
def test_titles_are_found_as_what_their_articles_are_about(gazetteer, text, expected):
    assert entities(gazetteer, text) == expected


def test_names_inside_the_titles_of_events_are_not_entities(gazetteer):
    assert entities(gazetteer, "Before the War in Korea he saw Korea.") == [("Korea", "LOC")]


def test_titles_that_are_common_nouns_are_not_names(gazetteer):
    assert entities(gazetteer, "Desert is dry and College is long.") == []


def test_a_family_name_counts_alone_only(gazetteer):
    assert entities(gazetteer, "Later Marie Curie and then Curie spoke.") == [
        ("Marie Curie", "PER"),
        ("Curie", "PER"),
    ]
    assert entities(gazetteer, "the Curie Institute and the Joliot-Curie family") == []
    assert entities(gazetteer, "the house of Savoy") == []  # of "Eugene of Savoy"


def test_a_kind_of_place_in_lower_case_is_outside(gazetteer):
    assert entities(gazetteer, "junto al mar Rojo", "es") == [("Rojo", "LOC")]
    assert entities(gazetteer, "El Mar Rojo", "es") == [("Mar Rojo", "LOC")]


def test_both_apostrophes_match(gazetteer):
    for apostrophe in ("'", "\u2019"):
        text = f"en Europe de l{apostrophe}Ouest"
        assert len(gazetteer.tag(TOKEN.findall(text), "fr")) == 6
        assert gazetteer.tag(TOKEN.findall(text), "fr")[1:] == ["B-LOC", *["I-LOC"] * 4]


def test_a_language_knows_the_names_of_the_others(gazetteer):
    assert entities(gazetteer, "born in Viena") == [("Viena", "LOC")]


def test_what_cannot_be_tagged_is_said_in_a_sentence(gazetteer):
    with pytest.raises(TaggingError, match=r"no names in 'de': choose one of \['en', 'es', 'fr'\]"):
        gazetteer.tag(["Berlin"], "de")
    with pytest.raises(TaggingError, match="no column 'description': take the packaged"):
        Gazetteer.from_articles(Dataset.from_dict({"title": ["A"], "text": ["b"]}))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("He met J. K. Rowling, St. John and Dr. Who. They left.", 2),
        ("Mort en 44 av. J.-C. Il est romain.", 2),
        ("« Un » (deux.) Trois.\nquatre", 3),
        ("Nació en 1950. ¿Dónde? ¡Allí!", 3),
        ("It has 2.3 million, i.e. many.", 1),
        (" \n ", 0),
    ],
)
def test_sentences(text, count):
    parts = split_sentences(text)
    assert len(parts) == count
    assert "".join("".join(parts).split()) == "".join(text.split())  # nothing is lost


@pytest.fixture(scope="module")
def wiki():
    return load("wiki")


@pytest.fixture(scope="module")
def gold(wiki):
    return gold_sentences(wiki["test"])


def test_gold_sentences_are_those_with_the_smallest_hashes(wiki):
    drawn = {"en": 40, "fr": 30, "es": 30}
    hashes = {code: [] for code in drawn}
    for article in wiki["test"]:
        for sentence in split_sentences(article["text"]):
            if 5 <= len(TOKEN.findall(sentence)) <= 40:
                hashes[article["language"]].append(hashlib.sha256(sentence.encode()).hexdigest())
    expected = [
        sha256[:12] for code, size in drawn.items() for sha256 in sorted(hashes[code])[:size]
    ]
    annotated = tomllib.loads(GOLD.read_text(encoding="utf-8"))["sentences"]
    assert [sentence["sha256"] for sentence in annotated] == expected


def test_gold_tags_cover_the_words_that_were_annotated(gold):
    rows = [row for row in gold if row["title"] in ("Common starling", "Francisco (papa)")]
    words = [
        [(word, tag) for word, tag in zip(row["tokens"], row["tags"], strict=True) if tag]
        for row in rows
    ]
    assert words[0] == [("Pliny", 1), ("the", 2), ("Elder", 2), ("William", 1), ("Shakespeare", 2)]
    assert " ".join(word for word, _ in words[1][4:]) == "Iglesia católica Ciudad del Vaticano"
    assert [tag for _, tag in words[1]] == [1, 1, 2, 2, 3, 4, 5, 6, 6]


def test_gold_annotations_lie_inside_their_sentences_and_do_not_overlap(gold):
    sentences = tomllib.loads(GOLD.read_text(encoding="utf-8"))["sentences"]
    assert len({(s["language"], s["title"], s["number"]) for s in sentences}) == 100
    for sentence, tokens in zip(sentences, gold["tokens"], strict=True):
        borders = [at for first, last, _ in sentence["entities"] for at in (first, last + 1)]
        assert borders == sorted(borders)
        assert all(0 <= border <= len(tokens) for border in borders)
        assert all(first <= last for first, last, _ in sentence["entities"])
        assert {kind for *_, kind in sentence["entities"]} <= {"PER", "ORG", "LOC"}


def test_gold_sentences_of_other_texts_are_refused(wiki):
    news = wiki["test"].filter(lambda title: title == "News", input_columns="title")
    changed = news.map(lambda row: {"text": row["text"].replace("News is", "News was")})
    for articles in (wiki["validation"], changed):
        with pytest.raises(TaggingError, match="Sentence 0 of 'News' is not the one that was anno"):
            gold_sentences(articles)


def test_precision_and_recall_are_those_that_were_measured_once(wiki, gold):
    gazetteer = Gazetteer.from_articles(concatenate_datasets([*wiki.values()]))
    truth = [[ENTITY_TAGS[tag] for tag in row["tags"]] for row in gold]
    found = [gazetteer.tag(row["tokens"], row["language"]) for row in gold]
    strict = {"mode": "strict", "scheme": IOB2}
    assert precision_score(truth, found, **strict) == pytest.approx(42 / 51)
    assert recall_score(truth, found, **strict) == pytest.approx(42 / 84)
