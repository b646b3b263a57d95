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
from collections.abc import Callable, Iterator

from poolkit import units
from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.parameters.keep import below, is_keepable
from poolkit.errors import CallFailed, Unreachable
from poolkit.load.stamps import CallStamps
from poolkit.probes.idle import ANSWER, Tell, quiet
from poolkit.probes.ladder import tolerance
from poolkit.probes.records import IdleLimit, Proof, ProofRun
from poolkit.probes.relay import Relay
from poolkit.probes.settings import Way, looks_at_age, make_way, upstream
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


def recommended_way(driver: str, limit: IdleLimit) -> Way | None:
    """What keeps a pool from meeting the server's close; None: nothing has to, or can."""
    if limit.earliest is None:
        return None
    if driver == "psycopg":
        return Way(keep=None, ping=True)
    return Way(keep=below(limit.earliest)) if is_keepable(limit.earliest) else None


def too_long_way(driver: str, limit: IdleLimit) -> Way | None:
    """A setting that outlives the server's patience, to show what then happens."""
    if limit.bounds is None:
        return None
    return Way() if driver == "psycopg" else Way(keep=TOO_LONG * limit.bounds[1])


class _Path:
    """The way to the target: long while pauses end, and else as short as it is.

    State: how many lanes are in their pause, and how many have called after it.
    """

    def __init__(self, relay: Relay | None, delay: float, lanes: int) -> None:
        self.port = None if relay is None else relay.port
        self._relay = relay
        self._delay = delay
        self._lanes = lanes
        self._pausing = self._back = 0

    def pause(self) -> None:
        """A lane begins its pause."""
        self._pausing += 1
        if self._relay is not None and self._pausing == self._lanes:
            self._relay.delay = self._delay

    def resume(self) -> None:
        """A lane has made its first call after its pause."""
        self._back += 1
        if self._relay is not None and self._back == self._lanes:
            self._relay.delay = 0.0


async def prove(target: Target, limit: IdleLimit, tell: Tell = quiet) -> Proof | str:
    """Run the recommended value and one too long at the same time; a text says why not.

    Takes about one timeout. At most `LANES` connections for each setting, and never more than the
    target's `max_size` together.
    """
    good, bad = recommended_way(target.driver, limit), too_long_way(target.driver, limit)
    if good is None or bad is None or limit.bounds is None or not limit.is_steady:
        return f"there is no value to prove: {limit.seen}"
    lanes = min(LANES, target.max_size // 2)
    if lanes < 1:
        return "max_size = 1 leaves no connection for a comparison"
    where = upstream(target)
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        relay, delay = None, 0.0
        if not isinstance(where, str):
            delay = one_way(limit.bounds[1])
            relay = await stack.enter_async_context(Relay(where))
        path = _Path(relay, delay, 2 * lanes)
        gaps = pauses(limit, lanes, delay)
        every = min(max(_PAUSE, 2 * lanes / target.target_rate), below_all(good, limit))
        most = max(gaps) + 2 * CALLS * every + _SLACK
        stack.enter_context(_told(tell, most))
        try:
            async with asyncio.timeout(most):
                first, second = await asyncio.gather(
                    _run(target, good, path, gaps, every), _run(target, bad, path, gaps, every)
                )
        except TimeoutError:
            return f"the runs did not end within {most:.0f} s"
        except Unreachable as error:
            return error.cause
    return _proof(target.driver, first, second, delay, time.monotonic() - began)


def below_all(way: Way, limit: IdleLimit) -> float:
    """A pause between calls (s) that neither side takes for idleness."""
    ends = [end for end in (way.keep, limit.earliest) if end is not None]
    return min(ends, default=1.0) / 4


@contextlib.contextmanager
def _told(tell: Tell, most: float) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def go() -> None:
        while True:
            tell("proving the value in low traffic", loop.time() - began, most)
            await asyncio.sleep(0.25)

    task = loop.create_task(go())
    try:
        yield
    finally:
        task.cancel()


async def _run(
    target: Target, way: Way, path: _Path, gaps: tuple[float, ...], every: float
) -> ProofRun:
    lanes = [
        _lane(
            lambda: make_way(target, way, 1, port=path.port, call_timeout=ANSWER), path, gap, every
        )
        for gap in gaps
    ]
    results = await asyncio.gather(*lanes)
    calls, failed, disconnects, dials = (sum(column) for column in zip(*results, strict=True))
    return ProofRun(
        setting=way.words(target.driver),
        calls=calls,
        failed=failed,
        disconnects=disconnects,
        dials=dials,
        reuse_ratio=1 - dials / calls,
    )


async def _lane(
    make: Callable[[], Pool], path: _Path, gap: float, every: float
) -> tuple[int, int, int, int]:
    """(calls, failed, disconnects, dials) of one pool with a pause in the middle of its calls."""
    pool = make()
    failed = 0
    try:
        async with asyncio.timeout(_OPEN):
            await pool.open()
        for number in range(2 * CALLS):
            if number == CALLS:
                path.pause()
                await asyncio.sleep(gap)
            elif number:
                await asyncio.sleep(every)
            try:
                await pool.call(CallStamps(time.perf_counter, 0.0))
            except CallFailed:
                failed += 1
            if number == CALLS:
                path.resume()
        seen = pool.statistics()
        return 2 * CALLS, failed, seen.disconnects, seen.connections_opened
    finally:
        await close_pool(pool)


def _proof(driver: str, good: ProofRun, bad: ProofRun, delay: float, seconds: float) -> Proof:
    # A ping that finds a dead connection is what a ping is for.
    is_clean = good.failed == 0 and (good.disconnects == 0 or not looks_at_age(driver))
    holds = is_clean and good.reuse_ratio > REUSE
    return Proof(
        recommended=good,
        too_long=bad,
        round_trip=2 * delay or None,
        seconds=seconds,
        holds=holds,
        seen=f"in low traffic {_words(good)}, but {_words(bad)}",
    )


def _words(run: ProofRun) -> str:
    return (
        f"{run.setting} met {units.plural(run.disconnects, 'dead connection')} "
        f"({units.plural(run.failed, 'failed call')}, reuse {units.share(run.reuse_ratio)})"
    )
