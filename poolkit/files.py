"""Reading a file that somebody else may have put there: it ends, and it says why it cannot be."""

from __future__ import annotations

import os
import stat
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
LARGEST = 1 << 30  # bytes; records of a review are a few MB


def not_through_a_link(path: str, flags: int) -> int:
    """An opener for a file to write: where a link stands in its place, what that leads to is not
    ours (OSError)."""
    return os.open(path, flags | NO_LINK, 0o666)


def content(path: Path) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: it cannot be read, or is a pipe, a device or a folder: reading one of these may
            never end; or it is larger than 1 GiB.
    """
    # Without waiting for a writer, as the open of a pipe does.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(None, "it is no regular file")
        if found.st_size > LARGEST:
            raise OSError(None, "it is larger than 1 GiB")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)
