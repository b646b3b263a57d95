"""How a lab process knows that it is no longer wanted."""

from __future__ import annotations

import os


def is_orphan(parent: int | None) -> bool:
    """Whether the process that started this one is gone, by SIGKILL too.

    An orphan is handed to another parent at once. `parent` comes from the command line, not from a
    first look at `os.getppid`: the parent may have died before that look.
    """
    return parent is not None and os.getppid() != parent
