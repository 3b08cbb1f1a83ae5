"""Entity metrics: seqeval, a toy report by hand, and scipy's bootstrap."""

import numpy as np
import pytest
import scipy.stats
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from transformers import EvalPrediction

from utils.benchmarking import Difference
from utils.tagging import (
    IGNORED,
    TaggingError,
    entities,
    entity_report,
    f1_difference,
    f1_interval,
    iob2_violations,
    tagging_metrics,
)
from utils.tagging.metrics import entity_counts

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-MISC", "I-MISC"]
GOLD = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
EARLY = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]


def random_sentences(count, seed):
    """Any tags in any order, so that many do not follow IOB2."""
    rng = np.random.default_rng(seed)
    return [rng.choice(NAMES, size=rng.integers(1, 12)).tolist() for _ in range(count)]


def noisy(sentences, rate, seed):
    """Each tag replaced at that rate."""
    rng = np.random.default_rng(seed)
    return [
        [rng.choice(NAMES).item() if rng.random() < rate else tag for tag in tags]
        for tags in sentences
    ]


PERCENTILE = {
    "method": "percentile", "n_resamples": 8000, "paired": True, "vectorized": False, "rng": 0
}  # fmt: skip


def test_the_report_of_an_entity_begun_too_early():
    """Spec: MISC 0, PER 1, all averages 0.5, supports 1, 1 and 2."""
    report = entity_report(GOLD, EARLY)
    assert list(report.index) == ["MISC", "PER", "micro", "macro", "weighted"]
    assert report.f1.tolist() == [0, 1, 0.5, 0.5, 0.5]
    assert report.precision.tolist() == report.recall.tolist() == report.f1.tolist()
    assert report.support.tolist() == [1, 1, 2, 2, 2]


@pytest.mark.filterwarnings("error")
def test_a_type_on_one_side_only_scores_zero():
    report = entity_report([["B-PER", "O", "B-ORG"]], [["B-PER", "B-MISC", "O"]])
    assert report.f1[["MISC", "ORG", "PER"]].tolist() == [0, 0, 1]
    assert report.support[["MISC", "ORG", "PER"]].tolist() == [0, 1, 1]


def test_entities_of_any_tags_are_those_of_seqeval():
    for tags in random_sentences(300, seed=1):
        assert [tuple(span) for span in entities(tags)] == get_entities(tags)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),
        ("B-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),
        ("O I-PER I-PER", [("PER", 1, 2)]),
        ("B-PER I-ORG I-ORG", [("PER", 0, 0), ("ORG", 1, 2)]),
        ("B-hour-of-day I-hour-of-day", [("hour-of-day", 0, 1)]),
        ("O O", []),
    ],
)
def test_where_entities_start_and_end(tags, spans):
    assert entities(tags.split()) == spans


def test_violations_are_continuations_of_nothing():
    sentences = [
        "B-PER I-PER I-PER O B-ORG B-ORG I-ORG",  # none
        "I-PER I-PER",  # the first, not the second
        "B-PER I-ORG O I-ORG",  # two
        "B-PER",
        "I-PER",  # the sentence before does not count
    ]
    assert iob2_violations([tags.split() for tags in sentences]) == 4
    assert iob2_violations(GOLD) == 0


def test_the_value_is_the_f1_of_seqeval():
    for seed in range(10):
        gold = random_sentences(30, seed)
        predicted = noisy(gold, 0.1 * seed, seed + 100)
        assert f1_interval(gold, predicted, resamples=1).value == pytest.approx(
            f1_score(gold, predicted, zero_division=0), abs=1e-12
        )


def f1_of_rows(found, predicted, gold):
    return 2 * found.sum() / (predicted.sum() + gold.sum())


def assert_same_interval(interval, reference):
    """Apart from chance: one of 90 % would be 8 % of the width off at each end."""
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.04 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.04 * width)


def test_the_interval_is_the_percentile_bootstrap_over_sentences():
    gold = random_sentences(40, seed=3)
    predicted = noisy(gold, 0.3, seed=4)
    counts = entity_counts(gold, predicted)
    reference = scipy.stats.bootstrap(counts.T, f1_of_rows, **PERCENTILE).confidence_interval
    interval = f1_interval(gold, predicted, resamples=8000)
    assert_same_interval(interval, reference)
    assert interval.low < interval.value < interval.high


def test_the_difference_takes_the_same_sentences_of_both():
    gold = random_sentences(40, seed=5)
    a = noisy(gold, 0.2, seed=6)
    b = noisy(a, 0.1, seed=7)  # mostly the faults of a
    counts = np.concatenate([entity_counts(gold, a), entity_counts(gold, b)], axis=1)
    reference = scipy.stats.bootstrap(
        counts.T, lambda *c: f1_of_rows(*c[:3]) - f1_of_rows(*c[3:]), **PERCENTILE
    ).confidence_interval
    difference = f1_difference(gold, a, b, resamples=8000)
    assert isinstance(difference, Difference)
    assert difference.value == pytest.approx(f1_score(gold, a) - f1_score(gold, b))
    assert_same_interval(difference, reference)


def test_the_two_taggers_can_be_exchanged():
    gold = random_sentences(40, seed=8)
    a, b = noisy(gold, 0.2, seed=9), noisy(gold, 0.4, seed=10)
    there, back = f1_difference(gold, a, b), f1_difference(gold, b, a)
    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )
    assert f1_difference(gold, a, a) == Difference(0, 0, 0)


def test_intervals_depend_on_the_seed_alone():
    gold = random_sentences(40, seed=11)
    predicted = noisy(gold, 0.4, seed=12)
    assert f1_interval(gold, predicted, seed=1) == f1_interval(gold, predicted, seed=1)
    assert f1_interval(gold, predicted, seed=1) != f1_interval(gold, predicted, seed=2)


def evaluation(gold, predicted):
    """As `Trainer` gives it: padded, the special tokens ignored."""
    width = 2 + max(map(len, gold))
    label_ids = np.full((len(gold), width), IGNORED)
    predictions = np.zeros((len(gold), width, len(NAMES)))
    for row, (tags, guesses) in enumerate(zip(gold, predicted, strict=True)):
        label_ids[row, 1 : 1 + len(tags)] = [NAMES.index(tag) for tag in tags]
        predictions[row, 1 : 1 + len(tags)] = np.eye(len(NAMES))[[*map(NAMES.index, guesses)]]
    return EvalPrediction(predictions=predictions, label_ids=label_ids)


def test_metrics_for_the_trainer():
    scores = tagging_metrics(NAMES)(evaluation(GOLD, EARLY))
    assert scores == {"f1": 0.5, "precision": 0.5, "recall": 0.5, "accuracy": 0.8}
    assert {type(score) for score in scores.values()} == {float}


@pytest.mark.filterwarnings("error")
def test_accuracy_flatters_who_finds_nothing():
    scores = tagging_metrics(NAMES)(evaluation(GOLD, [["O"] * len(tags) for tags in GOLD]))
    assert scores == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 0.5}


def test_gold_against_itself_is_perfect():
    assert f1_interval(GOLD, GOLD) == (1, 1, 1)
    assert set(tagging_metrics(NAMES)(evaluation(GOLD, GOLD)).values()) == {1}


@pytest.mark.parametrize("predicted", [EARLY[:1], EARLY[::-1], []])
@pytest.mark.parametrize("measure", [f1_interval, entity_report])
def test_other_sentences_get_one_sentence(measure, predicted):
    with pytest.raises(TaggingError, match=r"^There are 2 sentences .* of the same sentences\.$"):
        measure(GOLD, predicted)


def test_nothing_to_count_gets_one_sentence():
    with pytest.raises(TaggingError, match=r"^There are 0 sentences of gold tags"):
        f1_interval([], [])
    with pytest.raises(TaggingError, match=r"^There is no entity in gold or predicted tags"):
        entity_report([["O"]], [["O"]])
    with pytest.raises(TaggingError, match=r"^resamples is 0: give 1 or more\.$"):
        f1_interval(GOLD, EARLY, resamples=0)


@pytest.mark.parametrize("tag", ["PER", "S-PER", "B-", "O-PER", "", "IGN"])
def test_other_tags_get_one_sentence(tag):
    with pytest.raises(
        TaggingError, match=rf"^'{tag}' is no IOB2 tag: use O, B-TYPE and I-TYPE\.$"
    ):
        entities(["O", tag])
