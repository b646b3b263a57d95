"""Measures what each checkout and each dial costs, and what that takes from the throughput.

Variants of the pool take turns, call by call, so that whatever drifts meets all of them alike; a
cost is the median of the differences within a turn: one call at a time, at most 60 of each. The
lost throughput is measured the same way, with as many callers as connections that together send no
more than the target rate; the first failure ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from statistics import median

from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.postgres import failure
from poolkit.drivers.registry import adapter_of, driver_module
from poolkit.drivers.table import DRIVERS
from poolkit.drivers.variants import BASE, Question, Variants
from poolkit.errors import BrakeStop, CallFailed, PoolkitError
from poolkit.load.stamps import CallStamps
from poolkit.probes.dials import dial_costs
from poolkit.probes.idle import Tell, quiet
from poolkit.probes.line import Dial, NoLine
from poolkit.probes.medians import median_interval
from poolkit.probes.records import Cost, Costs
from poolkit.probes.relay import Upstream
from poolkit.probes.settings import Way, make_way, need, statements, upstream
from poolkit.targets import Target

TURNS = 60  # of every variant, one connection
TURN_SECONDS = 8.0  # for all turns, at most
_WARM_UP = 8  # calls of every variant; prepared statements are in place after 5
ROUNDS = 6  # of throughput; the fewest with a 95 % interval
ROUND = 0.25  # s; longer at a low target rate, for enough calls
_ROUND_CALLS = 20
_LONGEST_ROUND = 1.0  # s
_ROUND_SECONDS = 25.0  # s for all rounds, at most
_CALL_TIMEOUT = 10.0  # s
CLOCK = time.perf_counter


async def measure_costs(target: Target, dial: Dial, size: int, tell: Tell = quiet) -> Costs:
    """The costs of one target at a pool of `size` connections (1 to its `max_size`).

    Raises:
        NoLine: the target takes no connection.
        Unreachable: a pool could not be opened.
        MissingExtra: the driver is not installed.
        BrakeStop: a call failed.
    """
    try:
        return await _measured(target, dial, min(size, target.max_size), tell)
    except (PoolkitError, NoLine):
        raise
    except Exception as error:  # of whichever library drives the target
        kind = error.kind if isinstance(error, CallFailed) else failure(error).kind
        raise BrakeStop(
            "error", f"a call failed while costs were measured: {kind}", "run the probe again"
        ) from error


async def _measured(target: Target, dial: Dial, size: int, tell: Tell) -> Costs:
    where = upstream(target)
    began = time.monotonic()
    most = TURN_SECONDS + _ROUND_SECONDS + 10.0

    def say(what: str) -> None:
        tell(what, time.monotonic() - began, most)

    say("timing calls")
    if target.is_http:
        hold, rows, skipped = await _http_hold(target), list[Cost](), dict[str, str]()
        throughput = None
        skipped["checkout"] = f"{target.driver} asks the server nothing when it hands out or back"
    else:
        variants = await _variants(target)
        needed = len(_names(variants.questions))
        if needed > target.max_size:
            raise BrakeStop(
                "connections",
                f"comparing settings call by call takes {needed} connections, and max_size = "
                f"{target.max_size}",
                "raise max_size, or leave the costs out: --only idle --only stale",
            )
        hold, rows = await _compare(variants)
        say("throughput with and without")
        throughput, rows = await _lost(variants, rows, size, hold, target.target_rate)
        skipped = dict(variants.skipped)
    say("timing dials")
    if isinstance(where, Upstream):
        dials, missing = await dial_costs(dial, where, is_postgres=not target.is_http, hold=hold)
        rows, skipped = [*rows, *dials], skipped | missing
    else:
        skipped["dial"] = where
    return Costs(
        pool_size=size, hold_time=hold, throughput=throughput, costs=tuple(rows), skipped=skipped
    )


async def _variants(target: Target) -> Variants:
    for library in DRIVERS[target.driver].libraries:
        need(library)
    driver, adapter = driver_module(target.driver), adapter_of(target.driver)
    dsn, work = target.resolved_dsn(), statements(target)
    variants = Variants(
        lambda size: adapter(dsn, work, size, call_timeout=_CALL_TIMEOUT),
        driver.vary,
        driver.QUESTIONS,
        driver.SKIPPED,
    )
    await variants.look()
    return variants


async def _http_hold(target: Target) -> float:
    """Median of a call on a kept connection."""
    pool = make_way(target, Way(), 1, port=None, call_timeout=_CALL_TIMEOUT)
    await pool.open()
    seconds: list[float] = []
    until = time.perf_counter() + TURN_SECONDS / 2
    try:
        while len(seconds) < TURNS // 2 and time.perf_counter() < until:
            began = time.perf_counter()
            await pool.call(CallStamps(time.perf_counter, 0.0))
            seconds.append(time.perf_counter() - began)
    finally:
        await close_pool(pool)
    return median(seconds[1:] or seconds)


def _names(questions: Sequence[Question]) -> list[str]:
    """Every variant once, the base first."""
    asked = (name for question in questions for name in (question.dearer, question.cheaper))
    return list(dict.fromkeys([BASE, *asked]))


async def _compare(variants: Variants) -> tuple[float, list[Cost]]:
    """The hold time of the base and the cost of each question, one connection a variant."""
    times: dict[str, list[tuple[float, float]]] = {}
    async with contextlib.AsyncExitStack() as stack:
        pools: dict[str, Pool] = {}
        for name in _names(variants.questions):
            pools[name] = await variants.open(name, 1)
            stack.push_async_callback(pools[name].close)
            for _ in range(_WARM_UP):
                await _once(pools[name])
        order = list(pools)
        until = time.perf_counter() + TURN_SECONDS
        for turn in range(TURNS):
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                times.setdefault(name, []).append(await _once(pools[name]))
            if time.perf_counter() > until:
                break
    hold = median(whole for whole, _ in times[BASE])
    return hold, [_cost(question, times) for question in variants.questions]


def _cost(question: Question, times: dict[str, list[tuple[float, float]]]) -> Cost:
    part = 0 if question.part == "whole" else 1
    differences = [
        dearer[part] - cheaper[part]
        for dearer, cheaper in zip(times[question.dearer], times[question.cheaper], strict=True)
    ]
    middle, interval = median_interval(differences)
    return Cost(
        name=question.name,
        per="checkout",
        seconds=middle,
        interval95=interval,
        samples=len(differences),
        note=question.note,
    )


async def _lost(
    variants: Variants, rows: list[Cost], size: int, hold: float, rate: float
) -> tuple[float | None, list[Cost]]:
    """The base's throughput at `size`, and each cost with the share of it that is lost."""
    rates: dict[str, list[float]] = {}
    names = _names(variants.questions)
    until = time.perf_counter() + _ROUND_SECONDS
    for turn in range(ROUNDS):
        if time.perf_counter() > until:
            break
        for name in names if turn % 2 == 0 else reversed(names):
            rates.setdefault(name, []).append(await carried(variants, name, size, rate))
    if len({len(values) for values in rates.values()}) != 1:
        return None, rows
    by_name = {question.name: question for question in variants.questions}
    lost = []
    for row in rows:
        question = by_name[row.name]
        shares = [
            1 - dearer / cheaper
            for dearer, cheaper in zip(rates[question.dearer], rates[question.cheaper], strict=True)
        ]
        if question.part == "release":
            # A part of the release cannot be switched off alone: its share of the call is computed.
            lost.append(row.model_copy(update={"lost_share": row.seconds / hold}))
            continue
        middle, interval = median_interval(shares)
        lost.append(
            row.model_copy(
                update={
                    "lost_share": middle,
                    "lost_interval95": interval,
                    "is_lost_measured": True,
                }
            )
        )
    return median(rates[BASE]), lost


async def _once(pool: Pool, clock: Callable[[], float] = CLOCK) -> tuple[float, float]:
    """s of a checkout, the target's work and the giving back, and of the giving back alone."""
    stamps = CallStamps(clock, 0.0)
    began = clock()
    await pool.call(stamps)
    ended = clock()
    return ended - began, ended - stamps.served_at


async def carried(
    variants: Variants, name: str, size: int, rate: float, clock: Callable[[], float] = CLOCK
) -> float:
    """calls/s that `size` connections can carry: size / mean time of a call (Little's Law).

    Args:
        rate: calls/s that the callers together do not exceed; where they cannot reach it, what is
            returned is the throughput itself.

    Raises whatever a call raises; the other callers then stop at once.
    """
    loop = asyncio.get_running_loop()
    pool = await variants.open(name, size)
    busy = 0.0
    done = sent = 0
    try:
        # Each connection once before the clock runs, at the same pace.
        for number in range(size):
            pause = 1.0 / rate if number < size - 1 else 0.0
            await asyncio.gather(_once(pool, clock), asyncio.sleep(pause))
        began = loop.time()
        until = began + max(ROUND, min(_LONGEST_ROUND, _ROUND_CALLS / rate))

        async def caller() -> None:
            nonlocal busy, done, sent
            while (due := began + sent / rate) < until and loop.time() < until:
                sent += 1
                await asyncio.sleep(max(0.0, due - loop.time()))
                whole, _ = await _once(pool, clock)
                busy += whole
                done += 1

        callers = [asyncio.create_task(caller()) for _ in range(size)]
        try:
            async with asyncio.timeout(_LONGEST_ROUND + _CALL_TIMEOUT):
                await asyncio.gather(*callers)
        finally:
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        if not done:
            raise TimeoutError("no call ended in time")
        return size * done / busy
    finally:
        await pool.close()
