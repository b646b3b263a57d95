"""From target names to Python names."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

LONGEST = 40  # characters


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A valid, lower-case Python name for each target name, no two the same.

    `orders-api` becomes `orders_api`; a name that starts with a digit or is a keyword is prefixed
    with `pool_`; of names that fall together the later ones get `_2`, `_3` ... At most 40
    characters, so that the lines of the code stay within bounds.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in found:
            continue
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        if not plain or plain[0].isdigit() or keyword.iskeyword(plain):
            plain = f"pool_{plain}".rstrip("_")
        unique = plain = plain[:LONGEST].rstrip("_")
        number = 1
        while unique in taken:
            number += 1
            suffix = f"_{number}"
            unique = plain[: LONGEST - len(suffix)] + suffix
        taken.add(unique)
        found[name] = unique
    return found
