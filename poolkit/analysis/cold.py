"""What a start with empty pools did to the first callers, and how replicas should begin instead.

A cold start is a storm of dials: each costs the server a process or a handshake, and while they are
under way callers wait. Three things help, and trials tell how much: fewer connections at first,
dialling them before a replica reports ready, and replicas that do not begin in the same moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poolkit import units
from poolkit.analysis.late import ALLOWANCE, steady_from
from poolkit.load.measurement import Floats
from poolkit.load.starting import Seen
from poolkit.records import ColdAdvice, ColdStart, Trial

SLICE = 0.1  # s
FIRST = 1.0  # s whose callers are looked at by themselves
MOST_OF_DIALS = 0.9  # share of the most that were dialled at once: a storm that tells the rate
CALM_SHARE = 0.5  # of the login rate that was seen, to spread the dials of a deploy to
WORTH_SPREADING = 0.1  # s that all dials together take; below it nobody gains by a jitter
CLIENT_BOUND = 0.85  # of one core: from here on the dials may have waited for this process


@dataclass(frozen=True, slots=True)
class Opening:
    """How each of the pools begins.

    Attributes:
        min_size: connections that it dials at once, 0 to its size.
        is_warm: whether it does so before its first call; else both begin together.
        jitter: s over which the pools' beginnings are spread at random, 0 or more.
        wait_limit: s that the p99 wait for a connection may be.
    """

    min_size: int
    is_warm: bool
    jitter: float
    wait_limit: float


def cold_start(opening: Opening, seen: Seen) -> ColdStart:
    """The record of a cold start."""
    since, waited, limit = seen.due - seen.load_from, seen.waited, opening.wait_limit
    slices = math.ceil((seen.load_until - seen.load_from) / SLICE - 1e-9)
    rows = [(at, int(dials), cpu) for at, dials, cpu in seen.dialled.tolist()]
    total = rows[-1][1] if rows else 0
    # Dials that calls ask for come at the pace of the calls, and say nothing of the server's.
    asked = min(seen.at_once, total)
    at, dials, cpu = next((row for row in rows if row[1] >= asked), (0.0, 0, 0.0))
    rate = share = None
    if asked and at > 0:
        rate, share = dials / at, (cpu - rows[0][2]) / at
    edges = [SLICE * number for number in range(slices)]
    return ColdStart(
        min_size=opening.min_size,
        is_warm=opening.is_warm,
        jitter=opening.jitter,
        wait_limit=limit,
        ready=seen.ready,
        first_reply=seen.first_reply,
        steady=_steady(since, waited, edges, limit),
        wait_p99=_p99(waited[since < FIRST] if (since < FIRST).any() else waited),
        dials=total,
        dial_rate=rate,
        refused=seen.refused,
        failed=seen.failed,
        cpu_share=share,
        generators=seen.generators,
        waits=tuple(_p99(waited[(since >= edge) & (since < edge + SLICE)]) for edge in edges),
        dials_by_slice=_by_slice(rows),
    )


def _p99(waited: Floats) -> float | None:
    """The wait that one in 100 exceeds; None where there is none, or more than that got nothing."""
    if not waited.size:
        return None
    found = float(np.quantile(waited, 1 - ALLOWANCE, method="higher"))
    return found if math.isfinite(found) else None


def _steady(since: Floats, waited: Floats, edges: Sequence[float], limit: float) -> float | None:
    """The first edge from which on neither the calls left nor those of its slice are late."""
    slices = [waited[(since >= edge) & (since < edge + SLICE)] for edge in edges]
    steady = steady_from([(float((own > limit).sum()), float(own.size)) for own in slices])
    return None if steady is None else edges[steady]


def _by_slice(dialled: Sequence[tuple[float, int, float]]) -> tuple[int, ...]:
    if not dialled:
        return ()
    found = [0] * (int(dialled[-1][0] / SLICE) + 1)
    before = 0
    for at, dials, _ in dialled:
        found[int(at / SLICE)] += dials - before
        before = dials
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def starts_of(trials: Sequence[Trial], pool_size: int, pools: int) -> list[ColdStart]:
    """The cold starts of so many pools of a size that were tried, in order."""
    return [
        trial.cold
        for trial in trials
        if trial.cold is not None and (trial.pool_size, trial.pools) == (pool_size, pools)
    ]


def login_rate(starts: Sequence[ColdStart]) -> tuple[float, bool] | None:
    """Dials a second that the server took, and whether it may take more; None: not seen.

    Of the starts without jitter those count in which the most was dialled, and of these one in
    which none was refused, where there is one.
    """
    stormy = [start for start in starts if start.dial_rate is not None and not start.jitter]
    if not stormy:
        return None
    clean = [start for start in stormy if not start.refused and not start.failed] or stormy
    most = max(start.dials for start in clean)
    best = max(
        (start for start in clean if start.dials >= MOST_OF_DIALS * most),
        key=lambda start: start.dial_rate or 0.0,
    )
    is_least = (best.cpu_share or 0.0) >= CLIENT_BOUND
    return best.dial_rate or 0.0, is_least


def spread(dials: int, rate: float) -> float:
    """Seconds to spread the replicas' beginnings over, so that the server has half its logins free.

    0 where all dials together take too short a time to be worth it; rounded up to a tenth.
    """
    if rate <= 0 or dials / rate <= WORTH_SPREADING:
        return 0.0
    return math.ceil(10 * dials / (CALM_SHARE * rate)) / 10


def advise(trials: Sequence[Trial], pool_size: int, pools: int) -> ColdAdvice | None:
    """How `pools` pools of a size should begin; None where no cold start was tried.

    The least that held: nothing dialled beforehand, else the fewest connections dialled before the
    replica reports ready. Where nothing held, the whole pool dialled before that, and it is said.
    """
    starts = starts_of(trials, pool_size, pools)
    if not starts:
        return None
    lazy = [s for s in starts if not s.is_warm and not s.min_size]
    warm = [s for s in starts if s.is_warm]
    known = login_rate(starts)
    rate = None if known is None else known[0]
    if lazy and lazy[-1].holds:
        best, jitter = lazy[-1], 0.0
    else:
        # Of one number of connections the start that was spread, where one was.
        good = sorted((s for s in warm if s.holds), key=lambda s: (s.min_size, -s.jitter))
        best = good[0] if good else max(warm or starts, key=lambda s: (s.min_size, s.jitter))
        jitter = best.jitter
    min_size = best.min_size if best.holds else pool_size
    if best.min_size or not best.holds:
        needed = spread(pools * min_size, rate) if pools > 1 and rate is not None else 0.0
        jitter = max(jitter, needed) if not best.jitter else jitter
    return ColdAdvice(
        pools=pools,
        pool_size=pool_size,
        min_size=min_size,
        warm_up=not (best.holds and not best.is_warm and not best.min_size),
        jitter=jitter,
        login_rate=rate,
        is_least=known is not None and known[1],
        holds=best.holds,
        because=_because(lazy, best),
        starts=tuple(starts),
    )


def _because(lazy: Sequence[ColdStart], best: ColdStart) -> str:
    """Why, in one clause: what callers waited without it and with it."""
    limit = units.milliseconds(best.wait_limit)
    if not lazy or best is lazy[-1]:
        return (
            f"with empty pools the first second's callers waited {_waited(best)} (p99) for a "
            f"connection, {limit} are allowed"
        )
    words = (
        f"with empty pools the first second's callers waited {_waited(lazy[-1])} (p99) for a "
        f"connection, with {best.min_size} dialled before the first call {_waited(best)}; "
        f"{limit} are allowed"
    )
    return words if best.holds else f"{words}, and no start that was tried kept to that"


def _waited(start: ColdStart) -> str:
    lost = start.refused + start.failed
    wait = "for ever" if start.wait_p99 is None else units.milliseconds(start.wait_p99)
    return f"{wait}, with {units.plural(lost, 'dial')} lost" if lost else wait
