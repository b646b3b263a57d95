"""Where the commands print: results to stdout, trouble to stderr."""

from __future__ import annotations

from rich.console import Console

from poolkit.cli.progress import make_screen
from poolkit.watcher import Watcher


def results() -> Console:
    """The console on stdout, plain where that is not a terminal."""
    return Console(highlight=False)


def errors() -> Console:
    """The console on stderr."""
    return Console(stderr=True, highlight=False)


def screen(console: Console) -> Watcher:
    """What shows the progress of a measurement on `console`."""
    return make_screen(console, errors())
