"""A text on its way through a tokenizer."""

from collections.abc import Container, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plotting.boxes import MARGIN, TEXT_SIZE, Place, draw_arrow, draw_box, new_page
from utils.plotting.style import DARK_GREY, GREY, PAGE_WIDTH, PALETTE
from utils.plotting.text import LINE_HEIGHT, drawable, text_width, visible_spaces, wrap_to_width
from utils.plotting.validation import not_empty

NAMES_WIDTH = 1.3  # inches, of the boxes with the names of the stages
LEFT = MARGIN + NAMES_WIDTH + 0.15  # inches, of the first token
ROOM = PAGE_WIDTH - MARGIN - LEFT  # inches, of a row of tokens
PADDING = 0.07  # inches between a token and the edges of its box
GAP = 0.06  # inches between two boxes
STAGE_GAP = 0.32  # inches between two stages: room for an arrow
HINTING = 1.02  # a text on the screen may be as much wider than its outlines
NOTE = "coloured: not there one stage before"


def plot_token_stages(stages: Mapping[str, str | Sequence[str]], title: str) -> Figure:
    """What each stage of a tokenizer makes of a text, a row of boxes per stage, from the top.

    Tokens that were not there one stage before are coloured. Signs stand for white space at the
    ends of a token.

    Args:
        stages: name of the stage -> its tokens, or one text; a long row goes on below.
        title: of the figure.

    Raises:
        ValueError: no stage, a stage without tokens, or a word that is wider than the page.
    """
    not_empty("stages", stages)
    rows = {name: token_places(as_tokens(name, stage)) for name, stage in stages.items()}
    heights = {name: stage_height(name, row) for name, row in rows.items()}
    fig, ax = new_page(title, sum(heights.values()) + STAGE_GAP * len(heights))
    top, before = 0.0, next(iter(rows.values()))
    for name, row in rows.items():
        if top > 0:
            middle = MARGIN + NAMES_WIDTH / 2
            draw_arrow(ax, (middle, top - STAGE_GAP), (middle, top))
        draw_name(ax, name, top, heights[name])
        draw_tokens(ax, name, row, top, known={text for text, _ in before})
        top, before = top + heights[name] + STAGE_GAP, row
    ax.text(LEFT, top - STAGE_GAP / 2, NOTE, size=8, color=DARK_GREY, va="center")
    return fig


def as_tokens(name: str, stage: str | Sequence[str]) -> list[str]:
    """The tokens of a stage, a text being one, or ValueError."""
    tokens = [stage] if isinstance(stage, str) else list(stage)
    not_empty(f"The stage {name!r}", tokens)
    return tokens


def token_places(tokens: Sequence[str]) -> list[tuple[str, Place]]:
    """Each token in lines that fit the page, and its place below and right of (0, 0)."""
    placed: list[tuple[str, Place]] = []
    x = y = bottom = 0.0
    for token in tokens:
        text = wrap_to_width(visible_spaces(drawable(token)), 72 * (ROOM - 4 * PADDING), TEXT_SIZE)
        width, height = box_size(text)
        if x + width > ROOM:
            x, y = 0.0, bottom + GAP
        placed.append((text, Place(x, y, width, height)))
        x, bottom = x + width + GAP, y + height
    return placed


def box_size(text: str) -> tuple[float, float]:
    """Width and height in inches of the box around a text, or ValueError."""
    lines = text.split("\n")
    width = HINTING * max(text_width(line, TEXT_SIZE) for line in lines) / 72 + 2 * PADDING
    if width > ROOM:
        raise ValueError(f"The token {text[:20]!r}... is wider than the page: pass a shorter text.")
    return width, len(lines) * TEXT_SIZE * LINE_HEIGHT / 72 + PADDING


def stage_name(name: str) -> str:
    """The name of a stage in lines that fit its box."""
    return wrap_to_width(drawable(name), 72 * (NAMES_WIDTH - 2 * PADDING), TEXT_SIZE)


def stage_height(name: str, row: Sequence[tuple[str, Place]]) -> float:
    """Inches that a stage takes: its name or its tokens, whichever is higher."""
    lines = stage_name(name).count("\n") + 1
    _, last = row[-1]
    return max(lines * TEXT_SIZE * LINE_HEIGHT / 72 + PADDING, last.y + last.height)


def draw_name(ax: Axes, name: str, top: float, height: float) -> None:
    """The name of a stage left of its tokens, in a box as high as they are."""
    draw_box(ax, Place(MARGIN, top, NAMES_WIDTH, height), stage_name(name), GREY)


def draw_tokens(
    ax: Axes, stage: str, row: Sequence[tuple[str, Place]], top: float, known: Container[str]
) -> None:
    """The tokens of a stage, those coloured that are not `known`."""
    for text, place in row:
        color = GREY if text in known else PALETTE[0]
        draw_box(ax, place.moved(LEFT, top), text, color, name=stage)
