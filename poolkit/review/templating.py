"""Texts from Jinja templates: each reads like what it makes, the drivers' beside the drivers."""

from __future__ import annotations

import json
import textwrap
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from poolkit import units
from poolkit.records import Parameter
from poolkit.redact import in_markdown

WIDTH = 100


def comment(text: str, indent: int = 0) -> str:
    """A sentence as comment lines, wrapped at 100 columns; the first stands where it is put."""
    pad = " " * indent
    lines = textwrap.wrap(
        " ".join(text.split()), WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False
    )
    return f"\n{pad}".join(f"# {line}" for line in lines)


def literal(value: int | float | bool | str | None) -> str:
    """A Python literal, strings in double quotes."""
    if isinstance(value, str):
        # JSON's escapes are Python's too, for any text without surrogates.
        return json.dumps(value, ensure_ascii=True)
    return repr(value)


def argument(parameter: Parameter, indent: int) -> str:
    """A keyword argument under the comment that gives its reason."""
    code = f"{parameter.name}={literal(parameter.value)},"
    return f"{comment(parameter.because, indent)}\n{' ' * indent}{code}"


def call(start: str, arguments: str, indent: int) -> str:
    """An item of a list, `start` ending with its bracket, as `ruff format` breaks it."""
    pad = " " * indent
    line = f"{start}{arguments}),"
    if len(pad + line) <= WIDTH:
        return line
    return f"{start}\n{pad}    {arguments}\n{pad}),"


def assigned(name: str, value: str) -> str:
    """A module constant of a text, bracketed where that is what makes it fit."""
    code = literal(value)
    line = f"{name} = {code}"
    if len(line) > WIDTH >= len("    " + code):
        return f"{name} = (\n    {code}\n)"
    return line


@cache
def environment() -> Environment:
    """Templates of the reviews and of the drivers; a name that is missing is an error."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("poolkit.review"), PackageLoader("poolkit.drivers")]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python and Markdown, not HTML
    )
    made.globals["units"] = units
    made.filters |= {
        "argument": argument,
        "assigned": assigned,
        "call": call,
        "cell": in_markdown,
        "comment": comment,
        "milliseconds": lambda parameter: round(float(parameter.value or 0.0) * 1000),
        "value": lambda parameter: literal(parameter.value),
    }
    return made
