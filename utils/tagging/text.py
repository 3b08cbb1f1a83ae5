"""Raw text in, entities out: shown inline, without a page, a script or a network."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.colors import to_hex
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from utils.assets.words import TOKEN
from utils.inputs import checked_logits, checked_texts
from utils.models.inputs import max_tokens
from utils.models.modes import evaluating
from utils.plotting.style import INK, category_colors, lighten
from utils.tagging.alignment import encode_words
from utils.tagging.errors import TaggingError
from utils.tagging.metrics import entities

WINDOWS_PER_BATCH = 8
OVERLAP = 0.25  # of a window, at least, with the one before it
TINT = 0.3  # light enough for text on every colour
LINES = '<div dir="auto" style="white-space: pre-wrap; line-height: 2">{}</div>'
MARK = (
    '<mark style="background-color: {background}; color: {ink}; padding: 0.15em 0.3em; '
    'border-radius: 0.3em; box-decoration-break: clone">{text}&nbsp;'
    '<small style="font-size: 0.95em; font-variant: all-small-caps; font-weight: bold">{type}'
    "</small></mark>"
)


class Entity(NamedTuple):
    """A stretch of the text, `text[start:end]`, and what it is."""

    type: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class TaggedText:
    """A text with a tag for each of its words; in a notebook it shows its entities in colour.

    Attributes:
        text: in Unicode's composed form (NFC), in which offsets count.
        words: N words and punctuation marks.
        tags: N tags.
        spans: where each word starts and ends in `text`.
        types: of the model's tag set; colours go by their order, and again after eight.
    """

    text: str
    words: list[str]
    tags: list[str]
    spans: list[tuple[int, int]] = field(repr=False)
    types: list[str] = field(repr=False)

    @property
    def entities(self) -> list[Entity]:
        """In order; I-X that continues no X starts one, as it does for the metrics."""
        found = []
        for kind, first, last in entities(self.tags):
            start, end = self.spans[first][0], self.spans[last][1]
            found.append(Entity(kind, self.text[start:end], start, end))
        return found

    @property
    def frame(self) -> pd.DataFrame:
        """Rows Words and Tags, a column for each word."""
        return pd.DataFrame([self.words, self.tags], index=["Words", "Tags"])

    def to_html(self) -> str:
        """The text with its entities marked, colour by type, to put into any page."""
        colors = dict(zip(self.types, category_colors(len(self.types)), strict=True))
        parts = (_mark(part, kind, colors.get(kind)) for part, kind in self._parts())
        return LINES.format("".join(parts))

    def __str__(self) -> str:
        return "".join(f"[{part}: {kind}]" if kind else part for part, kind in self._parts())

    def _parts(self) -> Iterator[tuple[str, str]]:
        """The text cut into entities with their types, and what is between them with ""."""
        end = 0
        for entity in self.entities:
            yield self.text[end : entity.start], ""
            yield entity.text, entity.type
            end = entity.end
        yield self.text[end:], ""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """Called by Jupyter, which then shows the richest kind that the place supports."""
        return {"text/plain": str(self), "text/html": self.to_html()}


def _mark(text: str, kind: str, color: str | None) -> str:
    if color is None:
        return escape(text)
    background = to_hex(lighten(color, TINT))
    return MARK.format(background=background, ink=INK, text=escape(text), type=escape(kind))


def tag_text(text: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> TaggedText:
    """The tags of a text's words and punctuation marks, each that of its first token.

    A text beyond the model's positions is read in windows of whole words that overlap by a quarter;
    a word's tag comes from the window that shows most words on both sides of it.

    Args:
        model: a token classifier whose `config.id2label` has IOB2 tags; on any device.
        tokenizer: the model's, a fast one.

    Raises:
        TaggingError: no words, or a word with more tokens than the model takes.
        ValueError: half of a character in the text, or logits that are NaN.
    """
    text = unicodedata.normalize("NFC", *checked_texts(text))
    matches = list(TOKEN.finditer(text))
    if not matches:
        raise TaggingError("The text has no words: give one with a letter, digit or sign.")
    words = [match.group() for match in matches]
    tags = _tags(words, model, tokenizer)
    spans = [match.span() for match in matches]
    return TaggedText(text, words, tags, spans, entity_types(model.config.id2label))


def entity_types(id2label: Mapping[int, str]) -> list[str]:
    """The types of a tag set in the order of their first ids."""
    names = (name for _, name in sorted(id2label.items()))
    return list(dict.fromkeys(name.partition("-")[2] for name in names if name != "O"))


def _tags(
    words: Sequence[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[str]:
    """A tag for each word, from the window where it has most context."""
    encoding = encode_words([words], tokenizer, add_special_tokens=False)
    lengths = np.bincount(encoding.word_ids(0)).tolist()
    room = max_tokens(model, tokenizer) - tokenizer.num_special_tokens_to_add()
    windows = word_windows(lengths, room)
    tagged = list(_tag_windows([words[w.start : w.stop] for w in windows], model, tokenizer))
    return [
        tagged[chosen][word - windows[chosen].start]
        for word, chosen in enumerate(best_windows(windows))
    ]


@torch.no_grad()
def _tag_windows(
    windows: Sequence[Sequence[str]], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> Iterator[list[str]]:
    """For each window the tags of its words."""
    for start in range(0, len(windows), WINDOWS_PER_BATCH):
        batch = windows[start : start + WINDOWS_PER_BATCH]
        encoding = encode_words(batch, tokenizer, padding=True, return_tensors="pt")
        with evaluating(model):
            logits = model(**encoding.to(model.device)).logits  # (B, T, C)
        best = checked_logits(logits).argmax(-1)  # (B, T)
        for row, (words, tags) in enumerate(zip(batch, best.tolist(), strict=True)):
            firsts = (encoding.word_to_tokens(row, word).start for word in range(len(words)))
            yield [model.config.id2label[tags[first]] for first in firsts]


def word_windows(lengths: Sequence[int], room: int) -> list[range]:
    """Ranges of words with `lengths` tokens that cover all, each with at most `room` tokens.

    Each but the first starts OVERLAP of the room or a little less before the end of the last.
    """
    if max(lengths) > room:
        word = lengths.index(max(lengths))
        raise TaggingError(
            f"Word {word} of the text has {lengths[word]} tokens, more than the {room} that the "
            "model takes: break it up with spaces."
        )
    ends = np.cumsum([0, *lengths])  # (N + 1,)
    windows, start = [], 0
    while True:
        stop = int(np.searchsorted(ends, ends[start] + room, side="right")) - 1
        windows.append(range(start, stop))
        if stop == len(lengths):
            return windows
        earliest = max(ends[stop] - int(OVERLAP * room), ends[stop + 1] - room)
        start = int(np.searchsorted(ends, earliest))


def best_windows(windows: Sequence[range]) -> list[int]:
    """For each word the number of the window that has most words on its poorer side."""
    best: dict[int, tuple[int, int]] = {}
    for number, window in enumerate(windows):
        for word in window:
            context = min(word - window.start, window.stop - 1 - word)
            best[word] = max(best.get(word, (-1, 0)), (context, -number))
    return [-number for _, (_, number) in sorted(best.items())]
