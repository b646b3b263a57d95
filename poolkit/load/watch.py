"""What is watched while a trial runs: its brakes, leaks, and samples of the generator itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from poolkit import units
from poolkit.drivers.base import Pool
from poolkit.errors import BrakeStop
from poolkit.load.brakes import NO_CONNECTION, Brakes, Counts
from poolkit.load.machine import Glance, glance
from poolkit.load.measurement import Floats, Samples
from poolkit.load.recorder import Ledger, Recorder

PATIENCE = 0.5  # s without the end of any call before a leak is looked for
SETTLE = 0.02  # s that a connection may take to go back after its call has ended
LATELY = 10.0  # s that count as the last moments where calls are few
BETWEEN_GLANCES = 0.2  # s: a look at the machine costs as much as a call, and its clock is coarse
NOT_LOOKED_AT: Floats = np.empty(0)


class Watch:
    """Asks the brakes about a trial's records, and finds connections that the work does not return.

    Those are in use while no call under way has got one: a fault of the user's function, which
    looks like a silent server.

    Args:
        holding: how many calls under way hold a connection, or held one.

    State: failures by kind, of those the ones without a connection since a call last succeeded,
    how many had succeeded, failed and finished at the last check, and when (s) a call last ended
    and when the silence began: with calls under way.
    """

    def __init__(
        self, brakes: Brakes, pool: Pool, recorder: Recorder, holding: Callable[[], int]
    ) -> None:
        self._brakes = brakes
        self._pool = pool
        self._recorder = recorder
        self._holding = holding
        self.can_leak = brakes.work is not None
        self._kinds: Counter[str] = Counter()
        self._no_connection: Counter[str] = Counter()
        self._succeeded = self._failed = self._finished = 0
        self._ended_at = self._silent_since = 0.0

    def failed(self, kind: str) -> None:
        """A call failed."""
        self._kinds[kind] += 1
        if kind in NO_CONNECTION:
            self._no_connection[kind] += 1

    def check(
        self, at: float, in_system: int, connections: int, *, closely: bool
    ) -> BrakeStop | None:
        """The stop where a limit is passed at `at` s, or where a leak keeps calls from ending.

        `closely` also looks for leaks, and at the records of how long calls held.
        """
        recorder, brakes = self._recorder, self._brakes
        finished, failed = recorder.finished, recorder.failed.total()
        most = brakes.max_connections
        if not (
            closely
            or failed != self._failed
            or in_system > brakes.max_in_system
            or (most is not None and connections > most)
        ):
            return None  # the rest changes slowly, and a check costs as much as a call
        self._failed = failed
        if finished - failed != self._succeeded:
            self._succeeded = finished - failed
            self._no_connection.clear()
        if finished != self._finished:
            self._finished, self._ended_at = finished, at
        if at == self._ended_at or in_system == 0:
            self._silent_since = at
        counts = Counts(
            finished=finished,
            failed=failed,
            rejected=recorder.failed["rejected"],
            in_system=in_system,
            kinds=self._kinds,
            no_connection=self._no_connection,
            silent_for=at - self._silent_since,
            held=recorder.held_since(at - LATELY) if closely else NOT_LOOKED_AT,
            connections=connections,
        )
        try:
            brakes.check(counts)
        except BrakeStop as stop:
            return self.leak() or stop
        return self.leak() if closely and at - self._ended_at >= PATIENCE else None

    def leak(self) -> BrakeStop | None:
        """The stop where connections leak right now; calls that hold one may explain them."""
        work = self._brakes.work
        if work is None or self._holding():
            return None
        kept = self._pool.statistics().in_use
        return BrakeStop("work_leak", *leak(work, kept)) if kept else None


def leak(work: str, kept: int) -> tuple[str, str]:
    """The finding that the work does not return `kept` connections, and what to do."""
    return (
        f"{work} does not give its connections back: {units.plural(kept, 'connection')} in use, "
        "and no call that has one",
        f"let {work} end what it begins: each response inside async with, and no task left behind "
        "that uses the connection",
    )


class Sampler:
    """Takes rows of `Samples` of the generator itself, its pool and the machine under both.

    State: the rows so far, the last look at the machine and when it was (s), and in `connections`
    how many were open at the last row.
    """

    def __init__(self, pool: Pool, ledger: Ledger) -> None:
        self._pool = pool
        self._ledger = ledger
        self._rows: list[tuple[float, ...]] = []
        self._glance, self._glanced_at = Glance(), -BETWEEN_GLANCES
        self.connections = 0

    def take(self, at: float, lag: float) -> None:
        """One row at `at` s, `lag` s later than was meant; a timer may be early by its grain."""
        pool, ledger = self._pool.statistics(), self._ledger
        self.connections = pool.in_use + pool.idle
        if at >= self._glanced_at + BETWEEN_GLANCES:
            self._glance, self._glanced_at = glance(), at
        self._rows.append(
            (
                at,
                ledger.in_system * at + ledger.balance,
                time.process_time(),
                max(0.0, lag),
                pool.connections_opened,
                pool.disconnects,
                *self._glance,
            )
        )

    def samples(self) -> Samples:
        """All rows, as columns."""
        rows = np.asarray(self._rows, dtype=np.float64).reshape(-1, len(Samples._fields))
        return Samples(*rows.T.copy())
