"""One encoder under two heads: a class for the text, or a tag for every token."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plotting.boxes import MARGIN, Place, draw_arrow, draw_box, new_page
from utils.plotting.style import GREY, INK, PAGE_WIDTH, PALETTE
from utils.plotting.text import drawable, text_width
from utils.plotting.validation import not_empty, same_length

TEXT_SIZE = 8.0  # points
HEADING_SIZE = 9.0
IGNORED = "IGN"
ONE_HEAD, SHARED_HEAD = "linear layer", "the same linear layer for each state"
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
PADDING = 0.16  # inches by which a column is wider than its widest text
SPARE = 0.15  # inches that it may be wider still
GAP = 0.06  # inches between two boxes of a row
PANEL_GAP = 0.25  # inches between the two panels
BOX = 0.27  # inches, height of a box
STEP = 0.5  # inches from a row of boxes to the next: room for an arrow
LABEL, HEAD, STATE, ENCODER, TOKEN = (0.22 + STEP * row for row in range(5))  # y in a panel
PANEL = TOKEN + BOX  # inches, height
BODY_COLOR, HEAD_COLOR, STATE_COLOR, LABEL_COLOR = PALETTE[:4]


@dataclass(frozen=True)
class Panel:
    """A place for one of the two drawings, in columns, one per token."""

    ax: Axes
    x: float  # left edge, in inches
    y: float  # upper edge
    widths: Sequence[float]  # of the columns

    def cell(self, i: int, row: float) -> Place:
        """The box in column `i`."""
        left = self.x + sum(self.widths[:i])
        return Place(left + GAP / 2, self.y + row, self.widths[i] - GAP, BOX)

    def across(self, row: float) -> Place:
        """The box over all columns."""
        return self.cell(0, row)._replace(width=sum(self.widths) - GAP)

    def starting(self, row: float, text: str) -> Place:
        """The box that begins with the first column and holds `text`."""
        first = self.cell(0, row)
        return first._replace(width=max(first.width, width_of(text) - GAP))

    def draw(self, place: Place, text: str, color: str | None, name: str) -> None:
        draw_box(self.ax, place, text, color, size=TEXT_SIZE, name=name)

    def lift(self, i: int, row: float, color: str = INK) -> None:
        """An arrow in column `i` from the row below up to `row`."""
        x, _ = self.cell(i, row).middle
        top = self.y + row + BOX
        draw_arrow(self.ax, (x, top + STEP - BOX), (x, top), color)


def plot_classification_heads(
    tokens: Sequence[str],
    sequence_label: str,
    token_labels: Sequence[str | None],
    title: str,
) -> Figure:
    """Sequence classification and token classification of one text, side by side if there is room.

    Both read from the bottom: tokens, encoder, a hidden state for each, linear layer. For a class
    of the text it takes the first state; for tags it takes every state, always by the same weights.

    Args:
        tokens: (T,) of the text, special ones included; the first is the one to classify by.
        sequence_label: class of the text.
        token_labels: (T,) tags, None where the loss ignores the token.
        title: of the figure.

    Raises:
        ValueError: no token, T differs, or more tokens than fit the page.
    """
    not_empty("tokens", tokens)
    same_length(tokens=tokens, token_labels=token_labels)
    texts = [drawable(token) for token in tokens]
    tags = [None if tag is None else drawable(tag) for tag in token_labels]
    label = drawable(sequence_label)
    widths, is_beside = fit_columns(texts, tags, label)
    width = sum(widths)
    fig, ax = new_page(title, PANEL if is_beside else 2 * PANEL + PANEL_GAP)
    left = (PAGE_WIDTH - (2 * width + PANEL_GAP if is_beside else width)) / 2
    second = (left + width + PANEL_GAP, 0) if is_beside else (left, PANEL + PANEL_GAP)
    draw_sequence_head(Panel(ax, left, 0, widths), texts, label)
    draw_token_head(Panel(ax, *second, widths), texts, tags)
    return fig


def fit_columns(
    texts: Sequence[str], tags: Sequence[str | None], label: str
) -> tuple[list[float], bool]:
    """Widths of the columns in inches, and whether the panels fit beside each other."""
    columns = zip(texts, tags, map(state_name, range(len(texts))), strict=True)
    widths = [max(width_of(text or IGNORED) for text in column) for column in columns]
    missing = max(width_of(label), width_of(SHARED_HEAD)) - sum(widths)
    widths = [width + max(0, missing) / len(widths) for width in widths]
    page = PAGE_WIDTH - 2 * MARGIN
    half = (page - PANEL_GAP) / 2
    is_beside = sum(widths) <= half
    spare = (half if is_beside else page) - sum(widths)
    if spare < 0:
        raise ValueError(
            f"The {len(texts)} tokens are {-spare:.1f} inches wider than the page: pass fewer."
        )
    return [width + min(SPARE, spare / len(widths)) for width in widths], is_beside


def width_of(text: str) -> float:
    """Inches that a box with `text` takes, with the gap beside it."""
    return text_width(text, TEXT_SIZE) / 72 + PADDING


def state_name(i: int) -> str:
    """h with a subscript."""
    return f"h{i}".translate(SUBSCRIPTS)


def draw_body(panel: Panel, texts: Sequence[str], heading: str) -> None:
    """What both drawings share: tokens, encoder, the ways up from them, and the heading."""
    x, _ = panel.across(0).middle
    style = {"size": HEADING_SIZE, "weight": "bold", "ha": "center", "va": "center"}
    panel.ax.text(x, panel.y + 0.04, heading, **style)
    panel.draw(panel.across(ENCODER), "encoder", BODY_COLOR, "encoder")
    for i, text in enumerate(texts):
        panel.draw(panel.cell(i, TOKEN), text, GREY, "token")
        panel.lift(i, ENCODER)
        panel.lift(i, STATE)


def draw_sequence_head(panel: Panel, texts: Sequence[str], label: str) -> None:
    """The first state through a linear layer to one class; the other states stay unused."""
    draw_body(panel, texts, "a class for the text")
    for i in range(len(texts)):
        panel.draw(panel.cell(i, STATE), state_name(i), None if i else STATE_COLOR, "state")
    panel.draw(panel.starting(HEAD, ONE_HEAD), ONE_HEAD, HEAD_COLOR, "head")
    panel.draw(panel.starting(LABEL, label), label, LABEL_COLOR, "label")
    panel.lift(0, HEAD)
    panel.lift(0, LABEL)


def draw_token_head(panel: Panel, texts: Sequence[str], tags: Sequence[str | None]) -> None:
    """Every state through the same linear layer to a tag; ignored ones are grey."""
    draw_body(panel, texts, "a tag for every token")
    panel.draw(panel.across(HEAD), SHARED_HEAD, HEAD_COLOR, "head")
    for i, tag in enumerate(tags):
        panel.draw(panel.cell(i, STATE), state_name(i), STATE_COLOR, "state")
        color = None if tag is None else LABEL_COLOR
        panel.draw(panel.cell(i, LABEL), tag or IGNORED, color, "label")
        panel.lift(i, HEAD)
        panel.lift(i, LABEL, INK if tag else GREY)
