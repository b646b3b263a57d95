"""The `poolkit` command: one file for each group of commands, the work itself is done elsewhere.

Each command imports what it needs when it runs, so that `poolkit --help` answers at once.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `poolkit` command with the arguments of this process, and exit with its code."""
    from poolkit.cli.application import app
    from poolkit.cli.trouble import raise_on_sigterm

    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a dash must not end a review.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    raise_on_sigterm()
    app(prog_name="poolkit")
