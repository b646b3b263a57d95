"""Why a size is what it is: in sentences, with the figures that decided."""

from __future__ import annotations

from poolkit import units
from poolkit.analysis.model import Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.response import p99 as response_p99
from poolkit.analysis.smallest import Found
from poolkit.records import LimitedBy, Pooler

# What bounds a server that a pooler stands before: to end a sentence about more connections with.
BOUND_BY_POOLER = (
    "; behind the pooler the bound is its own limit on connections to the server (PgBouncer: "
    "default_pool_size), which is what to raise while the database itself has room"
)


def why(found: Found) -> tuple[LimitedBy, str]:
    """What the size would have to give way on to be smaller, headroom apart, and why this size."""
    queue, objective = found.queue, found.queue.objective
    needed, wanted = found.needed, found.wanted
    assert needed is not None, "only asked where there is a size"
    assert wanted is not None, "only asked where there is a size"
    limited_by: LimitedBy = "wait"
    if wanted > needed:
        limited_by = "floor"
    elif objective.wait_p99 is None or (
        needed > 1 and queue.meets_wait(queue.cautious[needed - 2])
    ):
        limited_by = "response"
    if wanted > len(found.predictions):
        text = f"nothing was measured at this size; {_beyond(queue)}"
    else:
        text = _meeting(queue, found.predictions[wanted - 1])
        if limited_by != "floor" and wanted > 1:
            text += _with_less(queue, found.predictions[wanted - 2], limited_by)
    if limited_by == "floor":
        text = f"{objective.floor} or more, or the tasks of a pool lock each other out; {text}"
    if objective.headroom > 0:
        text += f"; {_headroom(found, wanted)}"
    return limited_by, text


def _meeting(queue: Model, met: WaitPrediction) -> str:
    """The load and what callers meet at this size."""
    objective = queue.objective
    growth = units.number(objective.growth)
    included = "" if objective.growth == 1 else f" (growth of {growth} included)"
    if objective.asks_as_soon:
        room = ""
        if met.pool_size == objective.largest:
            room = f" that {objective.cap_in_words} leaves"
        met_there = f"serve callers as soon as any number{room} can: {response(queue, met)}"
    elif objective.wait_p99 is not None:
        met_there = late_waits(queue, met)
    else:
        met_there = f"{late_responses(queue, met)} in all"
    text = (
        f"{units.rate(objective.rate_per_pool)}{included} keep {units.number(met.busy)} "
        f"of {units.plural(met.pool_size, 'connection')} busy on average, and {met_there}"
    )
    rests_on = extrapolated(queue, met.pool_size)
    return f"{text}; {rests_on}" if rests_on else text


def late_waits(queue: Model, met: WaitPrediction) -> str:
    """The share of the calls that wait too long, where a wait is asked."""
    limit = queue.objective.wait_p99 or 0.0
    late = units.share(met.exceedance(limit), 1)
    return f"{late} of the calls wait longer than {units.milliseconds(limit)}"


def late_responses(queue: Model, met: WaitPrediction) -> str:
    """The share of the calls that take too long, where a response time is asked."""
    late, limit = queue.late_responses(met), queue.objective.response_p99
    return f"{units.share(late, 1)} of the calls take longer than {units.milliseconds(limit)}"


def extrapolated(queue: Model, pool_size: int) -> str:
    """What a size rests on that was not measured, in words; empty where all of it was."""
    whole = queue.curve.whole
    parts = []
    if whole.smallest > queue.curve.pools:
        parts.append(f"nothing was measured below {_of_one_pool(queue, whole.smallest)}")
    if pool_size * queue.curve.pools > whole.measured:
        parts.append(_beyond(queue))
    return "; ".join(parts)


def _beyond(queue: Model) -> str:
    largest = _of_one_pool(queue, queue.curve.whole.measured)
    return f"nothing was measured beyond {largest}, throughput is taken to stay as it was there"


def _of_one_pool(queue: Model, connections: int) -> str:
    """Connections of all pools, told as those of each, which is what sizes are."""
    pools = queue.curve.pools
    if pools == 1:
        return str(connections)
    return f"{units.number(connections / pools)} in each of {pools} pools"


def _with_less(queue: Model, less: WaitPrediction, limited_by: LimitedBy) -> str:
    """What one connection less would do, as the end of a sentence."""
    objective, fewer = queue.objective, less.pool_size
    if not less.is_stable:
        return f"; {fewer} would not carry the rate"
    if objective.asks_as_soon:
        return f" (with {fewer}: {response(queue, less)})"
    if limited_by == "response" or objective.wait_p99 is None:
        share = queue.late_responses(less)
        limit = units.milliseconds(objective.response_p99)
        text = f"with {fewer}, {units.share(share, 1)} take longer than {limit} in all"
    else:
        share = less.exceedance(objective.wait_p99)
        text = f"with {fewer}: {units.share(share, 1)}"
    if share <= objective.allowance:
        error = queue.curve.whole.error
        known = f"a curve that is known to {units.share(error, 1)}" if error else "what was seen"
        text += f", too near the limit for {known}"
    return f" ({text})"


def _headroom(found: Found, wanted: int) -> str:
    objective, total = found.queue.objective, wanted + found.headroom
    extra = units.plural(found.headroom, "connection")
    share = units.share(objective.headroom)
    text = f"{extra} of headroom on top of {wanted} ({share} asked"
    if found.headroom < objective.headroom * wanted - 1e-9:
        text += ", the cap leaves no more"
    if found.headroom and found.queue.is_extrapolated(total) and total > found.queue.most:
        text += f"; {_beyond(found.queue)}"
    return f"{text})"


def only_moves_queue(found: Found, pooler: Pooler | None = None) -> str | None:
    """What to say where a smaller pool serves callers as soon; None: nothing.

    Past saturation the queue moves from the pool into the server as the pool grows; before it the
    waits may be short against the response. What is asked decides between the two sizes, so that is
    said in the same sentence; behind a pooler also which of its settings keeps the others waiting.
    """
    if found.as_fast is None or found.wanted is None or found.wanted > len(found.predictions):
        return None
    queue = found.queue
    less, more = (found.predictions[size - 1] for size in (found.as_fast, found.wanted))
    wait_saved = (less.wait or 0.0) - (more.wait or 0.0)
    moves = more.hold_time - less.hold_time >= wait_saved / 2.0
    since = (
        "the queue only moves into the server" if moves else "few callers wait, and not for long"
    )
    return (
        f"{less.pool_size} connections serve callers as soon as {more.pool_size}: "
        f"{response(queue, less)} with {less.pool_size}, {response(queue, more)} with "
        f"{more.pool_size}, since {since} (the mean wait falls from "
        f"{units.milliseconds(less.wait)} to {units.milliseconds(more.wait)}, the mean hold goes "
        f"from {units.milliseconds(less.hold_time)} to {units.milliseconds(more.hold_time)}); "
        f"{more.pool_size} are needed only for {_asked_times(queue)}"
        f"{BOUND_BY_POOLER if pooler else ''}"
    )


def response(queue: Model, met: WaitPrediction) -> str:
    """What callers meet in all at a size, in words."""
    p99 = response_p99(met, queue.holds, queue.curve.pools)
    return (
        f"mean response {units.milliseconds(met.response_time, 3)}, "
        f"p99 {units.milliseconds(p99, 3)}"
    )


def _asked_times(queue: Model) -> str:
    objective = queue.objective
    limits = (("wait", objective.wait_p99), ("response", objective.response_p99))
    return units.listed(
        [f"the p99 {noun} asked, {units.milliseconds(time)}" for noun, time in limits if time]
    )
