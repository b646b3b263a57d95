"""Counts what a pool lets through to its callers when every connection under it was cut.

The cut is made by a relay of our own, so the target itself is never restarted. `restart` ends the
connections as a server does that goes down: drivers that listen to their idle connections see it.
`drop` forgets them as a firewall does: only the next use finds out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import product
from typing import get_args

from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.parameters import PINGS
from poolkit.errors import CallFailed, Unreachable
from poolkit.load.stamps import CallStamps
from poolkit.probes.line import ANSWER, OnStep, quiet
from poolkit.probes.records import CutKind, Setting, StaleCount
from poolkit.probes.relay import Relay
from poolkit.probes.settings import Way, looks_at_age, make_way, wire_of
from poolkit.targets import Target

CONNECTIONS = 4
ROUNDS = 3  # of one call a connection, after the cut
# s; shorter than the pause, as a recommended value is shorter than a quiet time. Calls that come
# right after a cut meet what it had closed: recycling is no help against a restart under load.
RECYCLE = 0.3
PAUSE = 0.6  # s between the cut and the first call
_MOST = 20.0  # s for one setting
Cut = Callable[[CutKind], Awaitable[None]]

# stamina tells of each repeat; the counts do.
logging.getLogger("stamina").addHandler(logging.NullHandler())


def settings(driver: str) -> dict[Setting, Way]:
    """The ways of one driver to live with dead connections."""
    ways: dict[Setting, Way] = {"none": Way()}
    if driver in PINGS:
        ways["pre_ping"] = Way(ping=True)
    if looks_at_age(driver):
        ways["recycle"] = Way(keep=RECYCLE)
    if importlib.util.find_spec("stamina") is not None:
        ways["retry"] = Way()
    return ways


async def count_stale(target: Target, on_step: OnStep = quiet) -> tuple[StaleCount, ...] | str:
    """Cut every setting's connections in both ways; a text says why it cannot be done.

    Opens at most 4 connections at a time and never more than the target's `max_size`.
    """
    where = wire_of(target).upstream(target)
    if isinstance(where, str):
        return where
    counts = []
    plan = list(product(get_args(CutKind), settings(target.driver)))
    on_step("cutting connections", 2.0 * len(plan))
    async with Relay(where) as relay:
        for kind, setting in plan:
            try:
                async with asyncio.timeout(_MOST):
                    counts.append(
                        await count_cut(target, setting, kind, relay.cut, port=relay.port)
                    )
            except TimeoutError:
                return f"{setting} did not come to an end within {_MOST:g} s after a {kind}"
            except Unreachable as error:
                return error.cause
    return tuple(counts)


async def count_cut(
    target: Target, setting: Setting, kind: CutKind, cut: Cut, *, port: int | None = None
) -> StaleCount:
    """What one setting lets through after `cut`: calls, a cut, a pause, calls again.

    Args:
        cut: ends all connections; awaited once, with `kind`.
        port: of a relay on this machine; None: straight to the target.
    """
    size = min(CONNECTIONS, target.max_size)
    pool = make_way(target, settings(target.driver)[setting], size, port=port, call_timeout=ANSWER)
    before_cut, after_cut = _Calls(pool), _Calls(pool, is_retried=setting == "retry")
    try:
        await pool.open()
        for _ in range(2):
            await before_cut.make(size)
        before = pool.statistics().disconnects
        await cut(kind)
        await asyncio.sleep(PAUSE)
        for _ in range(ROUNDS):
            await after_cut.make(size)
        return StaleCount(
            setting=setting,
            cut=kind,
            calls=ROUNDS * size,
            failed=after_cut.failed,
            disconnects=pool.statistics().disconnects - before,
            retries=after_cut.attempts - ROUNDS * size,
        )
    finally:
        await close_pool(pool)


@dataclass
class _Calls:
    """Calls of a pool, and how many attempts they took and failed."""

    pool: Pool
    is_retried: bool = False
    attempts: int = 0
    failed: int = 0

    async def make(self, calls: int) -> None:
        """So many at the same time."""
        await asyncio.gather(*(self._call() for _ in range(calls)))

    async def _call(self) -> None:
        try:
            if self.is_retried:
                from poolkit.retry import retry

                # The target's own call is repeated thousands of times by every sweep.
                await retry(self._attempt, idempotent=True)
            else:
                await self._attempt()
        except CallFailed:
            self.failed += 1

    async def _attempt(self) -> None:
        self.attempts += 1
        await self.pool.call(CallStamps(time.perf_counter, 0.0))
