"""`--events`: the measurement runs in this process, and stdout holds its events alone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TextIO

from poolkit.cli.asking import asked
from poolkit.cli.options import checked_budget, checked_seed, checked_sizes
from poolkit.errors import Cancelled, ExitCode, PoolkitError
from poolkit.events import Done, Event, Failed, to_line
from poolkit.redact import Redactor
from poolkit.targets import load_targets


def print_events(
    mode: Literal["sweep", "size"],
    name: str,
    targets: Path,
    out: Path,
    *,
    sizes: str | None,
    budget: float | None,
    seed: int | None,
    rate: float | None = None,
    wait: float | None = None,
) -> ExitCode:
    """Measure target `name` here, one JSON line an event on stdout; bad input is an event too."""
    emit = _printer(sys.stdout)
    redact = Redactor().text

    def fail(cause: str, remedy: str, code: ExitCode) -> ExitCode:
        emit(Failed(target=name, cause=redact(cause), remedy=redact(remedy), exit_code=code))
        emit(Done(target=name, exit_code=code))
        return code

    # A library that prints must not end up between two events.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            target = asked(load_targets(targets, (name,))[name], rate, wait)
            redact = Redactor(target.secrets).text
            chosen = checked_sizes(sizes, target.max_size)
            checked_budget(budget)
            checked_seed(seed)
            from poolkit.measure import SEED, measure

            return measure(
                target,
                out=out,
                mode=mode,
                emit=emit,
                sizes=chosen or None,
                budget=budget,
                seed=SEED if seed is None else seed,
            )
        except PoolkitError as error:
            return fail(error.cause, error.remedy, error.exit_code)
        except KeyboardInterrupt:
            cancelled = Cancelled()
            return fail(cancelled.cause, cancelled.remedy, cancelled.exit_code)
        except Exception as error:
            return fail(
                f"poolkit itself failed: {type(error).__name__}: {error}",
                "please report it; the same command resumes from the finished trials",
                ExitCode.STOPPED,
            )


def _printer(stream: TextIO) -> Callable[[Event], None]:
    """Prints and flushes events; when nobody reads any more, ends the measurement tidily."""
    is_closed = False

    def emit(event: Event) -> None:
        nonlocal is_closed
        if is_closed:
            return
        try:
            stream.write(to_line(event))
            stream.flush()
        except BrokenPipeError:
            is_closed = True
            with contextlib.suppress(OSError):
                # What is left in the buffer would fail again when Python exits.
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            os.kill(os.getpid(), signal.SIGTERM)

    return emit
