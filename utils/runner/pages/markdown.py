"""Markdown as pages and alternative texts need it: formulas without scripts, plain sentences."""

import re
from html import escape

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
NO_PROSE = re.compile(r"[#|<]|[-*+] |\d+\. |```|\$\$|$")
MARKS = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")


class OfflineRenderer(IPythonRenderer):
    """Renders formulas as MathML, which browsers draw themselves."""

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


def mathml(latex: str, display: str) -> str:
    """`latex` without dollar signs as MathML, "inline" or "block"; as code where that fails."""
    try:
        return convert(latex.strip(), display=display)
    except Exception:  # the converter raises many kinds, IndexError and TypeError among them
        return f"<code>{escape(latex.strip())}</code>"


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph as plain text; none in a heading, list, table or code."""
    if NO_PROSE.match(paragraph):
        return []
    plain = MARKS.sub("", LINK.sub(r"\1", paragraph))
    return SENTENCE_END.split(" ".join(plain.split()))
