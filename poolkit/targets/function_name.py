"""How a target names a function of the user's: `module:function`."""

from __future__ import annotations

import re

from poolkit.targets.words import shown

_FUNCTION = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


def check_function_name(name: str | None) -> str | None:
    """The name, if it has the form; ValueError names the rule."""
    if name is not None and not _FUNCTION.fullmatch(name):
        raise ValueError(
            f'must be "module:function", such as "orders_work:read_one", got {shown(name)}'
        )
    return name
