"""Why a size is what it is: in sentences, with the figures that decided."""

from __future__ import annotations

from poolkit import units
from poolkit.analysis.model import Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.smallest import Found
from poolkit.records import LimitedBy

WORTH_SAYING = 0.1  # share of the size that a smaller pool must save to be worth a sentence
SAME_RESPONSE = 0.02  # mean response times closer than this are the same to a caller
SAME_THROUGHPUT = 0.98
SHOWN = 5  # sizes whose response time is listed


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
    asks_wait = objective.wait_p99 is not None
    late = late_waits(queue, met) if asks_wait else f"{late_responses(queue, met)} in all"
    text = (
        f"{units.rate(objective.rate_per_pool)}{included} keep {units.number(met.busy)} "
        f"of {units.plural(met.pool_size, 'connection')} busy on average, and {late}"
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
    if whole.smallest > 1:
        parts.append(f"nothing was measured below {whole.smallest}")
    if pool_size * queue.curve.pools > whole.measured:
        parts.append(_beyond(queue))
    return "; ".join(parts)


def _beyond(queue: Model) -> str:
    largest = queue.curve.whole.measured
    return f"nothing was measured beyond {largest}, throughput is taken to stay as it was there"


def _with_less(queue: Model, less: WaitPrediction, limited_by: LimitedBy) -> str:
    """What one connection less would do, as the end of a sentence."""
    objective, fewer = queue.objective, less.pool_size
    if not less.is_stable:
        return f"; {fewer} would not carry the rate"
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


def only_moves_queue(found: Found) -> str | None:
    """What to say where a smaller pool carries as much and serves callers as soon; None: nothing.

    Past saturation the queue moves from the pool into the server as the pool grows.
    """
    predictions, answer = found.predictions, found.wanted
    if found.size is None or answer is None or answer > len(predictions):
        return None
    rates = found.queue.curve.throughputs(range(1, answer + 1))
    enough = next(n for n in range(1, answer + 1) if rates[n - 1] >= SAME_THROUGHPUT * rates[-1])
    chosen = predictions[answer - 1]
    # A connection or two more or less is within the doubt of any answer.
    most = max(answer - max(2, round(WORTH_SAYING * answer)), 0)
    for less in predictions[enough - 1 : most]:
        if less.response_time is None or chosen.response_time is None:
            continue
        if less.response_time <= (1.0 + SAME_RESPONSE) * chosen.response_time:
            return (
                f"from {less.pool_size} to {answer} connections the queue only moves into the "
                f"server: the mean wait falls from {units.milliseconds(less.wait)} to "
                f"{units.milliseconds(chosen.wait)}, the mean hold goes from "
                f"{units.milliseconds(less.hold_time)} to {units.milliseconds(chosen.hold_time)}, "
                "and no caller is served sooner: the mean response time is "
                f"{_responses(predictions[less.pool_size - 1 : answer])}"
            )
    return None


def _responses(predictions: tuple[WaitPrediction, ...]) -> str:
    """Response time over pool size, for some sizes from the first to the last."""
    last = len(predictions) - 1
    chosen = sorted({round(last * step / (SHOWN - 1)) for step in range(SHOWN)})
    return ", ".join(
        f"{units.milliseconds(predictions[at].response_time, 3)} at {predictions[at].pool_size}"
        for at in chosen
    )
