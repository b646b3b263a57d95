"""Which cold start to try next: a pure decision over those so far.

All run at the verified size and the target rate, with every pool of the service. First what happens
by itself: pools that dial as calls need them, and pools that dial half or all of their connections
while calls already come. Where the first is not good enough, connections are dialled before the
first call, the fewest that do; and where several replicas begin together, the same once more with
their beginnings spread.
"""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.cold import Opening, login_rate, spread, starts_of
from poolkit.measure.sweep import TrialPlan
from poolkit.records import ColdStart, Trial
from poolkit.targets.objective import Objective

SECONDS = 3.0  # of a trial
FEWEST_CALLS, MOST_SECONDS = 20, 6.0  # of one whose calls are few
BUDGET, SHARE = 15.0, 0.3  # s of load that are kept for it, and at most this share of a budget
MOST_JITTER = 5.0  # s that a trial may wait for its last replica
LEAST_LIMIT, LIMIT_WAITS = 0.005, 2.0  # s, and in p99 waits of verification, where none is asked


def reserve(budget: float) -> float:
    """Seconds of load that a size's budget keeps for cold starts."""
    return min(BUDGET, SHARE * budget)


def next_trial(
    trials: Sequence[Trial],
    objective: Objective,
    pool_size: int,
    *,
    has_min_size: bool,
    left: float,
) -> TrialPlan | None:
    """The cold start to try now, or None when enough is known or the seconds are used up.

    Args:
        trials: all of the target, of every purpose.
        pool_size: the verified size of one pool.
        has_min_size: whether the library dials connections as its pool begins.
        left: s of load that may still be spent.
    """
    seconds = min(MOST_SECONDS, max(SECONDS, FEWEST_CALLS / objective.rate))
    starts = starts_of(trials, pool_size, objective.pools)
    step = _next_step(starts, objective, pool_size, has_min_size=has_min_size)
    if step is None or left < seconds:
        return None
    min_size, is_warm, jitter = step
    opening = Opening(min_size, is_warm, jitter, limit(trials, objective, pool_size))
    return TrialPlan(
        "cold",
        pool_size,
        0.0,
        seconds,
        f"cold: {_told(opening, objective.pools)}",
        pools=objective.pools,
        rate=objective.rate,
        cold=opening,
    )


def limit(trials: Sequence[Trial], objective: Objective, pool_size: int) -> float:
    """The p99 wait (s) that first callers may see: as asked, else near what verification saw."""
    if objective.wait_p99 is not None:
        return objective.wait_p99
    seen = [t.wait_time.p99 for t in trials if t.purpose == "verify" and t.pool_size == pool_size]
    return max(LEAST_LIMIT, LIMIT_WAITS * max((wait or 0.0 for wait in seen), default=0.0))


def _next_step(
    starts: Sequence[ColdStart], objective: Objective, pool_size: int, *, has_min_size: bool
) -> tuple[int, bool, float] | None:
    """Connections to dial at first, whether before the first call, and the jitter (s)."""
    done = {(s.min_size, s.is_warm): s for s in starts if not s.jitter}
    some = sorted({(pool_size + 1) // 2, pool_size})
    for min_size in (0, *some) if has_min_size else (0,):
        if (min_size, False) not in done:
            return min_size, False, 0.0
    if done[0, False].holds:
        return None
    for min_size in some:
        if (min_size, True) not in done:
            return min_size, True, 0.0
        if done[min_size, True].holds:
            break
    known = login_rate(starts)
    if objective.pools == 1 or known is None or any(s.jitter for s in starts):
        return None
    jitter = min(MOST_JITTER, spread(objective.pools * min_size, known[0]))
    return (min_size, True, jitter) if jitter else None


def _told(opening: Opening, pools: int) -> str:
    who = f"{pools} pools" if pools > 1 else "the pool"
    dialled = units.plural(opening.min_size, "connection")
    each = " each" if pools > 1 else ""
    if not opening.min_size:
        return f"{who} empty as calls begin"
    if not opening.is_warm:
        return f"{who} dialling {dialled}{each} as calls begin"
    spread_over = f", over {opening.jitter:g} s" if opening.jitter else ""
    return f"{who} with {dialled}{each} dialled before the first call{spread_over}"
