"""What is looked at while a trial runs: its brakes, leaks, and samples of the generator itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.errors import BrakeStop
from poolkit.load.brakes import NO_CONNECTION, Brakes, Counts
from poolkit.load.measurement import Samples
from poolkit.load.recorder import Ledger, Recorder

PATIENCE = 0.5  # s without the end of any call before anybody looks for a leak
SETTLE = 0.02  # s that a connection may take to go back after its call has ended
LATELY = 10.0  # s that count as the last moments where calls are few
_NOBODY_LOOKED: NDArray[np.float64] = np.empty(0)


class BrakeWatch:
    """Asks the brakes about a trial's records.

    State: failures by kind, of those the ones without a connection since a call last succeeded,
    how many had succeeded then, how many had failed at the last check, and how many calls had
    finished when that number last changed.
    """

    def __init__(self, brakes: Brakes, recorder: Recorder) -> None:
        self._brakes = brakes
        self._recorder = recorder
        self._kinds: Counter[str] = Counter()
        self._no_connection: Counter[str] = Counter()
        self._succeeded = 0
        self._failed = 0
        self._finished = 0
        self._finished_at = 0.0

    def failed(self, kind: str) -> None:
        """A call failed."""
        self._kinds[kind] += 1
        if kind in NO_CONNECTION:
            self._no_connection[kind] += 1

    def check(self, at: float, in_system: int, connections: int, *, closely: bool) -> None:
        """Raise `BrakeStop` where a limit is passed at `at` s.

        `closely` also looks at how long calls held, which needs a look at their records.
        """
        recorder, brakes = self._recorder, self._brakes
        finished, failed = recorder.finished, recorder.failed_calls
        most = brakes.max_connections
        if not (
            closely
            or failed != self._failed
            or in_system > brakes.max_in_system
            or (most is not None and connections > most)
        ):
            return  # the rest changes slowly, and a check costs as much as a call
        self._failed = failed
        if finished - failed != self._succeeded:
            self._succeeded = finished - failed
            self._no_connection.clear()
        if finished != self._finished or in_system == 0:
            self._finished, self._finished_at = finished, at
        brakes.check(
            Counts(
                finished=finished,
                failed=failed,
                rejected=recorder.failed["rejected"],
                in_system=in_system,
                kinds=self._kinds,
                no_connection=self._no_connection,
                silent_for=at - self._finished_at,
                held=recorder.held_since(at - LATELY) if closely else _NOBODY_LOOKED,
                connections=connections,
            )
        )


class LeakWatch:
    """Finds connections that are in use while no call under way has got one.

    They are kept by the user's function: its own fault, which looks like a silent server.

    Args:
        holding: how many calls under way hold a connection, or held one.
        work: the function's name; None: there is none, and nothing to find.

    State: how many calls had finished when that number last changed, and when (s).
    """

    def __init__(self, pool: Pool, holding: Callable[[], int], work: str | None) -> None:
        self._pool = pool
        self._holding = holding
        self._work = work
        self._finished = 0
        self._finished_at = 0.0

    @property
    def can_leak(self) -> bool:
        """Whether there is a function that could keep anything."""
        return self._work is not None

    def check(self, at: float, finished: int) -> BrakeStop | None:
        """The stop where no call ends any more because none gets a connection."""
        if finished != self._finished:
            self._finished, self._finished_at = finished, at
        return None if at - self._finished_at < PATIENCE else self.found()

    def found(self) -> BrakeStop | None:
        """The stop where connections are kept right now; calls that hold one may explain them."""
        if self._work is None or self._holding():
            return None
        kept = self._pool.statistics().in_use
        if not kept:
            return None
        return BrakeStop("work_leak", *leak(self._work, kept))


def leak(work: str, kept: int) -> tuple[str, str]:
    """What was seen of `kept` connections that nobody gives back, and what to do."""
    return (
        f"{work} does not give its connections back: {units.plural(kept, 'connection')} in use, "
        "and no call that has one",
        f"let {work} end what it begins: each response inside async with, and no task left behind "
        "that uses the connection",
    )


class Sampler:
    """Takes rows of `Samples` of the generator itself and of its pool.

    `connections` is how many were open at the last one.
    """

    def __init__(self, pool: Pool, ledger: Ledger) -> None:
        self._pool = pool
        self._ledger = ledger
        self._rows: list[tuple[float, ...]] = []
        self.connections = 0

    def take(self, at: float, lag: float) -> None:
        """One row at `at` s, `lag` s later than was meant."""
        seen, ledger = self._pool.statistics(), self._ledger
        self.connections = seen.in_use + seen.idle
        self._rows.append(
            (
                at,
                ledger.in_system * at + ledger.balance,
                time.process_time(),
                lag,
                seen.connections_opened,
                seen.disconnects,
            )
        )

    def samples(self) -> Samples:
        """All rows, as columns."""
        rows = np.asarray(self._rows, dtype=np.float64).reshape(-1, 6)
        return Samples(*rows.T.copy())
