"""Why a size is what it is, or why there is none: in sentences, with the figures that decided."""

from __future__ import annotations

from poolkit import units
from poolkit.analysis.answer import Found
from poolkit.analysis.model import Model
from poolkit.analysis.objective import Objective
from poolkit.analysis.queueing import WaitPrediction
from poolkit.records import LimitedBy, Verdict

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
    if needed > 1 and queue.meets_wait(found.cautious[needed - 2]):
        return "response"
    return "wait"


def because(found: Found, limited_by: LimitedBy) -> str:
    """Why this size, in a sentence with what the next smaller one would do."""
    assert found.size is not None, "only asked where there is a size"
    objective = found.queue.objective
    size = found.size - found.headroom
    if size > len(found.predictions):
        said = "nothing was measured at this size"
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
        late = units.share(met.exceedance(objective.wait_p99), 1)
        limit = units.milliseconds(objective.wait_p99)
        said += f", and {late} of the calls wait longer than {limit}"
    if objective.response_p99 is not None and objective.wait_p99 is None:
        late = units.share(queue.late_responses(met), 1)
        limit = units.milliseconds(objective.response_p99)
        said += f", and {late} of the calls take longer than {limit} in all"
    beyond = queue.curve.whole.measured
    if met.pool_size * queue.curve.pools > beyond:
        said += (
            f"; nothing was measured beyond {beyond}, throughput is taken to stay as it was there"
        )
    return said


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
        left = "the response time" if needed + found.headroom < objective.largest else "the cap"
        said += f", {left} leaves no more"
    return f"{said})"


def why_none(found: Found, verdict: Verdict) -> tuple[LimitedBy, bool, str]:
    """What is in the way, whether the rate is out of reach, and the reason in words."""
    queue, objective = found.queue, found.queue.objective
    asked = units.rate(objective.rate_per_pool) + (
        f" a pool ({units.plural(objective.pools_left, 'pool')} left of {objective.pools})"
        if objective.pools > 1
        else ""
    )
    if objective.largest < 1:
        return (
            "cap",
            True,
            f"{objective.cap_in_words} leaves less than one connection for each of "
            f"{objective.pools} pools",
        )
    if found.needed is not None or objective.floor > objective.largest:
        floor = units.plural(objective.floor, "connection")
        return (
            "cap",
            True,
            f"a pool needs {floor} so that its tasks cannot lock each other out, and "
            f"{objective.cap_in_words} leaves {objective.largest} for each of "
            f"{units.plural(objective.pools, 'pool')}",
        )
    if verdict.name in ("rate_limited", "refused"):
        return (
            "plateau",
            True,
            f"{asked} cannot be had by a larger pool: {verdict.evidence}",
        )
    if verdict.name == "client_bound":
        return (
            "unknown",
            False,
            f"cannot say, because this client is the limit: {verdict.evidence}",
        )
    if queue.most < 1:
        return (
            "unknown",
            False,
            f"cannot say, because {queue.curve.whole.measured} connections measured are less than "
            f"one for each of {queue.curve.pools} pools: measure larger sizes",
        )
    if objective.response_p99 is not None and any(
        queue.meets_wait(prediction) for prediction in found.cautious
    ):
        return "response", True, _slow_by_itself(found)
    most = units.plural(queue.most, "connection")
    if verdict.name == "server_bound":
        # Over all sizes, those beyond the cap included: a cap is in the way only below the plateau.
        top = max(
            float(rate) for rate in queue.curve.throughputs(range(1, queue.curve.largest + 1))
        )
        if top <= objective.rate_per_pool:
            return (
                "plateau",
                True,
                f"{asked} is beyond what any size carries ({units.rate(top)}): {verdict.evidence}",
            )
        if queue.most < objective.largest:
            return (
                "plateau",
                True,
                f"{asked} is so near the plateau ({units.rate(top)}) that even {most} leave too "
                f"many calls {_waiting(objective)}",
            )
    elif queue.most < objective.largest:
        missing = "the sweep was stopped there" if verdict.name == "stopped" else "widen the range"
        return (
            "unknown",
            False,
            f"cannot say, because throughput still rises at {most}, the largest size measured, and "
            f"{asked} need more: {missing}",
        )
    return (
        "cap",
        True,
        f"{asked} need more than the {most} that {objective.cap_in_words} leaves for one pool",
    )


def _waiting(objective: Objective) -> str:
    if objective.wait_p99 is None:
        return f"taking longer than {units.milliseconds(objective.response_p99)}"
    return f"waiting longer than {units.milliseconds(objective.wait_p99)}"


def _slow_by_itself(found: Found) -> str:
    """No size meets the response time, although the queue in front of the pool could."""
    objective = found.queue.objective
    limit = units.milliseconds(objective.response_p99)
    carried = [one for one in found.predictions if one.is_stable]
    if not carried:
        return f"no size carries {units.rate(objective.rate_per_pool)} within {limit}"
    shares = [found.queue.late_responses(one) for one in carried]
    best = next(n for n, share in zip(carried, shares, strict=True) if share <= 1.01 * min(shares))
    late = units.share(min(shares), 1)
    short = "" if objective.wait_p99 is None else "sizes that keep the wait short do not help: "
    return (
        f"{short}no size keeps the p99 response within {limit}; the best, "
        f"{units.plural(best.pool_size, 'connection')}, leaves {late} of the calls above it, since "
        "holding a connection takes too long by itself"
    )


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
