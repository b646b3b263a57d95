"""What a measuring process prints: its events alone, and at last what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable

from poolkit.errors import Cancelled, ExitCode, PoolkitError
from poolkit.events import Done, Emit, Event, Failed, Step, to_line
from poolkit.redact import Redactor
from poolkit.targets import Target


class Reporter:
    """Prints one JSON line an event on stdout, where nothing else is printed meanwhile.

    State: the target of the events, the texts that must not be shown, and whether the reader went.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._redact = Redactor().text
        self._stream = sys.stdout
        self._is_closed = False

    def about(self, target: Target) -> None:
        """From here on it is about this target, whose secrets are redacted."""
        self._name, self._redact = target.name, Redactor(target.secrets).text

    def run(self, work: Callable[[], ExitCode]) -> ExitCode:
        """Do the work; every failure is an event too, and `Done` is the last."""
        # A library that prints must not end up between two events.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                code = work()
            except PoolkitError as error:
                return self.fail(error)
            except KeyboardInterrupt:
                return self.fail(Cancelled())
            except Exception as error:
                failure = PoolkitError(
                    f"poolkit itself failed: {type(error).__name__}: {error}",
                    "please report it; the same command resumes from the finished trials",
                )
                failure.exit_code = ExitCode.STOPPED
                return self.fail(failure)
            self.emit(Done(target=self._name, exit_code=code))
            return code

    def fail(self, error: PoolkitError) -> ExitCode:
        """Tell of the failure, and that nothing follows it."""
        cause, remedy = self._redact(error.cause), self._redact(error.remedy)
        code = error.exit_code
        self.emit(Failed(target=self._name, cause=cause, remedy=remedy, exit_code=code))
        self.emit(Done(target=self._name, exit_code=code))
        return code

    def emit(self, event: Event) -> None:
        """Print and flush; when the reader is gone, end the measurement tidily."""
        if self._is_closed:
            return
        try:
            self._stream.write(to_line(event))
            self._stream.flush()
        except BrokenPipeError:
            self._is_closed = True
            with contextlib.suppress(OSError):
                # What is left in the buffer would fail again when Python exits.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            os.kill(os.getpid(), signal.SIGTERM)


class EventsOnly:
    """A watcher that passes on events: what is said becomes a step, as it would be on a screen.

    The end of a child is left out, for it is not that of the command.
    """

    def __init__(self, emit: Emit, name: str) -> None:
        self._emit, self._name = emit, name

    def measuring(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Around the measurement of target `name`."""
        return contextlib.nullcontext()

    def see(self, event: Event) -> None:
        """Pass the event on."""
        if not isinstance(event, Done):
            self._emit(event)

    def cancelling(self) -> None:
        """The failure that follows tells it."""

    def doing(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Around a longer step that sends no load."""
        self.say(what)
        return contextlib.nullcontext()

    def say(self, text: str) -> None:
        """Pass one line on."""
        self._emit(Step(target=self._name, what=text, limit=0.0))

    def fail(self, cause: str, remedy: str = "") -> None:
        """Pass on what went wrong."""
        self.say(f"{cause}; {remedy}" if remedy else cause)
