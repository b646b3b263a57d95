"""Which change of the replicas to make happen at the verified size: a pure decision.

First the replicas go that may be lost, then those of a deploy come beside the others, both at the
target rate and in the midst of a trial, which ends a few seconds after. Neither opens more
connections than the service may have. Each is tried once, and once more where waits were not in
time on a machine that was late itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.replicas import Change, holds
from poolkit.measure.cold import limit
from poolkit.measure.sweep import TrialPlan
from poolkit.measure.verify.evidence import design_effect, meets, of_size
from poolkit.records import ChangePurpose, Trial
from poolkit.targets.objective import Objective

WARM_UP = 1.0  # s
BEFORE, AFTER = 1.5, 3.0  # s that are measured before the change, and after it
FEWEST_CALLS, MOST_SECONDS = 100, 12.0  # of a trial whose calls are few or long
AHEAD = 0.5  # s before its share of the load at which a pool that comes begins to open
# Calls under way in a pool that goes are lost with it; so many times what a call takes must have
# passed that they are far fewer than the share of failed calls at which load is stopped.
CALLS_LONG = 20.0
TRIES = 2  # of one kind
SHARE = 0.15  # of a budget that is kept for each kind


def kinds(objective: Objective) -> list[ChangePurpose]:
    """The changes that the target's replicas are to bear."""
    found: list[ChangePurpose] = []
    if objective.pools_left < objective.pools:
        found.append("lost_replica")
    if objective.surge:
        found.append("surge")
    return found


def reserve(budget: float, objective: Objective) -> float:
    """Seconds of load that a size's budget keeps for them."""
    each = WARM_UP + BEFORE + AHEAD + AFTER
    return len(kinds(objective)) * min(each, SHARE * budget)


def next_trial(
    trials: Sequence[Trial], objective: Objective, pool_size: int, *, left: float
) -> TrialPlan | None:
    """The change to try now; None where all were, where none can be, or the seconds are used up.

    Args:
        trials: all of the target, of every purpose.
        pool_size: the verified size of one pool.
        left: s of load that may still be spent.
    """
    verified = of_size(trials, pool_size, "verify")
    if not verified or not meets(verified, objective):
        return None  # it fails without a change
    for purpose in kinds(objective):
        done = of_size(trials, pool_size, purpose)
        if _is_open(done) and not room(purpose, objective, pool_size):
            plan = _plan(purpose, trials, verified[-1], objective)
            return plan if plan is not None and plan.seconds <= left else None
    return None


def _is_open(done: Sequence[Trial]) -> bool:
    """Whether trials of a change leave it open what it does."""
    if not done:
        return True
    last = done[-1]
    failed = last.change is not None and not holds(last.change)
    return len(done) < TRIES and failed and not last.is_usable and last.stopped is None


def room(purpose: ChangePurpose, objective: Objective, pool_size: int) -> str:
    """Why a change cannot be made to happen with pools of this size; empty: it can."""
    pools = objective.pools_rolling if purpose == "surge" else objective.pools
    most, words = objective.max_size, f"max_size = {objective.max_size}"
    if objective.budget is not None and objective.budget < most:
        most, words = objective.budget, f"the server has {objective.budget} left"
    if pools * pool_size <= most:
        return ""
    return f"{pools} pools of {pool_size} would open {pools * pool_size} connections, and {words}"


def _plan(
    purpose: ChangePurpose, trials: Sequence[Trial], verified: Trial, objective: Objective
) -> TrialPlan | None:
    size, rate = verified.pool_size, objective.rate
    call = verified.response_time.mean or 0.0
    before = max(BEFORE, CALLS_LONG * call, FEWEST_CALLS / rate)
    after = max(AFTER, FEWEST_CALLS / rate)
    ahead = AHEAD if purpose == "surge" else 0.0
    begins = WARM_UP + before
    seconds = begins + ahead + after
    if seconds > MOST_SECONDS:
        return None
    then = objective.pools_left if purpose == "lost_replica" else objective.pools_rolling
    change = Change(
        begins=begins,
        at=begins + ahead,
        before=objective.pools,
        after=then,
        rates=(rate, rate),
        wait_limit=limit(trials, objective, size),
        clustered=max(1.0, design_effect(verified, objective.wait_p99)),
    )
    moved = abs(then - objective.pools)
    because = f"{moved} of {objective.pools} pools of {size} closed in its midst"
    if purpose == "surge":
        because = f"{units.plural(moved, 'pool')} of {size} opened beside {objective.pools}"
    return TrialPlan(
        purpose,
        size,
        WARM_UP,
        math.ceil(10 * seconds) / 10,
        f"{purpose}: {because}",
        pools=max(objective.pools, then),
        rate=rate,
        change=change,
    )
