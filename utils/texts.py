"""What a reader gives as texts, checked at the door."""

from collections.abc import Iterable


def checked_texts(texts: str | Iterable[str], noun: str = "text") -> list[str]:
    """The texts as a list: one string, or a list, a tuple, an array or a pandas Series of them.

    Raises:
        ValueError: there is none, one is no string, or one holds half of a character.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise ValueError(f"There is no {noun}: give at least one.")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no {noun}: give a string.")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(
                f"The {noun} {text!r} holds a lone surrogate, half of a character: replace it."
            )
    return texts
