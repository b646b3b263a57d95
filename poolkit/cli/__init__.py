"""The `poolkit` command: one file for each group of commands, the work itself is done elsewhere.

Each command imports what it needs when it runs, so that `poolkit --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run the `poolkit` command with the arguments of this process, and exit with its code."""
    try:
        from poolkit.cli.application import app
        from poolkit.cli.terminal import raise_on_sigterm
    except KeyboardInterrupt:
        sys.stderr.write("cancelled\n  nothing was begun\n")
        raise SystemExit(130) from None

    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a dash must not end a review.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    raise_on_sigterm()
    try:
        app(prog_name="poolkit")
    except SystemExit as leaving:
        if "--events" in sys.argv[1:]:
            _leave_at_once(leaving.code)
        raise


def _leave_at_once(code: str | int | None) -> NoReturn:
    """End a measuring process whose last event is out, whatever its threads still wait for.

    A look-up of a name cannot be cancelled, and Python as well as uvloop would wait for its thread.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
