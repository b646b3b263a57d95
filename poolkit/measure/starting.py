"""Pools that begin empty while calls already come, and what is noted of that."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poolkit.analysis.cold import Opening
from poolkit.drivers import postgres
from poolkit.drivers.base import Pool, PoolStatistics, Stamps, close_pool, connections_of
from poolkit.drivers.fleet import FleetPool, GatedPool
from poolkit.drivers.registry import dials_beforehand, gate_size, make_pool, with_min_size
from poolkit.errors import BadInput, CallFailed, CallRejected, Unreachable
from poolkit.load.brakes import NO_CONNECTION
from poolkit.load.stamps import CallStamps
from poolkit.load.starting import Seen
from poolkit.measure.sweep import TrialPlan
from poolkit.targets import Target

LOOK = 0.005  # s between two looks at the dials
OPENS_WITHIN = 10.0  # s that a pool may take to open before the first call, its delay not counted


@dataclass
class Notes:
    """What is noted while the pools begin; times are s of `time.perf_counter`."""

    began: float = 0.0
    load_from: float = 0.0
    opened_at: list[float] = field(default_factory=list)  # of each pool that opened
    due: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    first_reply: float | None = None
    refused: int = 0
    failed: int = 0

    def lost(self, failure: CallFailed) -> None:
        """A dial brought no connection."""
        if failure.outcome == "rejected" or failure.kind == "connection_refused":
            self.refused += 1
        else:
            self.failed += 1


class Replica:
    """One pool of the target's library that begins `after` s; its calls wait until it is open.

    Args:
        pool: not open yet.
        warm_by_calls: calls at once that make the pool dial, where the library has no other way.
    """

    def __init__(self, pool: Pool, after: float, notes: Notes, warm_by_calls: int = 0) -> None:
        self.pool = pool
        self._after = after
        self._notes = notes
        self._warm_by_calls = warm_by_calls
        self._opening: asyncio.Task[None] | None = None

    @property
    def pool_size(self) -> int:
        """Most connections that it may hold."""
        return self.pool.pool_size

    @property
    def connections(self) -> int:
        """Most connections that calls use at once."""
        return connections_of(self.pool)

    async def open(self) -> None:
        """Begin, and do not wait: `opened` does."""
        self._opening = asyncio.create_task(self._open())
        # A service that nobody calls has nobody to tell that it could not begin.
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def opened(self) -> None:
        """Wait until the pool is open; raises `CallFailed` where it could not."""
        assert self._opening is not None, "opened first"
        await asyncio.shield(self._opening)

    @property
    def is_open(self) -> bool:
        """Whether it began without a fault."""
        task = self._opening
        return task is not None and task.done() and task.exception() is None

    async def _open(self) -> None:
        try:
            await asyncio.sleep(self._after)
            await self.pool.open()
            stamps = (CallStamps(time.perf_counter, 0.0) for _ in range(self._warm_by_calls))
            await asyncio.gather(*(self.pool.call(one) for one in stamps))
        except Unreachable as error:
            failure = _failure(error)
            self._notes.lost(failure)
            raise failure from error
        except CallFailed as failure:
            self._notes.lost(failure)
            raise
        self._notes.opened_at.append(time.perf_counter())

    async def call(self, stamps: Stamps) -> None:
        """Wait until the pool is open, call, and note when the connection was up."""
        assert isinstance(stamps, CallStamps)
        shift = time.perf_counter() - stamps.at  # from the trial's time axis to this one's
        notes, got_one = self._notes, False
        try:
            await self.opened()
            await self.pool.call(stamps)
            got_one = True
            if notes.first_reply is None:
                notes.first_reply = time.perf_counter()
        except CallFailed as failure:
            is_of_dial = _is_of_dial(failure) and not stamps.has_dialled
            got_one = stamps.has_acquired and not is_of_dial
            if is_of_dial and self.is_open:
                notes.lost(failure)
            raise
        finally:
            up = stamps.dialled_at if stamps.has_dialled else stamps.acquired_at
            notes.due.append(stamps.due_at + shift)
            notes.waited.append(up - stamps.started_at if got_one else np.inf)

    def statistics(self) -> PoolStatistics:
        """The pool's own."""
        return self.pool.statistics()

    async def close(self) -> None:
        """End what is under way."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await close_pool(self.pool)


class StartingService(FleetPool):
    """Every pool of a service, which begin together with the first calls, or right before them.

    `look` comes first, then `open`, which returns at once where calls come as the pools begin; else
    when all of them are ready.

    Args:
        seed: of the jitter and of which pool gets which call.
    """

    def __init__(self, target: Target, plan: TrialPlan, seed: int) -> None:
        assert plan.cold is not None, "a cold start says how its pools begin"
        self._cold: Opening = plan.cold
        self._seconds = plan.seconds
        self._notes = Notes()
        draw = random.Random(seed).uniform
        has_min_size = dials_beforehand(target)
        warm_by_calls = self._cold.min_size if self._cold.is_warm and not has_min_size else 0
        self._target = with_min_size(target, self._cold.min_size if has_min_size else 0)
        self._replicas = tuple(
            Replica(
                make_pool(self._target, plan.pool_size, seed=seed + index),
                draw(0.0, self._cold.jitter),
                self._notes,
                warm_by_calls,
            )
            for index in range(plan.pools)
        )
        gate = gate_size(target, plan.pool_size)
        super().__init__(
            self._replicas if gate is None else [GatedPool(one, gate) for one in self._replicas],
            seed,
        )
        self.warm_calls = warm_by_calls * plan.pools
        self._dialled: list[tuple[float, int, float]] = []
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """What every replica would ask for itself (is there a pooler?), asked once beforehand."""
        with contextlib.suppress(Unreachable):  # then each pool asks for itself
            await self._look()

    async def open(self, at: float | None = None) -> None:
        """Begin; that a pool cannot open is told by the calls that wait for it.

        Args:
            at: when all pools of the service begin (s of `time.perf_counter`); None: now.
        """
        notes = self._notes
        notes.began = notes.load_from = time.perf_counter() if at is None else at
        self._note_dials()
        self._looking = asyncio.create_task(self._watch())
        for replica in self._replicas:
            await replica.open()
        if self._cold.is_warm:
            within = OPENS_WITHIN + self._cold.jitter
            opened = (asyncio.wait_for(one.opened(), within) for one in self._replicas)
            await asyncio.gather(*opened, return_exceptions=True)
            notes.load_from = time.perf_counter()

    def calls_begin(self, at: float) -> None:
        """Calls come from `at` on, since other generators' pools were ready later."""
        self._notes.load_from = at

    async def _look(self) -> None:
        first: Any = self._replicas[0].pool
        if not isinstance(first, postgres.PostgresPool):
            return
        try:
            await first.look()
        except Exception as error:
            if isinstance(error, BadInput) or not isinstance(error, (*first.errors, OSError)):
                raise
            raise postgres.unreachable(error) from error
        for replica in self._replicas:
            pool: Any = replica.pool
            pool.is_pooled, pool.session = first.is_pooled, dict(first.session)
            pool.dials_beforehand = False  # SQLAlchemy's engine dials nothing by itself

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._note_dials()

    def _note_dials(self) -> None:
        dials = sum(one.statistics().connections_opened for one in self._replicas)
        at = max(0.0, time.perf_counter() - self._notes.began)
        self._dialled.append((at, dials, time.process_time()))

    async def close(self) -> None:
        """End what is under way in every pool."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(replica.close() for replica in self._replicas))

    def seen(self, seconds: float) -> Seen:
        """What was noted of the start, of whose calls the first `seconds` s count."""
        notes = self._notes
        due = np.array(notes.due) - notes.began
        order = np.argsort(due, kind="stable")
        until = notes.load_from - notes.began + seconds
        counted = order[due[order] < until]
        is_ready = len(notes.opened_at) == len(self._replicas)
        dialled = np.array(self._dialled, dtype=float).reshape(-1, 3)
        return Seen(
            due=due[counted],
            waited=np.array(notes.waited)[counted],
            load_from=notes.load_from - notes.began,
            load_until=until,
            at_once=self._cold.min_size * len(self._replicas),
            ready=max(notes.opened_at) - notes.began if is_ready else None,
            first_reply=None if notes.first_reply is None else notes.first_reply - notes.began,
            dialled=dialled[dialled[:, 0] < until],
            refused=notes.refused,
            failed=notes.failed,
        )


def _failure(error: Unreachable) -> CallFailed:
    """What a pool that did not open means for the calls that wait for it."""
    cause = error.__cause__
    if isinstance(cause, CallFailed):
        return cause
    # psycopg_pool tells only that the server did not take all of them.
    return CallRejected("too_many_connections") if cause is None else postgres.failure(cause)


def _is_of_dial(failure: CallFailed) -> bool:
    """Whether it was the dial that failed: an HTTP status stands for a call that was answered."""
    if failure.kind.startswith("http_"):
        return False
    return failure.kind in NO_CONNECTION or failure.outcome == "rejected"
