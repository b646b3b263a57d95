"""Pieces of source text in the form that `ruff format` leaves alone at 100 columns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable

from poolkit.records import Parameter

WIDTH = 100
INDENT = "    "


def literal(value: int | float | bool | str | None) -> str:
    """A Python literal, strings in double quotes."""
    if isinstance(value, str):
        # JSON's escapes are Python's too, for any text without surrogates.
        return json.dumps(value, ensure_ascii=True)
    return repr(value)


def comment(text: str, depth: int = 0) -> list[str]:
    """A sentence as comment lines, wrapped at 100 columns."""
    prefix = INDENT * depth + "# "
    words = " ".join(text.split())
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=prefix,
        subsequent_indent=prefix,
        break_long_words=False,
        break_on_hyphens=False,
    )


def argument(name: str, parameter: Parameter, depth: int) -> list[str]:
    """A keyword argument under the comment that gives its reason."""
    return [
        *comment(parameter.because, depth),
        f"{INDENT * depth}{name}={literal(parameter.value)},",
    ]


def assignment(name: str, value: str) -> list[str]:
    """A module constant, bracketed where that is what makes it fit."""
    line = f"{name} = {value}"
    if len(line) > WIDTH >= len(INDENT + value):
        return [f"{name} = (", f"{INDENT}{value}", ")"]
    return [line]


def docstring(text: str, depth: int) -> list[str]:
    """A docstring of a sentence or two, wrapped with room for its quotes."""
    pad = INDENT * depth
    words = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    if len(pad) + len(words) + 6 <= WIDTH:
        return [f'{pad}"""{words}"""']
    lines = textwrap.wrap(words, WIDTH - len(pad) - 3, break_on_hyphens=False)
    return [f'{pad}"""{lines[0]}', *(pad + line for line in lines[1:]), f'{pad}"""']


def by_name(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """Parameters under their names."""
    return {parameter.name: parameter for parameter in parameters}
