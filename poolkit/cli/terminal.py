"""Where the commands print, and how each of them ends when it cannot go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from poolkit.errors import ExitCode, PoolkitError

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.events import Watcher

TRACEBACK = "POOLKIT_TRACEBACK"


def results() -> Console:
    """The console on stdout, plain where that is not a terminal."""
    from rich.console import Console

    return Console(highlight=False)


def errors() -> Console:
    """The console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def screen(console: Console) -> Watcher:
    """What shows the progress of a measurement on `console`."""
    from poolkit.cli.progress import make_screen

    return make_screen(console, errors())


@contextlib.contextmanager
def error_boundary(
    cancelled: str = "what was finished is kept; the same command goes on from it",
) -> Iterator[None]:
    """Around a command: every way to fail becomes a message and an exit code, never a traceback.

    Args:
        cancelled: what is left after Ctrl-C, and how to go on.
    """
    from poolkit.cli.progress import print_failure

    try:
        yield
    except PoolkitError as error:
        print_failure(errors(), error.cause, error.remedy)
        raise typer.Exit(int(error.exit_code)) from None
    except KeyboardInterrupt:
        print_failure(errors(), "cancelled", cancelled)
        raise typer.Exit(int(ExitCode.CANCELLED)) from None
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        print_failure(
            errors(),
            f"poolkit itself failed: {type(error).__name__} in {_place(error)}",
            f"please report it with the traceback that {TRACEBACK}=1 shows (read it before: it may "
            "hold what must not be shown)",
        )
        raise typer.Exit(int(ExitCode.STOPPED)) from None


def raise_on_sigterm() -> None:
    """Make SIGTERM end the process like Ctrl-C does: tidily."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


@contextlib.contextmanager
def end_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that neither interrupts what is under way."""
    from poolkit.measure.loop import on_signals

    end = threading.Event()
    with on_signals(end.set):
        yield end


def _place(error: BaseException) -> str:
    """File and line where an error was raised; its text is left out, for it may hold a secret."""
    trace = error.__traceback__
    place = "an unknown place"
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.startswith("poolkit."):
            place = f"{name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place
