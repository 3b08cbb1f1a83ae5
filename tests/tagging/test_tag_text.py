"""Tagged text: against a pass by hand, a model that knows no context, and parsed HTML."""

import re
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from IPython.core.formatters import DisplayFormatter

from utils.models.inputs import max_tokens
from utils.plotting.style import PALETTE
from utils.tagging import EncoderForTokenClassification, Entity, TaggedText, TaggingError, tag_text
from utils.tagging.model import TokenClassifierConfig
from utils.tagging.text import best_windows, word_windows

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
GERMAN = "Jeff Dean ist Informatiker bei Google in Kalifornien."
TEXTS = [
    GERMAN,
    "Je suis née à Genève, j'habite à Neuchâtel !",
    "Demain on meeting avec Frau Müller in Zürich?",  # code-switched
    "I ❤️ 東京",
]


def tagger(tokenizer, family=transformers.BertConfig, positions=512, num_layers=1, **options):
    """Random weights under the tokenizer's vocabulary, dropout on."""
    torch.manual_seed(0)
    encoder = family(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=num_layers,
        num_attention_heads=2, intermediate_size=16, max_position_embeddings=positions,
        initializer_range=0.3, **options,
    )  # fmt: skip
    model = EncoderForTokenClassification(TokenClassifierConfig.from_tags(encoder, NAMES))
    return model.train()


def without_context(tokenizer, **options):
    """The tag depends on nothing but the token."""
    model = tagger(tokenizer, num_layers=0, **options)
    torch.nn.init.zeros_(model.body.embeddings.position_embeddings.weight)
    return model


def by_hand(words, model, tokenizer):
    """Tags of the first tokens, from one pass over all."""
    encoding = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        best = model.eval()(**encoding).logits[0].argmax(-1).tolist()
    word_ids = encoding.word_ids(0)
    firsts = [place for place, word in enumerate(word_ids) if word not in [None, *word_ids[:place]]]
    return [NAMES[best[place]] for place in firsts]


@pytest.mark.parametrize("text", TEXTS[:3])
def test_tags_are_those_of_the_first_tokens(text, tokenizer):
    model = tagger(tokenizer)
    tagged = tag_text(text, model, tokenizer)
    assert tagged.words == re.findall(r"\w+|[^\w\s]", text)
    assert tagged.tags == by_hand(tagged.words, model, tokenizer)
    assert len(set(tagged.tags)) > 1


def test_the_models_of_the_library_are_welcome(wordpiece):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(wordpiece), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, initializer_range=1.0, id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    model = transformers.BertForTokenClassification(config)
    tagged = tag_text(GERMAN, model, wordpiece)
    assert tagged.tags == by_hand(tagged.words, model, wordpiece)


def test_dropout_is_off_for_the_while(wordpiece):
    model = tagger(wordpiece, hidden_dropout_prob=0.9)
    first = tag_text(GERMAN, model, wordpiece).tags
    assert model.training
    assert all(tag_text(GERMAN, model, wordpiece).tags == first for _ in range(5))
    tag_text(GERMAN, model.eval(), wordpiece)
    assert not model.training


def test_every_word_has_a_tag(tokenizer):
    """Also the variation selector, of which WordPiece leaves nothing."""
    tagged = tag_text(TEXTS[3], tagger(tokenizer), tokenizer)
    assert tagged.words == ["I", "❤", "\ufe0f", "東京"]
    assert tagged.frame.loc["Words"].tolist() == tagged.words
    assert tagged.frame.loc["Tags"].tolist() == tagged.tags


def test_accents_may_be_composed_or_not(tokenizer):
    model = tagger(tokenizer)
    composed = tag_text(TEXTS[1], model, tokenizer)
    decomposed = tag_text(unicodedata.normalize("NFD", TEXTS[1]), model, tokenizer)
    assert decomposed.words == composed.words
    assert decomposed.tags == composed.tags
    assert decomposed.text == TEXTS[1]


# Long texts


@pytest.mark.parametrize(
    ("family", "positions"), [(transformers.BertConfig, 32), (transformers.XLMRobertaConfig, 34)]
)
def test_long_texts_lose_no_word(family, positions, tokenizer):
    """A model without context must say the same in windows as of each word alone."""
    padding = {"pad_token_id": 1} if family is transformers.XLMRobertaConfig else {}
    model = without_context(tokenizer, family=family, positions=positions, **padding)
    assert max_tokens(model, tokenizer) == 32
    tagged = tag_text(" ".join(TEXTS[:3] * 40), model, tokenizer)
    assert tagged.words == re.findall(r"\w+|[^\w\s]", " ".join(TEXTS[:3] * 40))
    alone = {word: tag_text(word, model, tokenizer).tags[0] for word in set(tagged.words)}
    assert tagged.tags == [alone[word] for word in tagged.words]


def test_a_text_that_just_fits_is_read_at_once(wordpiece):
    model = tagger(wordpiece, positions=22)
    words = ["blue", "lamp", "in", "Bern"] * 5  # each of them one token
    assert tag_text(" ".join(words), model, wordpiece).tags == by_hand(words, model, wordpiece)


def test_a_longer_text_takes_each_tag_from_the_window_with_most_context(wordpiece):
    model = tagger(wordpiece, positions=22)
    words = ["blue", "lamp", "in", "Bern", "."] * 5
    tags = tag_text(" ".join(words), model, wordpiece).tags
    # room for 20 tokens: words 0 to 19, and 15 to 24; word 17 is 2 from both borders
    first, second = (by_hand(part, model, wordpiece) for part in (words[:20], words[15:]))
    assert tags == first[:18] + second[3:]
    assert first[15:] != second[:5]  # else this would show nothing


def test_windows_cover_all_words_with_the_overlap():
    rng = np.random.default_rng(0)
    for _ in range(200):
        lengths = rng.geometric(0.4, size=rng.integers(1, 200)).clip(max=12).tolist()
        windows = word_windows(lengths, room=40)
        assert windows[0].start == 0
        assert windows[-1].stop == len(lengths)
        assert all(sum(lengths[word] for word in window) <= 40 for window in windows)
        for before, after in pairwise(windows):
            assert before.start < after.start <= before.stop < after.stop
            shared = sum(lengths[word] for word in range(after.start, before.stop))
            fits = 40 - lengths[before.stop]  # a long word may leave less room for the overlap
            assert min(10, fits) - 12 < shared <= 10


def test_each_word_is_read_where_its_poorer_side_is_longest():
    windows = word_windows([1, 2, 3, 1, 1] * 30, room=40)
    for word, chosen in enumerate(best_windows(windows)):
        sides = {
            number: min(word - window.start, window[-1] - word)
            for number, window in enumerate(windows)
            if word in window
        }
        assert sides[chosen] == max(sides.values())


def test_long_words_leave_no_room_for_an_overlap():
    assert word_windows([1, 10, 10, 1, 10], room=10) == [
        range(1), range(1, 2), range(2, 3), range(3, 4), range(4, 5)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("see " + "xq" * 30, r"^Word 1 of the text has \d+ tokens, more than the 14 .*: break it"),
        ("  \n\t", r"^The text has no words: give one with a letter"),
    ],
)
def test_what_cannot_be_tagged_gets_one_sentence(text, message, wordpiece):
    with pytest.raises(TaggingError, match=message):
        tag_text(text, tagger(wordpiece, positions=16), wordpiece)


# What readers see


def tagged_text(text, tags, types=("PER", "ORG", "LOC")):
    matches = list(re.finditer(r"\w+|[^\w\s]", text))
    spans, words = [match.span() for match in matches], [match.group() for match in matches]
    return TaggedText(text, words, tags.split(), spans, list(types))


JEFF = tagged_text(
    "Jeff  Dean (<b>Google</b>) & Co\nin Bern",
    "B-PER I-PER O O O O B-ORG O O O O O O B-ORG O B-LOC",
)


def test_entities_have_character_offsets():
    assert JEFF.entities == [
        Entity("PER", "Jeff  Dean", 0, 10),
        Entity("ORG", "Google", 15, 21),
        Entity("ORG", "Co", 29, 31),
        Entity("LOC", "Bern", 35, 39),
    ]
    for entity in JEFF.entities:
        assert JEFF.text[entity.start : entity.end] == entity.text


def test_a_continuation_of_nothing_starts_an_entity():
    tagged = tagged_text("Jeff Dean Google", "B-PER I-ORG I-ORG")
    assert [(e.type, e.text) for e in tagged.entities] == [("PER", "Jeff"), ("ORG", "Dean Google")]


class Page(HTMLParser):
    """All text, the texts in each mark, and all elements with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.text, self.marks, self.elements, self.open = "", [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)
        if tag == "mark":
            self.marks.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "mark" in self.open:
            self.marks[-1].append(data)
        if "small" not in self.open:
            self.text += data


def test_html_marks_the_entities_in_the_text_as_it_is():
    page = Page(JEFF.to_html())
    assert page.marks == [
        ["Jeff  Dean\xa0", "PER"], ["Google\xa0", "ORG"], ["Co\xa0", "ORG"], ["Bern\xa0", "LOC"]
    ]  # fmt: skip
    assert page.text.replace("\xa0", "") == JEFF.text
    assert {tag for tag, _ in page.elements} == {"div", "mark", "small"}
    assert {name for _, attributes in page.elements for name in attributes} == {"dir", "style"}
    assert "url(" not in JEFF.to_html()  # it needs nothing but itself


def luminance(color):
    """WCAG 2.2, relative luminance."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_colour_is_legible_and_stands_for_one_type():
    types = [f"type{number}" for number in range(11)]  # more than there are colours
    text = " ".join(types)
    tagged = tagged_text(text, " ".join(f"B-{kind}" for kind in types), types)
    styles = [
        attributes["style"] for tag, attributes in Page(tagged.to_html()).elements if tag == "mark"
    ]
    colors = [re.findall(r"#[0-9a-f]{6}", style) for style in styles]
    assert len({background for background, _ in colors}) == len(PALETTE)
    assert len(colors) == len(types)
    for background, ink in colors:
        light, dark = luminance(background), luminance(ink)
        assert (light + 0.05) / (dark + 0.05) >= 7  # WCAG 2.2, level AAA


def test_a_type_keeps_its_colour_from_text_to_text(wordpiece):
    model = without_context(wordpiece)
    assert tag_text("Bern", model, wordpiece).types == ["PER", "ORG", "LOC"]
    alone = tagged_text("Bern", "B-LOC").to_html()
    assert re.search(r"<mark.*</mark>", alone).group() in JEFF.to_html()


def test_the_plain_form_is_readable():
    expected = "[Jeff  Dean: PER] (<b>[Google: ORG]</b>) & [Co: ORG]\nin [Bern: LOC]"
    assert str(JEFF) == expected
    shown, _ = DisplayFormatter().format(JEFF)
    assert shown == {"text/plain": expected, "text/html": JEFF.to_html()}


def test_a_text_with_half_of_a_character_and_a_damaged_model_are_refused(tokenizer):
    model = tagger(tokenizer)
    with pytest.raises(ValueError, match="holds a lone surrogate"):
        tag_text("hi \ud83d", model, tokenizer)
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    with pytest.raises(ValueError, match=r"^Some of the model's logits are NaN"):
        tag_text("Bern", model, tokenizer)


@pytest.mark.parametrize("words", [3, 700])
def test_without_any_limit_a_text_is_read_at_once(wordpiece, words):
    """Bloom's positions are distances, and the tokenizer names no limit."""
    torch.manual_seed(0)
    config = transformers.BloomConfig(
        vocab_size=len(wordpiece), hidden_size=16, n_layer=1, n_head=2, num_labels=len(NAMES),
        id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    model = transformers.BloomForTokenClassification(config)
    wordpiece.model_max_length = 10**30
    assert len(tag_text("lamp " * words, model, wordpiece).tags) == words
