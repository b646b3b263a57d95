"""When to stop: pure rules over what the generator counts, so that a live system is never hurt.

`Brakes` judges a trial that runs; `Quota` hands out the right to start a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import length_hint

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.errors import BrakeStop

_RESUMES = "finished trials are kept, and the same command resumes"

# Kinds of calls that got no connection at all, and what to do about each.
NO_CONNECTION = {
    "connection_refused": "see whether the server still runs",
    "host_not_found": "the host name no longer resolves: see to the name server",
    "dial_timeout": "no answer to a new connection: see to the server and the firewalls before it",
    "too_many_connections": "somebody else took the server's connections: lower max_size",
    "too_many_open_files": "this process ran out of files: raise the limit with ulimit -n 4096",
    "tls": "the server no longer speaks TLS as before",
    "tls_certificate": "the server's certificate is no longer valid for its name",
}
# Other kinds of failed calls whose remedy lies here.
REMEDIES = {
    **NO_CONNECTION,
    "too_large": "a reply is larger than max_reply: raise it, or ask for less",
}
MOST_CALLS = 5_000_000  # of one trial, where nothing less is asked for
LEAST_HELD_P99 = 1.0  # s: a pause of this machine must not be taken for the endpoint's distress
FEWEST_HELD = 5  # calls: slow ones are few, and a trial may be short
BURST = 0.05  # s of calls at the highest rate that may come at once, as when callers begin
USUAL_HELD_P99 = 10.0  # s: a first call that takes longer gets no load at all


@dataclass(frozen=True, slots=True)
class Counts:
    """What the generator knows of the running trial when it asks the brakes."""

    finished: int = 0
    failed: int = 0
    rejected: int = 0  # of those that failed
    in_system: int = 0  # calls that wait or hold
    kinds: Mapping[str, int] = field(default_factory=dict)  # of the calls that failed
    # Calls by kind that got no connection since one last succeeded.
    no_connection: Mapping[str, int] = field(default_factory=dict)
    silent_for: float = 0.0  # s since a call last ended, while some are under way
    # s that calls of the last moments held a connection; empty between close checks.
    held: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    connections: int = 0  # open now, in use or idle


@dataclass(frozen=True, slots=True)
class Brakes:
    """Hard limits of one trial.

    The first two hold while calls are started; the others are checked some 50 times a second.
    """

    max_calls: int = MOST_CALLS  # that one trial may start
    max_rate: float | None = None  # calls/s started, of an open loop as planned; None: no cap
    max_connections: int | None = None  # open at once; None: the pool's own limit is trusted
    max_failed_share: float = 0.05  # of the calls (0 to 1)
    min_calls: int = 20  # finished ones before a share means anything
    # Calls that wait or hold at once (open loop): beyond it the queue grows without bound, and
    # nothing is learnt from letting it.
    max_in_system: int = 20_000
    max_no_connection: int = 5  # calls in a row that fail for want of a connection
    # s without the end of any call while some are under way; more than the longest first call that
    # is let through.
    max_silence: float = 15.0
    # s, p99 of the time that calls hold a connection. Not of the response time: the queue in front
    # of the pool is the generator's own, hurts no server and is what an overload trial is there to
    # show; `max_in_system` bounds it.
    max_held_p99: float = USUAL_HELD_P99
    work: str | None = None  # the user's function that does the calls, which may keep connections

    def check(self, counts: Counts) -> None:
        """Raise `BrakeStop` when a limit is passed; `counts` are of the running trial."""
        self._check_connections(counts)
        self._check_failures(counts)
        self._check_slowness(counts)
        if counts.in_system > self.max_in_system:
            raise BrakeStop(
                "backlog",
                f"{counts.in_system} calls were waiting at once",
                "the target rate is far above what this pool size carries; lower it or allow more",
            )

    def _check_connections(self, counts: Counts) -> None:
        lost = sum(counts.no_connection.values())
        if lost >= self.max_no_connection:
            kind = _usual(counts.no_connection)
            raise BrakeStop(
                "refused",
                f"{lost} calls in a row got no connection ({kind.replace('_', ' ')})",
                f"{NO_CONNECTION[kind]}; {_RESUMES}",
            )
        if self.max_connections is not None and counts.connections > self.max_connections:
            raise BrakeStop(
                "connections",
                f"{counts.connections} connections were open, and {self.max_connections} allowed",
                "the client library opens more than its pool size: please report it",
            )

    def _check_failures(self, counts: Counts) -> None:
        finished, failed, rejected = counts.finished, counts.failed, counts.rejected
        if not failed or finished < self.min_calls or failed <= self.max_failed_share * finished:
            return
        if rejected > failed / 2:
            raise BrakeStop(
                "rejected",
                f"the server rejected {rejected} of {finished} calls",
                "the server sheds load or limits the rate: a larger pool will not help; "
                "raise its limit, or lower target_rate and max_size",
            )
        kind = _usual(counts.kinds)
        remedy = REMEDIES.get(kind, "look at the server's log")
        raise BrakeStop(
            "error_share",
            f"{failed} of {finished} calls failed ({kind.replace('_', ' ')})",
            f"{remedy}; {_RESUMES}",
        )

    def _check_slowness(self, counts: Counts) -> None:
        if counts.silent_for > self.max_silence:
            raise silence(counts.silent_for, counts.in_system)
        slow = int((counts.held > self.max_held_p99).sum())
        # Of few calls the p99 is the slowest, and one call is no finding.
        if counts.held.size >= FEWEST_HELD and slow > max(1, 0.01 * counts.held.size):
            p99 = float(np.quantile(counts.held, 0.99))
            raise BrakeStop(
                "p99",
                f"the last {counts.held.size} calls held a connection for "
                f"{units.milliseconds(p99)} (p99), and {units.milliseconds(self.max_held_p99)} "
                "are allowed",
                "the server is in distress or has other work; try when it is quiet, or with a "
                f"smaller max_size; {_RESUMES}",
            )


def _usual(kinds: Mapping[str, int]) -> str:
    """The kind of most failures."""
    return max(kinds, key=lambda kind: kinds[kind], default="unknown")


def silence(seconds: float, in_system: int) -> BrakeStop:
    """The stop for a server that keeps its connections and sends nothing."""
    return BrakeStop(
        "silence",
        f"no call ended for {seconds:.1f} s, with {units.plural(in_system, 'call')} under way",
        f"the server or something before it went silent: see whether it answers at all; {_RESUMES}",
    )


def held_limit(response_p99: float | None) -> float:
    """The p99 (s) of holding a connection at which load on a target stops.

    Ten times the response time that is asked of it, at least 1 s; 10 s where none is asked.
    """
    return USUAL_HELD_P99 if response_p99 is None else max(LEAST_HELD_P99, 10.0 * response_p99)


class Quota:
    """Hands out permits until a cap is met; `spent` then says which.

    The rate is counted from the first permit, and 0.05 s of calls may come at once. Raises
    `BrakeStop` where an open loop's plan is above the cap on it.

    Args:
        now: the clock (s).
        callers: of a closed loop, who may all call at once; None: an open one.
        arrival_rate: of an open loop's plan; None: it has none, so that its calls are held to the
            cap as they begin, those of 1 s at once.
    """

    def __init__(
        self,
        now: Callable[[], float],
        brakes: Brakes,
        callers: int | None = None,
        arrival_rate: float | None = None,
    ) -> None:
        self.spent: BrakeStop | None = None
        self._now = now
        self._max_calls = brakes.max_calls
        self._left = repeat(None, self._max_calls)
        self._callers = callers
        most = brakes.max_rate
        if arrival_rate is not None and most is not None and arrival_rate > most:
            raise BrakeStop(
                "rate",
                f"{arrival_rate:g} calls/s are planned, and max_rate is {most:g}",
                "raise max_rate",
            )
        self._max_rate = most if arrival_rate is None else None

    def permits(self) -> Iterator[None]:
        """One permit a call; shared by all callers, since the caps are on all of them together."""
        permits = self._left
        if self._max_rate is not None:
            return chain(self._paced(permits, self._max_rate), self._out_of_calls())
        return chain(permits, self._out_of_calls())

    @property
    def handed_out(self) -> int:
        """Permits that were taken: the calls that were begun."""
        return self._max_calls - length_hint(self._left)

    def _out_of_calls(self) -> Iterator[None]:
        self.spent = self.spent or out_of_calls(self._max_calls)
        yield from ()

    def _paced(self, permits: Iterable[None], rate: float) -> Iterator[None]:
        at_once = math.ceil(rate) if self._callers is None else self._callers
        burst = max(float(at_once), BURST * rate, 1.0)
        began = self._now()
        for sent, permit in enumerate(permits):
            if sent >= burst + rate * (self._now() - began):
                self.spent = self._too_fast(rate)
                return
            yield permit

    def _too_fast(self, rate: float) -> BrakeStop:
        if self._callers is None:
            return BrakeStop(
                "rate",
                f"the schedule asked for more than max_rate = {rate:g} calls/s",
                "raise max_rate, or spread the arrivals out; what was measured until then is kept",
            )
        return BrakeStop(
            "rate",
            f"the endpoint took more than max_rate = {rate:g} calls/s at this size",
            "larger pools would be faster still: raise max_rate, or lower max_size so far that the "
            "curve ends before; finished trials are kept",
        )


def out_of_calls(most: int) -> BrakeStop:
    """The stop of a run that may send no further call."""
    return BrakeStop(
        "calls",
        f"{units.plural(most, 'call')} sent, and no more are allowed",
        "raise max_calls, or ask for less with --sizes or --budget; finished trials are kept",
    )
