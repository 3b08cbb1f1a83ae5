"""The frames around pages, contents and report, with their styles inside."""

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from pygments.formatters import HtmlFormatter

LIGHT, DARK = "default", "github-dark"  # pygments styles for code


@cache
def environment() -> Environment:
    """Loads the templates beside this module; all that they insert is escaped."""
    loader = PackageLoader("utils.runner.pages")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    source, _, _ = loader.get_source(environment, "style.css")
    environment.globals["styles"] = Markup(source + _code_styles())
    return environment


def render(template: str, **values: Any) -> str:
    """A whole HTML document."""
    return environment().get_template(template).render(**values)


def data_url(content: bytes, kind: str | None) -> str:
    """`content` of a MIME type as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _code_styles() -> str:
    light = HtmlFormatter(style=LIGHT).get_style_defs(".highlight")
    dark = HtmlFormatter(style=DARK).get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
