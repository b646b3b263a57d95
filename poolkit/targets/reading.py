"""Reads a targets.toml as TOML; what cannot be read is told with its line and a remedy."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from poolkit import files
from poolkit.errors import BadInput
from poolkit.targets.words import key_path


def read_toml(
    path: Path,
    option: str = "--targets",
    like: str = "write one after data/targets.example.toml",
) -> dict[str, Any]:
    """The content of a TOML file; BadInput when it cannot be read.

    Args:
        option: names the file on the command line.
        like: what to do where there is none.
    """
    try:
        # Line ends of every kind are one to TOML's reader.
        text = files.content(path).decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise BadInput(
            f"no such file: {path}",
            f"{like}, or name another with {option} FILE",
        ) from None
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not text in UTF-8 (byte {error.start})", "save it as UTF-8"
        ) from None
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}", f"name a file with {option} that you may read"
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        twice = _table_that_stands_twice(text, str(error))
        if twice is not None:
            table, first, second = twice
            is_target = len(table) == 2 and table[0] == "targets"
            raise BadInput(
                f"{path} has {'two targets of one name' if is_target else 'one table twice'}: "
                f"[{key_path(*table)}] stands on line {first} and on line {second}",
                "give one of them another name" if is_target else "make one table of the two",
            ) from None
        if "overwrite" in str(error):
            raise BadInput(f"{path} has one key twice: {error}", "keep one of them") from None
        raise BadInput(f"{path} is not TOML: {error}", "correct that line") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, deep nesting
        raise BadInput(f"{path} cannot be read as TOML: {error}", "write it plainly") from None


def _table_that_stands_twice(text: str, error: str) -> tuple[tuple[str, ...], int, int] | None:
    """(name, line, line) of the table whose second header is what the parser stumbled over."""
    found = re.search(r"at line (\d+)", error)
    if found is None:
        return None
    lines = text.splitlines()
    second = int(found[1])
    table = _header(lines[second - 1]) if second <= len(lines) else None
    if table is None:
        return None
    for number, line in enumerate(lines[: second - 1], 1):
        if _header(line) == table:
            return table, number, second
    return None


def _header(line: str) -> tuple[str, ...] | None:
    """The keys of a `[table]` line, however they are quoted; None for any other line."""
    if not line.lstrip().startswith("["):
        return None
    try:
        inner: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    keys = []
    while isinstance(inner, dict) and inner:
        ((key, inner),) = inner.items()
        keys.append(key)
    return tuple(keys)
