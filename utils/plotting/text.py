"""How much room a text takes, how to make it fit, and how to show it as it is."""

from collections.abc import Iterable

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

LINE_HEIGHT = 1.35  # distance of two lines, in font sizes
WHITE_SPACE = {" ": "\N{OPEN BOX}", "\n": "↵", "\t": "→"}


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width in points of one line of `text` set in `size` points."""
    font = FontProperties(family=rcParams["font.family"], weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return width


def wrap_to_width(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Break `text` at white space into lines of at most `width` points, or of one longer word."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size, weight) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def drawable(text: str) -> str:
    """`text` with a box for each character that the figure font lacks (most emoji, say)."""
    known = get_font(findfont(FontProperties(family=rcParams["font.family"]))).get_charmap()
    return "".join(c if ord(c) in known or c.isspace() else "\N{WHITE SQUARE}" for c in text)


def plain(texts: Iterable[Text]) -> None:
    """Show names and tokens as they are: a dollar sign in them begins no formula."""
    for text in texts:
        text.set(parse_math=False, text=drawable(text.get_text()))


def visible_spaces(token: str) -> str:
    """`token` with signs for the white space at its ends, which tells " car" from "car"."""
    body = token.strip()
    start, end = token.split(body, 1) if body else (token, "")
    signs = str.maketrans(WHITE_SPACE)
    return start.translate(signs) + body + end.translate(signs)
