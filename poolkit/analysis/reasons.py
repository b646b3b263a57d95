"""Why a size is what it is: in sentences, with the figures that decided."""

from __future__ import annotations

from poolkit import units
from poolkit.analysis.model import Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.analysis.smallest import Found
from poolkit.records import LimitedBy
from poolkit.targets.objective import Objective

WORTH_SAYING = 0.1  # share of the size that a smaller pool must save to be worth a sentence
SAME_RESPONSE = 0.02  # mean response times closer than this are the same to a caller
SAME_THROUGHPUT = 0.98
SHOWN = 5  # sizes whose response time is told


def limit(found: Found) -> LimitedBy:
    """What the size would have to give way on to be smaller; its headroom is told apart."""
    queue, needed = found.queue, found.needed
    if needed is None or found.size is None:
        return "unknown"
    if found.size - found.headroom > needed:
        return "floor"
    if queue.objective.wait_p99 is None:
        return "response"
    if needed > 1 and queue.meets_wait(found.queue.cautious[needed - 2]):
        return "response"
    return "wait"


def because(found: Found, limited_by: LimitedBy) -> str:
    """Why this size, in a sentence with what the next smaller one would do."""
    assert found.size is not None, "only asked where there is a size"
    objective = found.queue.objective
    size = found.size - found.headroom
    if size > len(found.predictions):
        said = f"nothing was measured at this size; {_beyond(found.queue)}"
    else:
        said = _meeting(found.queue, found.predictions[size - 1])
        if limited_by != "floor" and size > 1:
            said = _with_less(found, limited_by, said)
    if limited_by == "floor":
        said = f"{objective.floor} or more, or the tasks of a pool lock each other out; {said}"
    if objective.headroom > 0:
        said += f"; {_headroom(found, size)}"
    return said


def _meeting(queue: Model, met: WaitPrediction) -> str:
    """The load and what callers meet at this size."""
    objective = queue.objective
    said = (
        f"{units.rate(objective.rate_per_pool)}{_growth(objective)} keep {units.number(met.busy)} "
        f"of {units.plural(met.pool_size, 'connection')} busy on average"
    )
    if objective.wait_p99 is not None:
        said += f", and {late_waits(queue, met)}"
    else:
        said += f", and {late_responses(queue, met)} in all"
    told = extrapolated(queue, met.pool_size)
    return f"{said}; {told}" if told else said


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
    told = []
    if whole.smallest > 1:
        told.append(f"nothing was measured below {whole.smallest}")
    if pool_size * queue.curve.pools > whole.measured:
        told.append(_beyond(queue))
    return "; ".join(told)


def _beyond(queue: Model) -> str:
    return (
        f"nothing was measured beyond {queue.curve.whole.measured}, throughput is taken to stay as "
        "it was there"
    )


def _with_less(found: Found, limited_by: LimitedBy, said: str) -> str:
    """The sentence with what one connection less would do."""
    queue, objective = found.queue, found.queue.objective
    assert found.size is not None
    fewer = found.size - found.headroom - 1
    less = found.predictions[fewer - 1]
    if not less.is_stable:
        return f"{said}; {fewer} would not carry the rate"
    if limited_by == "response" or objective.wait_p99 is None:
        share = queue.late_responses(less)
        asked = units.milliseconds(objective.response_p99)
        with_less = f"with {fewer}, {units.share(share, 1)} take longer than {asked} in all"
    else:
        share = less.exceedance(objective.wait_p99)
        with_less = f"with {fewer}: {units.share(share, 1)}"
    if share <= objective.allowance:
        error = units.share(queue.curve.whole.error, 1)
        with_less += f", too near the limit for a curve that is known to {error}"
    return f"{said} ({with_less})"


def _growth(objective: Objective) -> str:
    return (
        "" if objective.growth == 1 else f" (growth of {units.number(objective.growth)} included)"
    )


def _headroom(found: Found, needed: int) -> str:
    objective = found.queue.objective
    asked = units.share(objective.headroom)
    extra = units.plural(found.headroom, "connection")
    said = f"{extra} of headroom on top of {needed} ({asked} asked"
    if found.headroom < objective.headroom * needed - 1e-9:
        said += ", the cap leaves no more"
    total = needed + found.headroom
    if found.headroom and found.queue.is_extrapolated(total) and total > found.queue.most:
        said += f"; {_beyond(found.queue)}"
    return f"{said})"


def only_moves_queue(found: Found) -> str | None:
    """Said when a smaller pool carries as much and serves callers as soon."""
    predictions, answer = found.predictions, (found.size or 0) - found.headroom
    if not 1 <= answer <= len(predictions):
        return None
    rates = found.queue.curve.throughputs(range(1, answer + 1))
    enough = next(n for n in range(1, answer + 1) if rates[n - 1] >= SAME_THROUGHPUT * rates[-1])
    chosen = predictions[answer - 1]
    # A connection or two more or less is within the doubt of any answer.
    worth_saying = answer - max(2, round(WORTH_SAYING * answer))
    for less in predictions[enough - 1 : max(worth_saying, 0)]:
        if (
            less.response_time is not None
            and chosen.response_time is not None
            and less.response_time <= (1.0 + SAME_RESPONSE) * chosen.response_time
        ):
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
