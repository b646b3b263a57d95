"""One record for every call: what callers and dispatcher write down, and on which time axis."""

from __future__ import annotations

from collections.abc import Callable

from poolkit.errors import CallFailed
from poolkit.load.recorder import ERROR, OUTCOME_CODES, UNFINISHED, Recorder
from poolkit.load.stamps import NEVER, CallStamps
from poolkit.load.watch import BrakeWatch


class Books:
    """The calls in the system: started and not released.

    State: their number, and `balance`, the sum of all releases minus that of all starts. Together
    they give the integral of the number up to t, exactly: in_system * t + balance.
    """

    __slots__ = ("balance", "in_system")

    def __init__(self) -> None:
        self.in_system = 0
        self.balance = 0.0


class Ledger:
    """The records of one trial and the books of the calls in the system.

    Args:
        now: the clock (s); `origin` is the trial's beginning on it, set when it begins.
    """

    def __init__(self, now: Callable[[], float], recorder: Recorder, watch: BrakeWatch) -> None:
        self.now = now
        self.origin = 0.0
        self.books = Books()
        self.recorder = recorder
        self._watch = watch

    @property
    def at(self) -> float:
        """Seconds since the trial began."""
        return self.now() - self.origin

    def stamps(self) -> CallStamps:
        """Those of a call that is about to begin."""
        return CallStamps(self.now, self.origin)

    def detach(self) -> None:
        """The trial is over: calls that resisted their end have a record, and get no other."""
        self.recorder = Recorder(1.0, 1.0, 1.0)

    def failed(
        self, due: float, started: float, stamps: CallStamps, released: float, failure: CallFailed
    ) -> None:
        """A call ended without success."""
        code = OUTCOME_CODES.get(failure.outcome, ERROR)
        self.recorder.add_failure(due, started, stamps, released, code, failure.kind)
        self._watch.failed(failure.kind)

    def unfinished(self, due: float, started: float, stamps: CallStamps) -> None:
        """A call was cancelled, or (`started` nan) never begun."""
        self.recorder.add_failure(due, started, stamps, NEVER, UNFINISHED, "unfinished")
