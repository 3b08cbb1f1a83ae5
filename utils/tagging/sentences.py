"""Sentences of running text, without a model."""

import re
from itertools import pairwise

MARK = re.compile(
    r"[.!?…]+[\"”»\u2019)\]]*\s+"  # the end of a sentence
    r"(?=[\"“«\u2018(\[¿¡]?\s?[A-ZÀ-ÖØ-Þ0-9])"  # and the beginning of the next
    r"|\s*\n\s*"
)
ABBREVIATION = re.compile(
    r"(?:(?<![\w-])[^\W\d_]|\b(?:apr?|av|ca|Dr|fl|Jr|litt|Mrs?|Mt|No|Ste?|vs))\.\s+$"
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space around them; none is empty.

    A sentence ends at a full stop, question or exclamation mark before a capital or a digit, and at
    every line break. A stop after a single letter or one of a few abbreviations does not count, so
    "44 a. C. Luego" stays one sentence, and so does "« Oui. » Puis". An unknown abbreviation before
    a name, or a name such as "Yahoo! Japan", is cut in two.
    """
    marks = (mark for mark in MARK.finditer(text) if _ends_sentence(text, mark))
    borders = [0, *(mark.end() for mark in marks), len(text)]
    parts = (text[a:b].strip() for a, b in pairwise(borders))
    return [part for part in parts if part]


def _ends_sentence(text: str, mark: re.Match[str]) -> bool:
    return "\n" in mark[0] or not ABBREVIATION.search(text, 0, mark.end())
