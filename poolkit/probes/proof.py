"""Proves an idle value: low traffic with pauses at the server's timeout, through the real driver.

Pools of one connection each, side by side: calls, a pause, calls again. Half of the pauses end just
before the server's timeout, when a request and the server's FIN pass each other on the way; a relay
makes that way as long as a network's, or the two could hardly meet on one machine. The others end
just after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from poolkit import units
from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.parameters import PINGS
from poolkit.drivers.parameters.findings import IdleLimit, Proof, ProofRun
from poolkit.drivers.parameters.keep import below, is_keepable
from poolkit.errors import CallFailed, Unreachable
from poolkit.load.stamps import CallStamps
from poolkit.probes.ladder import tolerance
from poolkit.probes.line import ANSWER, OnStep, Upstream, quiet
from poolkit.probes.relay import Relay
from poolkit.probes.settings import Way, looks_at_age, make_way, wire_of
from poolkit.targets import Target

LANES = 4  # pools of one connection for each of the two settings
CALLS = 25  # before the pause, and as many after it
REUSE = 0.9
# Times the server's timeout: what the proof holds against the recommended value. pool_recycle
# counts from the dial, so it has to be longer than the whole run.
TOO_LONG = 10.0
_PAUSE = 0.01  # s between two calls, at least
_SLACK = 20.0  # s for calls and dials beside the pause
_OPEN = 10.0  # s


def one_way(timeout: float) -> float:
    """s that the relay adds in each direction while the pauses end."""
    return min(0.1, 0.02 + 0.04 * timeout)


def pauses(limit: IdleLimit, lanes: int, delay: float) -> tuple[float, ...]:
    """The pause (s) of each lane: at the close and after it where it is announced, else after."""
    assert limit.bounds is not None
    after = limit.bounds[1] + tolerance(limit.bounds[1]) / 2
    if limit.kind != "closed" or limit.timeout is None or not delay:
        return (after,) * lanes
    # From `timeout - delay` to `timeout + delay`: the request leaves before the FIN has come.
    return tuple(limit.timeout if lane % 2 == 0 else after for lane in range(lanes))


def ways(driver: str, limit: IdleLimit) -> tuple[Way, Way] | None:
    """What keeps a pool from meeting the server's close, and what outlives the server's patience.

    None: nothing has to keep it from that, or nothing can.
    """
    if limit.earliest is None or limit.bounds is None or not limit.is_steady:
        return None
    if not looks_at_age(driver):
        return (Way(ping=True), Way()) if driver in PINGS else None
    if not is_keepable(limit.earliest):
        return None
    return Way(keep=below(limit.earliest)), Way(keep=TOO_LONG * limit.bounds[1])


@dataclass
class _Traffic:
    """The calls of all lanes, and the way to the target: long while pauses end, else short.

    State: how many lanes are in their pause, and how many have called after it.

    Args:
        delay: s, of the relay in each direction; without one the way is as it is.
        every: s between two calls of a lane.
    """

    target: Target
    relay: Relay | None
    delay: float
    gaps: tuple[float, ...]
    every: float
    pausing: int = 0
    back: int = 0

    async def run(self, way: Way) -> ProofRun:
        """A lane for each of the gaps, with pools that are kept this way."""
        lanes = await asyncio.gather(*(self._lane(way, gap) for gap in self.gaps))
        failed, disconnects, dials = (sum(column) for column in zip(*lanes, strict=True))
        calls = 2 * CALLS * len(lanes)
        return ProofRun(
            setting=way.words(self.target.driver),
            calls=calls,
            failed=failed,
            disconnects=disconnects,
            dials=dials,
            reuse_ratio=1 - dials / calls,
        )

    async def _lane(self, way: Way, gap: float) -> tuple[int, int, int]:
        """(failed, disconnects, dials) of one pool with a pause in the middle of its calls."""
        port = None if self.relay is None else self.relay.port
        pool = make_way(self.target, way, 1, port=port, call_timeout=ANSWER)
        failed = 0
        try:
            async with asyncio.timeout(_OPEN):
                await pool.open()
            for number in range(2 * CALLS):
                if number == CALLS:
                    await self._pause(gap)
                elif number:
                    await asyncio.sleep(self.every)
                failed += not await _succeeds(pool)
                if number == CALLS:
                    self._resume()
            seen = pool.statistics()
            return failed, seen.disconnects, seen.connections_opened
        finally:
            await close_pool(pool)

    async def _pause(self, gap: float) -> None:
        self.pausing += 1
        # Two settings: twice the lanes.
        if self.relay is not None and self.pausing == 2 * len(self.gaps):
            self.relay.delay = self.delay
        await asyncio.sleep(gap)

    def _resume(self) -> None:
        self.back += 1
        if self.relay is not None and self.back == 2 * len(self.gaps):
            self.relay.delay = 0.0


async def prove(target: Target, limit: IdleLimit, on_step: OnStep = quiet) -> Proof | str:
    """Run the recommended value and one too long at the same time; a text says why not.

    Takes about one timeout. At most `LANES` connections for each setting, and never more than the
    target's `max_size` together.
    """
    both = ways(target.driver, limit)
    if both is None or limit.bounds is None:
        return f"there is no value to prove: {limit.seen}"
    good, bad = both
    lanes = min(LANES, target.max_size // 2)
    if lanes < 1:
        return "max_size = 1 leaves no connection for a comparison"
    where = wire_of(target).upstream(target)
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        relay, delay = None, 0.0
        if isinstance(where, Upstream):
            delay = one_way(limit.bounds[1])
            relay = await stack.enter_async_context(Relay(where))
        gaps = pauses(limit, lanes, delay)
        every = min(max(_PAUSE, 2 * lanes / target.target_rate), below_all(good, limit))
        most = max(gaps) + 2 * CALLS * every + _SLACK
        on_step("proving the value in low traffic", most)
        traffic = _Traffic(target, relay, delay, gaps, every)
        try:
            async with asyncio.timeout(most):
                first, second = await asyncio.gather(traffic.run(good), traffic.run(bad))
        except TimeoutError:
            return f"the runs did not end within {most:.0f} s"
        except Unreachable as error:
            return error.cause
    # A ping that finds a dead connection is what a ping is for.
    is_clean = first.failed == 0 and (first.disconnects == 0 or good.ping)
    return Proof(
        recommended=first,
        too_long=second,
        round_trip=2 * delay or None,
        seconds=time.monotonic() - began,
        holds=is_clean and first.reuse_ratio > REUSE,
        seen=f"in low traffic {_words(first)}, but {_words(second)}",
    )


def below_all(way: Way, limit: IdleLimit) -> float:
    """A pause between calls (s) that neither side takes for idleness."""
    ends = [end for end in (way.keep, limit.earliest) if end is not None]
    return min(ends, default=1.0) / 4


async def _succeeds(pool: Pool) -> bool:
    try:
        await pool.call(CallStamps(time.perf_counter, 0.0))
    except CallFailed:
        return False
    return True


def _words(run: ProofRun) -> str:
    return (
        f"{run.setting} met {units.plural(run.disconnects, 'dead connection')} "
        f"({units.plural(run.failed, 'failed call')}, reuse {units.share(run.reuse_ratio)})"
    )
