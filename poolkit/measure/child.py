"""Runs a measurement in a child process and passes on the events that it prints.

The command line, the notebooks and the panels all measure through this, so that no measurement
shares an interpreter with what draws it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from poolkit.errors import BadInput, ExitCode
from poolkit.events import Done, Event, Failed, Watcher, from_line
from poolkit.measure.loop import on_signals
from poolkit.measure.parent import tied
from poolkit.redact import Redactor
from poolkit.targets import Target
from poolkit.targets.fleet import Fleet, load_fleet

POLL_SECONDS = 0.25  # s between two checks of a child that prints nothing
GRACE = 10.0  # s that a cancelled child has to put its results away
TAIL = 4000  # bytes of the child's stderr that may explain its end
RESUMES = "the same command resumes from the finished trials"


@dataclass(frozen=True, slots=True)
class Order:
    """The measurement of target `name`, as the command line takes it."""

    mode: Literal["sweep", "size"]  # `size` goes on from the sizing to a recommendation
    name: str
    targets: Path
    out: Path
    sizes: tuple[int, ...] = ()  # to measure; empty: chosen while measuring
    budget: float | None = None  # s of load in all; None: the mode's own
    seed: int | None = None
    rate: float | None = None  # calls/s, in place of what the file asks of the target
    wait: float | None = None  # s, likewise
    push: bool = True  # False: no load above the target rate; True: what the file says
    cold: bool = False  # whether to try starts with empty pools at the verified size
    fleet: int | None = None  # generators, in place of what the file says
    scheduler: str | None = None  # address of the Dask scheduler that they run on, likewise
    verify: int | None = None  # connections of each pool: this size is verified once, no more

    def generators(self) -> Fleet | None:
        """Where its load comes from; None: one process. Raises BadInput."""
        fleet = load_fleet(self.targets)
        if self.fleet is not None or self.scheduler is not None:
            fleet = (fleet or Fleet()).but(self.fleet, self.scheduler)
        return None if fleet is None or fleet.is_one_process else fleet

    def asked_of(self, target: Target) -> Target:
        """The target with this rate and wait in place of its own, and `push` off where it is here.

        Raises:
            BadInput: a sweep, which cannot be without pushing.
        """
        changed: dict[str, float | None] = {}
        if self.rate is not None:
            changed |= {"target_rate": self.rate, "rate_from": None}
        if self.wait is not None:
            changed["wait_p99"] = self.wait
        if not self.push:
            changed["push"] = False
        if self.mode == "sweep" and not (self.push and target.push):
            raise BadInput(
                "a sweep pushes: it raises the load until throughput no longer grows, and that is "
                "not allowed here (push = false)",
                f"poolkit size {self.name} --no-push sizes the pool with no more load than the "
                "target rate",
            )
        return target.model_copy(update=changed) if changed else target


def python(module: str, *words: str) -> list[str]:
    """The command line of a child process that runs `module`."""
    # -P: a file of the working directory must not stand in for a library.
    return [sys.executable, "-P", "-m", module, *words]


def command(order: Order) -> list[str]:
    """The command line of the process that carries out the order and prints events."""
    words = [order.mode, order.name, "--targets", str(order.targets), "--out", str(order.out)]
    words.append("--events")
    if order.sizes:
        words += ["--sizes", ",".join(map(str, order.sizes))]
    for option in ("budget", "seed", "rate", "wait", "fleet", "scheduler", "verify"):
        value = getattr(order, option)
        if value is not None:
            words += [f"--{option}", str(value)]
    if not order.push:
        words.append("--no-push")
    if order.cold:
        words.append("--cold")
    return python("poolkit", *words)


class Child:
    """A measuring process: `events()` yields what it prints until it has ended.

    It is in a session of its own, so a Ctrl-C in the terminal reaches only the process that started
    it, and that one decides. It ends with that process, however early; so the thread that makes it
    has to outlast it. `cancel` may be called from any thread and from a signal handler; `events` is
    read by one thread, the caller's own. However the process ends, the events end with what became
    of it: a `Failed` is added where it did not say so itself.

    State: the process, when it was cancelled, and the event that tells its end.

    Args:
        target: name of the target, for events that are added here.
        secrets: texts that must not be shown should they stand in the child's last words.
        env: environment of the process; this one's own where None.
        grace: s from `cancel` until the process is ended by force.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        target: str,
        secrets: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        grace: float = GRACE,
    ) -> None:
        self._target = target
        self._redactor = Redactor(secrets)
        self._grace = grace
        self._cancelled_at: float | None = None
        self._end: Done | Failed | None = None
        # A file, not a pipe: it is read when the child has ended, and a full pipe would block it.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long
        try:
            self._process = subprocess.Popen(
                tied(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=env,
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            self._stderr.close()
            raise

    def __repr__(self) -> str:
        return f"Child({self._target!r}, pid={self.pid}, returncode={self._process.returncode})"

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled_at is not None

    @property
    def exit_code(self) -> ExitCode | None:
        """What became of the measurement; None while its events have not all been read."""
        if self._end is None:
            return None
        try:
            return ExitCode(self._end.exit_code)
        except ValueError:
            return ExitCode.STOPPED

    def events(self, on_poll: Callable[[], None] | None = None) -> Iterator[Event]:
        """Every event up to the end of the process.

        Args:
            on_poll: called several times a second, whether there are events or not.
        """
        for line in self._lines():
            if on_poll is not None:
                on_poll()
            event = None if line is None else from_line(line)
            if event is None:
                continue
            if isinstance(event, Failed) or (isinstance(event, Done) and self._end is None):
                self._end = event
            yield event
        self._wait()
        if self._end is None:
            self._end = self._explained()
            yield self._end

    def cancel(self) -> None:
        """Ask the child to end and keep what it has; the second call ends it at once."""
        # No lock: a signal handler may interrupt this very function. The worst that two callers
        # can do to each other is to send one signal too many.
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._process.terminate()
        else:
            self._process.kill()

    def close(self) -> None:
        """End the process if it still runs, politely first, and free what is held for it."""
        if self.is_running and not self.is_cancelled:
            self.cancel()
        # Before waiting: a child that fills a pipe without a reader would never end.
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._wait()
        self._stderr.close()

    def _lines(self) -> Iterator[str | None]:
        """Lines of the child's stdout; None when none came for a moment."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        rest = b""
        while True:
            if self.is_cancelled and self._grace_left() <= 0.0:
                self._process.kill()
            if not select.select([descriptor], [], [], POLL_SECONDS)[0]:
                # A process that the child started may hold the pipe open after it.
                if not self.is_running:
                    return
                yield None
                continue
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                return
            *whole, rest = (rest + piece).split(b"\n")
            yield None
            for line in whole:
                yield line.decode(errors="replace")

    def _grace_left(self) -> float:
        if self._cancelled_at is None:
            return self._grace
        return max(0.0, self._cancelled_at + self._grace - time.monotonic())

    def _wait(self) -> None:
        """Wait for the end of the process; one that closed its output has a grace to go."""
        try:
            self._process.wait(self._grace_left())
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _explained(self) -> Failed:
        """The failure of a process that ended without an event about it."""
        code = self._process.returncode
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - TAIL))
        words = self._redactor.text(last_words(self._stderr.read().decode(errors="replace")))
        remedy, exit_code = RESUMES, ExitCode.STOPPED
        if self.is_cancelled:
            cause, exit_code = "cancelled", ExitCode.CANCELLED
        elif code == ExitCode.BAD_INPUT:
            cause, remedy, exit_code = words or "the request was refused", "", ExitCode.BAD_INPUT
        else:
            how = f"ended with exit code {code}" if code else "ended without a result"
            if code < 0:
                how = f"was killed by {_signal_name(-code)}"
            if code == -signal.SIGKILL:
                remedy = f"see whether this machine ran out of memory; {RESUMES}"
            cause = f"the measuring process {how}" + (f": {words}" if words else "")
        return Failed(target=self._target, cause=cause, remedy=remedy, exit_code=exit_code)


def last_words(text: str) -> str:
    """The end of a program's stderr in one line; of a traceback only what was raised."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback (")]
    if starts:
        lines = [line for line in lines[starts[-1] + 1 :] if not line[0].isspace()]
    return " ".join(line.strip() for line in lines[-3:])[-600:]


def watch(
    child: Child, see: Callable[[Event], None], on_poll: Callable[[], None] | None = None
) -> ExitCode:
    """Show every event of the child to `see`, and say what became of it.

    In the main thread, a Ctrl-C or SIGTERM meanwhile cancels the child instead of raising, and the
    next one kills it; no child is left behind.
    """
    with on_signals(child.cancel), child:
        for event in child.events(on_poll):
            see(event)
    return child.exit_code or ExitCode.DONE


def measure_watched(
    words: Sequence[str], target: Target, watcher: Watcher, see: Callable[[Event], None]
) -> ExitCode:
    """Run a child that measures the target, and say what became of it; Ctrl-C cancels it.

    Args:
        see: takes every event before the watcher does.
    """

    def both(event: Event) -> None:
        see(event)
        watcher.see(event)

    with watcher.measuring(target.name):
        child = Child(words, target=target.name, secrets=target.secrets)
        code = watch(child, both, lambda: watcher.cancelling() if child.is_cancelled else None)
    return ExitCode.CANCELLED if child.is_cancelled else code


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
