"""Entity metrics: seqeval, a toy report by hand, and the bootstrap as a loop."""

import numpy as np
import pandas as pd
import pytest
from seqeval.metrics import f1_score

from utils.tagging import (
    TaggingError,
    entities,
    entity_report,
    f1_difference,
    f1_interval,
    iob2_violations,
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


def f1_of_rows(found, predicted, gold):
    return 2 * found.sum() / (predicted.sum() + gold.sum())


def interval_by_hand(counts, statistic):
    """The bootstrap over rows as a loop."""
    rng, size = np.random.default_rng(0), len(counts)
    draws = [statistic(*counts[rng.integers(size, size=size)].T) for _ in range(2000)]
    return np.percentile(draws, (2.5, 97.5))


def test_f1_is_that_of_seqeval_and_its_interval_the_bootstrap_over_sentences():
    gold = random_sentences(40, seed=3)
    predicted = noisy(gold, 0.3, seed=4)
    interval = f1_interval(gold, predicted)
    assert interval.value == pytest.approx(f1_score(gold, predicted))
    reference = interval_by_hand(entity_counts(gold, predicted), f1_of_rows)
    assert (interval.low, interval.high) == pytest.approx(reference)
    assert interval.low < interval.value < interval.high
    assert f1_interval(GOLD, GOLD) == (1, 1, 1)


def test_the_difference_takes_the_same_sentences_of_both():
    gold = random_sentences(40, seed=5)
    a = noisy(gold, 0.2, seed=6)
    b = noisy(a, 0.1, seed=7)  # mostly the faults of a
    difference = f1_difference(gold, a, b)
    assert difference.value == pytest.approx(f1_score(gold, a) - f1_score(gold, b))
    counts = np.concatenate([entity_counts(gold, a), entity_counts(gold, b)], axis=1)
    reference = interval_by_hand(counts, lambda *c: f1_of_rows(*c[:3]) - f1_of_rows(*c[3:]))
    assert (difference.low, difference.high) == pytest.approx(reference)
    back = f1_difference(gold, b, a)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-difference.value, -difference.high, -difference.low)
    )


@pytest.mark.parametrize("predicted", [EARLY[:1], EARLY[::-1], []])
@pytest.mark.parametrize("measure", [f1_interval, entity_report])
def test_other_sentences_get_one_sentence(measure, predicted):
    with pytest.raises(ValueError, match=r"^There are 2 sentences .* of the same sentences\.$"):
        measure(GOLD, predicted)


@pytest.mark.parametrize("measure", [f1_interval, entity_report])
def test_nothing_to_count_gets_one_sentence(measure):
    with pytest.raises(ValueError, match=r"^There are 0 sentences of gold tags"):
        measure([], [])
    with pytest.raises(ValueError, match=r"^There is no entity in gold or predicted tags"):
        measure([["O"]], [["O"]])


@pytest.mark.parametrize("tag", ["PER", "S-PER", "B-", "O-PER", "", "IGN"])
def test_other_tags_get_one_sentence(tag):
    with pytest.raises(
        TaggingError, match=rf"^'{tag}' is no IOB2 tag: use O, B-TYPE and I-TYPE\.$"
    ):
        entities(["O", tag])


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series])
def test_tags_come_in_any_sequence(kind):
    gold, found = [["B-PER", "I-PER", "O"], ["B-LOC"]], [["B-PER", "O", "O"], ["B-LOC"]]
    given = pd.Series([kind(tags) for tags in gold]), tuple(map(kind, found))
    pd.testing.assert_frame_equal(entity_report(*given), entity_report(gold, found))
    assert f1_interval(*given) == f1_interval(gold, found)
