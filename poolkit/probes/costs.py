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
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from poolkit.drivers.base import Pool, close_pool
from poolkit.drivers.parameters.findings import Cost, Costs
from poolkit.drivers.postgres import failure
from poolkit.drivers.registry import adapter_of, driver_module
from poolkit.drivers.variants import BASE, Question, Variants
from poolkit.errors import BrakeStop, CallFailed, PoolkitError
from poolkit.load.stamps import CallStamps
from poolkit.probes.dials import cost_of, dial_costs, median_interval
from poolkit.probes.line import Dial, NoLine, OnStep, Upstream, quiet
from poolkit.probes.settings import Way, make_way, wire_of
from poolkit.targets import Target

TURNS = 60  # of every variant, one connection
TURN_SECONDS = 8.0  # for all turns, at most
_WARM_UP = 8  # calls of every variant; prepared statements are in place after 5
ROUNDS = 6  # of throughput; the fewest with a 95 % interval
ROUND = 0.25  # s; longer at a low target rate, for enough calls
_ROUND_CALLS = 20
_LONGEST_ROUND = 1.0  # s
_ROUND_SECONDS = 25.0  # s for all rounds, at most
_MOST = TURN_SECONDS + _ROUND_SECONDS + 10.0  # s for everything
_CALL_TIMEOUT = 10.0  # s
CLOCK = time.perf_counter


async def measure_costs(target: Target, dial: Dial, size: int, on_step: OnStep = quiet) -> Costs:
    """The costs of one target at a pool of `size` connections (1 to its `max_size`).

    Raises:
        NoLine: the target takes no connection.
        Unreachable: a pool could not be opened.
        BrakeStop: a call failed.
    """
    try:
        return await _measured(target, dial, min(size, target.max_size), on_step)
    except (PoolkitError, NoLine):
        raise
    except Exception as error:  # of whichever library drives the target
        kind = error.kind if isinstance(error, CallFailed) else failure(error).kind
        raise BrakeStop(
            "error", f"a call failed while costs were measured: {kind}", "run the probe again"
        ) from error


async def _measured(target: Target, dial: Dial, size: int, on_step: OnStep) -> Costs:
    on_step("timing calls", _MOST)
    wire, throughput = wire_of(target), None
    variants = await _variants(target)
    hold, rows = await _compare(variants)
    if variants.questions:
        on_step("throughput with and without", _MOST)
        throughput, rows = await _lost(variants, rows, size, hold, target.target_rate)
    on_step("timing dials", _MOST)
    where, skipped = wire.upstream(target), dict(variants.skipped)
    if isinstance(where, Upstream):
        dials, missing = await dial_costs(dial, where, tls_request=wire.TLS_REQUEST, hold=hold)
        rows, skipped = [*rows, *dials], skipped | missing
    else:
        skipped["dial"] = where
    return Costs(
        pool_size=size, hold_time=hold, throughput=throughput, costs=tuple(rows), skipped=skipped
    )


class _Alone(Variants):
    """The pool of a driver that asks the server nothing: there is nothing to compare it with."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.questions = ()
        self.skipped = {
            "checkout": f"{target.driver} asks the server nothing when it hands out or back"
        }

    async def open(self, variant: str, size: int) -> Pool:
        pool = make_way(self._target, Way(), size, port=None, call_timeout=_CALL_TIMEOUT)
        await pool.open()
        return pool


async def _variants(target: Target) -> Variants:
    driver = driver_module(target.driver)
    if not hasattr(driver, "QUESTIONS"):
        return _Alone(target)
    adapter, work = adapter_of(target.driver), wire_of(target).work(target, None)
    limits = {"call_timeout": _CALL_TIMEOUT, "max_reply": target.max_reply}
    variants = Variants(lambda size: adapter(*work, size, **limits), driver)
    await variants.look()
    needed = len(_names(variants.questions))
    if needed > target.max_size:
        raise BrakeStop(
            "connections",
            f"comparing settings call by call takes {needed} connections, and max_size = "
            f"{target.max_size}",
            "raise max_size, or leave the costs out: --only idle --only stale",
        )
    return variants


def _names(questions: Sequence[Question]) -> list[str]:
    """Every variant once, the base first."""
    asked = (name for question in questions for name in (question.dearer, question.cheaper))
    return list(dict.fromkeys([BASE, *asked]))


async def _compare(variants: Variants) -> tuple[float, list[Cost]]:
    """The hold time of the base and the cost of each question, one connection a variant."""
    times: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        pools: dict[str, Pool] = {}
        for name in _names(variants.questions):
            pools[name] = await variants.open(name, 1)
            stack.push_async_callback(close_pool, pools[name])
            for _ in range(_WARM_UP):
                await _once(pools[name])
        order = list(pools)
        until = CLOCK() + TURN_SECONDS
        for turn in range(TURNS):
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                times[name].append(await _once(pools[name]))
            if CLOCK() > until:
                break
    hold = median(whole for whole, _ in times[BASE])
    return hold, [_cost(question, times) for question in variants.questions]


def _cost(question: Question, times: dict[str, list[tuple[float, float]]]) -> Cost:
    part = 0 if question.part == "whole" else 1
    turns = zip(times[question.dearer], times[question.cheaper], strict=True)
    differences = [dearer[part] - cheaper[part] for dearer, cheaper in turns]
    return cost_of(differences, name=question.name, per="checkout", note=question.note)


async def _lost(
    variants: Variants, rows: list[Cost], size: int, hold: float, rate: float
) -> tuple[float | None, list[Cost]]:
    """The base's throughput at `size`, and each cost with the share of it that is lost."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    names = _names(variants.questions)
    until = CLOCK() + _ROUND_SECONDS
    for turn in range(ROUNDS):
        if CLOCK() > until:
            break
        for name in names if turn % 2 == 0 else reversed(names):
            rates[name].append(await carried(variants, name, size, rate))
    lost = []
    for question, row in zip(variants.questions, rows, strict=True):
        # A part of the release cannot be switched off alone: its share of the call is computed.
        share: dict[str, Any] = {"lost_share": row.seconds / hold}
        if question.part == "whole":
            turns = zip(rates[question.dearer], rates[question.cheaper], strict=True)
            middle, interval = median_interval([1 - dearer / cheaper for dearer, cheaper in turns])
            share = {"lost_share": middle, "lost_interval95": interval, "is_lost_measured": True}
        lost.append(row.model_copy(update=share))
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
