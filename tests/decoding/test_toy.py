"""The toy model by hand: the article's tree, and one on which beam search loses to greedy."""

import math

import pytest
import torch
from small_models import ARTICLE, run

from utils.decoding import ToyLM, beam_search, greedy, sample
from utils.decoding.toy import END


def counter_example():
    """A leads to the best text, but both children of B are better than A's after two steps."""
    many = {str(number): 0.1 for number in range(10)}
    return {
        (): {"A": 0.40, "B": 0.35, "C": 0.25},
        ("A",): {"a": 0.4, "b": 0.3, "c": 0.3},
        ("B",): {"d": 0.5, "e": 0.5},
        ("C",): many,
        ("A", "a"): {"z": 1.0},
        ("A", "b"): many,
        ("A", "c"): many,
        ("B", "d"): many,
        ("B", "e"): many,
    }


def continued(strategy, toy, steps, prompt=None, **options):
    """Words and probability of the best continuation."""
    ids = toy.encode(prompt)
    prompts = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = run(strategy, toy, prompts, max_new_tokens=steps, **options)
    return toy.decode(found.new_ids[0]), math.exp(found.log_probs[0].sum())


def test_the_articles_tree():
    toy = ToyLM(ARTICLE)
    assert continued(greedy, toy, 2) == (("nice", "woman"), pytest.approx(0.2))
    beams = {"num_beams": 2}
    assert continued(beam_search, toy, 2, **beams) == (("dog", "has"), pytest.approx(0.36))
    paths = toy.exhaustive(2)
    assert paths[0] == (("dog", "has"), pytest.approx(0.36))
    assert paths[1] == (("nice", "woman"), pytest.approx(0.2))
    assert len(paths) == 9
    assert sum(prob for _, prob in paths) == pytest.approx(1)
    assert [prob for _, prob in paths] == sorted((prob for _, prob in paths), reverse=True)


def test_greedy_can_beat_beams():
    toy = ToyLM(counter_example())
    assert continued(greedy, toy, 3) == (("A", "a", "z"), pytest.approx(0.16))
    words, prob = continued(beam_search, toy, 3, num_beams=2)
    assert words[0] == "B"
    assert prob == pytest.approx(0.0175)
    assert toy.exhaustive(3)[0] == (("A", "a", "z"), pytest.approx(0.16))
    assert continued(beam_search, toy, 3, num_beams=3)[1] == pytest.approx(0.16)


def test_probabilities_of_words():
    toy = ToyLM(ARTICLE)
    assert toy.probability("dog has") == pytest.approx(0.36)
    assert toy.probability(("nice",)) == 0.5
    assert toy.probability("dog drives") == 0
    assert toy.probability(("dog", "has", END)) == pytest.approx(0.36)


def test_a_tree_can_begin_with_no_words():
    toy = ToyLM(counter_example())
    assert toy.prompt == ()
    assert toy.encode().shape == (1, 1)
    assert toy.encode("A").shape == (1, 2)
    assert toy.decode(toy.encode("A a")[0]) == ("A", "a")
    assert toy.probability("A a z") == pytest.approx(0.16)


def test_words_become_ids_and_back():
    toy = ToyLM(ARTICLE)
    assert toy.prompt == ("The",)
    assert toy.vocabulary[:4] == ("The", "nice", "dog", "car")
    assert toy.vocabulary[toy.eos_id] == END
    ids = toy.encode("The dog has")
    assert ids.tolist() == toy.encode(["The", "dog", "has"]).tolist()
    assert toy.decode(ids[0]) == ("The", "dog", "has")
    assert toy.decode([*ids[0].tolist(), toy.eos_id]) == ("The", "dog", "has")


def test_texts_end_where_the_tree_does():
    toy = ToyLM(ARTICLE)
    ids = toy.encode()
    cache = toy.new_cache(torch.ones_like(ids), 9)
    found = greedy(toy.step, ids, cache, max_new_tokens=9, eos_id=toy.eos_id)
    assert toy.decode(found.ids[0]) == ("The", "nice", "woman")
    assert found.num_new.item() == 3
    assert toy.exhaustive(9) == toy.exhaustive(2)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, r"^The tree is empty: give"),
        (
            {("The",): {"dog": 0.5, "car": 0.4}},
            r"^After \('The',\), the probabilities sum to 0.9, not to 1\.$",
        ),
        (
            {("The",): {"dog": 1.5, "car": -0.5}},
            r"^After \('The',\), a probability is not positive: leave such words out\.$",
        ),
        (
            {("The",): {"dog": 1.0}, ("The", "cat"): {"is": 1.0}},
            r"^\('The', 'cat'\) is never reached: 'cat' does not follow \('The',\)\.$",
        ),
        (
            {("The",): {"dog": 1.0}, ("A",): {"dog": 1.0}},
            r"^\('A',\) is never reached: 'A' does not follow \(\)\.$",
        ),
    ],
)
def test_trees_that_make_no_sense_get_one_sentence(tree, message):
    with pytest.raises(ValueError, match=message):
        ToyLM(tree)


def test_words_and_prompts_outside_the_tree_get_one_sentence():
    toy = ToyLM({("The",): {"dog": 1.0}})
    with pytest.raises(ValueError, match=r"^The tree has no word 'cat': it has The, dog, <end>\.$"):
        toy.encode("The cat")
    with pytest.raises(ValueError, match=r"^The tree has nothing after 'dog': begin with 'The'\.$"):
        continued(greedy, toy, 1, prompt="dog")


@pytest.mark.parametrize(
    ("strategy", "options"), [(greedy, {}), (sample, {}), (beam_search, {"num_beams": 2})]
)
def test_where_every_word_is_banned_all_strategies_say_so(strategy, options):
    toy = ToyLM({("a",): {"b": 1.0}, ("a", "b"): {"a": 1.0}, ("a", "b", "a"): {"b": 1.0}})
    ids = toy.encode()
    cache = toy.new_cache(torch.ones_like(ids), 3)
    with pytest.raises(ValueError, match=r"^Every token is ruled out: loosen what bans them"):
        strategy(toy.step, ids, cache, max_new_tokens=3, no_repeat_ngram_size=1, **options)
