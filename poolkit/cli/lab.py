"""`poolkit lab`: the embedded upstreams in the foreground."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from poolkit import files
from poolkit.cli.options import RESULTS, flag, option
from poolkit.cli.terminal import end_on_signals, error_boundary
from poolkit.errors import BadInput

POLL_INTERVAL = 0.2  # s


@error_boundary("the lab has ended")
def lab(
    targets_out: Annotated[
        Path | None,
        option(
            "--targets-out",
            "FILE",
            "Write the targets.toml of this lab there, the truth in comments.",
            RESULTS,
        ),
    ] = None,
    every: Annotated[
        bool,
        flag("--all", "Also the twelve upstreams that tests hold sizes against.", "Servers"),
    ] = False,
) -> None:
    """Run the embedded lab until Ctrl-C: HTTP servers and a PostgreSQL whose truth is known.

    The line that sets the database's DSN holds a throwaway password, which ends with the lab.
    """
    from poolkit.cli import terminal
    from poolkit.lab.catalogue import ALL
    from poolkit.lab.running import Lab

    if targets_out is not None:
        _refuse_other_file(targets_out, header=Lab(()).targets_toml())
    console = terminal.results()
    screen = terminal.screen(console)
    try:
        with Lab(list(ALL) if every else None) as running, end_on_signals() as end:
            screen.say(running.targets_toml())
            for line in running.export_lines():
                screen.say(line)
            if targets_out is not None:
                screen.say(f"targets: {running.write_targets(targets_out)}")
            screen.say("running; Ctrl-C ends it")
            # Not `end.wait()`: its lock, held by this thread, would block the handler that sets it.
            while not end.is_set():
                time.sleep(POLL_INTERVAL)
    except KeyboardInterrupt:  # while it was starting
        pass
    screen.say("the lab has ended")


def _refuse_other_file(path: Path, header: str) -> None:
    """Only a file of an earlier lab is written over; BadInput for any other."""
    try:
        start = files.content(path).decode()[: len(header)]
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        start = ""
    if start != header:
        raise BadInput(
            f"--targets-out {path} exists and was not written by poolkit lab", "name another file"
        )
