"""How mistakes in targets.toml are worded: values as TOML writes them, the nearest valid word."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMG]i?B|B)")
_UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
LEAST_BYTES, MOST_BYTES = 2**10, 2**40
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def nearest(word: str, valid: Iterable[str]) -> str:
    """`; did you mean X?` with the valid word that is closest, or nothing."""
    found = closest(word, valid)
    return f"; did you mean {found}?" if found else ""


def closest(word: str, valid: Iterable[str]) -> str:
    """The valid word that is closest; empty: none is close."""
    folded = {candidate.lower(): candidate for candidate in valid}
    close = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[close[0]] if close else ""


def shown(value: object) -> str:
    """A value as TOML writes it, short; texts that may hold a password are left out."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str) and any(mark in value for mark in ("://", "@", "password")):
        return "a text that is not shown"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def key_path(*keys: str | int) -> str:
    """`a.b[0]` of the keys that lead to a value; keys that are no bare keys are quoted."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        else:
            quoted = key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
            path += f".{quoted}" if path else quoted
    return path


def rule(kind: str, context: Mapping[str, Any], message: str, valid: Iterable[str]) -> str:
    """A pydantic error in the words of targets.toml; `valid` are the words a key may hold."""
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be one of {', '.join(valid)}"
    if kind == "greater_than":
        return f"must be more than {context['gt']:g}"
    if kind == "greater_than_equal":
        return f"must be {context['ge']:g} or more"
    if kind == "less_than_equal":
        return f"must be at most {context['le']:g}"
    return {
        "missing": "required, but not there",
        "finite_number": "must be a finite number",
        "float_type": "must be a number",
        "int_type": "must be a whole number",
        "bool_type": "must be true or false",
        "string_type": "must be text in quotes",
        "tuple_type": 'must be a list of texts, such as ["select 1"]',
        "mapping_type": "must be a table, such as { NAME = VALUE }",
        "dict_type": "must be a table, such as { NAME = VALUE }",
    }.get(kind, message)


def read_bytes(given: object) -> int:
    """Bytes of a number, or of a text such as `64 MiB`; ValueError names the rule."""
    found = _BYTES.fullmatch(given) if isinstance(given, str) else None
    if found is not None:
        count = float(found[1]) * _UNITS[found[2]]
    elif isinstance(given, int) and not isinstance(given, bool):
        count = given
    else:
        raise ValueError(f'must be a number of bytes such as "64 MiB", got {shown(given)}')
    if not LEAST_BYTES <= count <= MOST_BYTES:
        raise ValueError(f"must be between 1 KiB and 1024 GiB, got {shown(given)}")
    return int(count)


def check_function_name(name: str | None) -> str | None:
    """The name, if it has the form; ValueError names the rule."""
    if name is not None and not _FUNCTION.fullmatch(name):
        raise ValueError(
            f'must be "module:function", such as "orders_work:read_one", got {shown(name)}'
        )
    return name
