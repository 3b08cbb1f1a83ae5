"""Entity tags without annotators: titles of articles found in text, as PAN-X was made ("silver").

Pan et al. 2017, "Cross-lingual Name Tagging and Linking for 282 Languages", type Wikipedia's
articles and tag the links to them. Our introductions have no links, so a longest match takes their
place.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.assets.words import TOKEN
from utils.tagging.errors import TaggingError
from utils.tagging.sentences import split_sentences

if TYPE_CHECKING:
    from datasets import Dataset


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The words of a description up to the first of these say what the article is about.
FUNCTION_WORDS = _words("""of in by from on between at to for with and or that which who where
    de du des d en à au aux dans par sur et que qui del por entre y con ( , : ;""")
# What is described with one of these words is of this type, or no entity; the first type counts.
KINDS = {
    "": _words("""
        war wars conflict conflicts conquest battle period competition championship tournament
        type form kind
        guerre conflit conquête bataille période compétition championnat type forme
        guerra conflicto conquista batalla período periodo competición campeonato torneo tipo
        forma
    """),
    "ORG": _words("""
        university company conglomerate manufacturer bank agency organization organisation
        institution league union association alliance party forum exchange band
        université entreprise constructeur banque agence organisation institution ligue alliance
        association parti multinationale syndicat
        universidad empresa fabricante banco agencia organización institución liga partido
        sindicato
    """),
    "PER": _words("""
        king queen emperor empress prophet apostle saint hero superhero character figure
        roi reine empereur prophète apôtre personnage héros héroïne guerrier
        rey reina emperador profeta apóstol personaje héroe figura religioso
    """),
    "LOC": _words("""
        city town capital country state kingdom empire republic principality sultanate caliphate
        monarchy territory province region island archipelago river lake sea ocean strait mountain
        peninsula desert volcano planet moon star galaxy constellation temple tower museum
        cathedral church mosque skyscraper palace bridge dam mausoleum monument
        ville capitale pays état royaume empire république principauté sultanat califat territoire
        province région île archipel fleuve rivière lac mer océan détroit montagne péninsule
        désert volcan planète étoile galaxie constellation temple tour musée cathédrale église
        basilique pont barrage château édifice monument cité duché colonie
        ciudad país estado reino imperio república principado sultanato califato territorio
        provincia región isla archipiélago río lago mar océano estrecho montaña península desierto
        volcán planeta estrella galaxia constelación templo torre museo catedral iglesia basílica
        puente presa castillo edificio palacio monumento plaza rascacielos ducado colonia
    """),
}
GROUPS = _words("group band duo quartet trio groupe grupo banda dúo cuarteto")
ORGANISATION_MARGIN = 10
NO_NAMES = frozenset({"mathematics", "biology and health sciences"})  # topics without entities


@dataclass(frozen=True)
class Entry:
    """What the gazetteer knows of a name.

    Attributes:
        kind: PER, ORG or LOC; empty for the title of something else, such as a war or a book, so
            that "Egypt" inside it is not found either.
        skip: how many tokens at its beginning are outside the entity, as in "mar Rojo".
        alone: whether it counts only without a hyphen or a capital beside it: a family name.
    """

    kind: str
    skip: int = 0
    alone: bool = False


Names = dict[tuple[str, ...], Entry]


class Gazetteer:
    """Names by language, as the tokens of each with what it is; finds them in sentences."""

    def __init__(self, names: Mapping[str, Names]) -> None:
        self.names = names
        self.longest = {code: max(map(len, table), default=0) for code, table in names.items()}

    @classmethod
    def from_articles(cls, articles: Dataset) -> Gazetteer:
        """Type the titles of articles by their topic and the first words of their description.

        A language also knows the names in the others' titles where it has no title spelt the same.
        The texts only tell names from common nouns.

        Args:
            articles: a split of the packaged `wiki`, or rows like its own.

        Raises:
            TaggingError: a column is missing, as on the hub, where articles have no topic.
        """
        columns = ["title", "text", "description", "topic", "language"]
        missing = [column for column in columns if column not in articles.column_names]
        if missing:
            raise TaggingError(
                f"The articles have no column {missing[0]!r}: take the packaged data set 'wiki'."
            )
        topics = articles.features["topic"].names
        rows: dict[str, list[Article]] = defaultdict(list)
        for row in articles.select_columns(columns).to_list():
            kind = _kind(topics[row["topic"]], row["description"])
            rows[row["language"]].append(Article(row["title"], row["text"], kind))
        return cls(_names(rows))

    def tag(self, tokens: Sequence[str], language: str) -> list[str]:
        """IOB2 tags of a sentence: the longest name that starts at each token, from the left.

        Args:
            tokens: words and punctuation marks as `TOKEN` of `utils.assets.words` finds them;
                capitals count, so a common noun is found at most where it starts a sentence.
            language: one of the articles' languages, for instance "fr".

        Raises:
            TaggingError: the gazetteer has no names in this language.
        """
        if language not in self.names:
            raise TaggingError(
                f"The gazetteer has no names in {language!r}: choose one of {sorted(self.names)}."
            )
        tags = ["O"] * len(tokens)
        for first, end, kind in self._matches([*map(_straight, tokens)], language):
            tags[first:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - first - 1)]
        return tags

    def _matches(self, tokens: list[str], language: str) -> Iterator[tuple[int, int, str]]:
        """(first token, end, type) of each entity."""
        start = 0
        while start < len(tokens):
            length, entry = self._longest_match(tokens, start, language)
            if entry.kind:
                yield start + entry.skip, start + length, entry.kind
            start += length

    def _longest_match(self, tokens: list[str], start: int, language: str) -> tuple[int, Entry]:
        names = self.names[language]
        for length in range(min(self.longest[language], len(tokens) - start), 0, -1):
            entry = names.get(tuple(tokens[start : start + length]))
            if entry and not (entry.alone and _is_part_of_more(tokens, start)):
                return length, entry
        return 1, Entry("")


@dataclass(frozen=True)
class Article:
    """An article in one language; `kind` is empty if it is about no entity."""

    title: str
    text: str
    kind: str

    @property
    def name(self) -> tuple[str, ...]:
        """Tokens of the title without "(mythology)" and, of a person, ", Duke of Wellington"."""
        end = r" \(" if self.kind == "ORG" else r" \(|, "
        return tuple(TOKEN.findall(_straight(re.split(end, self.title)[0])))


def _kind(topic: str, description: str) -> str:
    """PER, ORG, LOC or nothing for an article."""
    about = _leading_words(description)
    if topic == "people":
        return "ORG" if about & GROUPS else "PER"
    if topic in NO_NAMES:
        return ""
    kinds = (kind for kind, words in KINDS.items() if about & words)
    return next(kinds, "LOC" if topic == "geography" else "")


def _leading_words(description: str) -> set[str]:
    """ "Capital and largest city of Armenia" -> capital; "ancien État d'Asie" -> ancien, état."""
    words: set[str] = set()
    for word in TOKEN.findall(description.lower()):
        if word in FUNCTION_WORDS:
            break
        words.add(word)
    return words


def _names(articles: Mapping[str, list[Article]]) -> dict[str, Names]:
    """The names of each language: its titles, then those of the others, then family names."""
    counts = {code: _inner_words(row.text for row in rows) for code, rows in articles.items()}
    titles = {code: _titles(rows, counts[code]) for code, rows in articles.items()}
    names = {}
    for code, own in titles.items():
        borrowed = {
            name: entry
            for table in titles.values()
            for name, entry in table.items()
            if entry.kind and not entry.skip and _is_name(name, entry.kind, counts[code])
        }
        known = borrowed | own
        names[code] = _family_names(known, counts[code]) | known
    return names


def _titles(articles: list[Article], counts: Counter[str]) -> Names:
    """The titles of one language; of two articles with one name, that without "(…)" has it."""
    titles: Names = {}
    for article in sorted(articles, key=lambda article: "(" in article.title):
        kind = article.kind if _is_name(article.name, article.kind, counts) else ""
        for name, entry in _spellings(article.name, kind, counts):
            titles.setdefault(name, entry)
    return titles


def _spellings(
    name: tuple[str, ...], kind: str, counts: Counter[str]
) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """A title, and in lower case a first word that is no name: "mar Rojo" for "Mar Rojo"."""
    yield name, Entry(kind)
    first = name[0].lower()
    if len(name) > 1 and counts[first] > counts[name[0]]:
        capital = next((at for at, word in enumerate(name) if at and word[0].isupper()), None)
        if capital is not None:
            yield (first, *name[1:]), Entry(kind, skip=capital if kind == "LOC" else 0)


def _family_names(titles: Names, counts: Counter[str]) -> Names:
    """The last words of people's names, but not those of "Eugene of Savoy" or "Peter II"."""
    return {
        name[-1:]: Entry("PER", alone=True)
        for name, entry in titles.items()
        if entry.kind == "PER"
        and len(name) > 1
        and len(name[-1]) > 3
        and not (name[-2].islower() or name[-2] in ("-", "'"))
        and name[-1].istitle()
        and counts[name[-1]] > counts[name[-1].lower()]
    }


def _is_name(name: tuple[str, ...], kind: str, counts: Counter[str]) -> bool:
    """Whether a title has a capital by right, not only because titles begin with one.

    "Nice" is a place though English has the word "nice"; of organisations more is asked, since
    French writes the common noun "État" with a capital.
    """
    if any(word[0].isupper() for word in name[1:]):
        return True
    capital, lower = counts[name[0]], counts[name[0].lower()]
    return capital >= lower * (ORGANISATION_MARGIN if kind == "ORG" else 1)


def _inner_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word stands in the texts, the first of each sentence left out."""
    return Counter(
        word
        for text in texts
        for sentence in split_sentences(_straight(text))
        for word in TOKEN.findall(sentence)[1:]
    )


def _is_part_of_more(tokens: list[str], at: int) -> bool:
    """Whether a hyphen or a word with a capital stands beside a token."""
    beside = tokens[max(at - 1, 0) : at] + tokens[at + 1 : at + 2]
    return any(word == "-" or word[0].isupper() for word in beside)


def _straight(text: str) -> str:
    """With straight apostrophes."""
    return text.replace("\u2019", "'")
