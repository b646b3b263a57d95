"""Why a size is what it is, or why there is none: in sentences, with the figures that decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from poolkit import units
from poolkit.analysis.model import Model
from poolkit.analysis.queueing import WaitPrediction
from poolkit.records import Verdict

WORTH_SAYING = 0.1  # share of the size that a smaller pool must save to be worth a sentence
SAME_RESPONSE = 0.02  # mean response times closer than this are the same to a caller
SAME_THROUGHPUT = 0.98

LimitedBy = Literal["wait", "response", "plateau", "cap", "floor", "unknown"]


def limit(
    queue: Model,
    predictions: Sequence[WaitPrediction],
    answer: int,
    found: WaitPrediction | None,
) -> LimitedBy:
    """What the size would have to give way on to be smaller."""
    if found is not None and answer > found.pool_size:
        return "floor"
    if answer > 1 and not queue.meets_wait(predictions[answer - 2]):
        return "wait"
    return "wait" if answer == 1 else "response"


def because(
    queue: Model, predictions: Sequence[WaitPrediction], answer: int, limited_by: LimitedBy
) -> str:
    """Why this size, in a sentence with what the next smaller one would do."""
    objective = queue.objective
    limit = units.milliseconds(objective.wait_p99)
    if answer > len(predictions):
        return (
            f"no pool may be smaller than {objective.floor} here, or its tasks lock each other out"
        )
    met = predictions[answer - 1]
    late = units.share(met.exceedance(objective.wait_p99), 1)
    said = (
        f"{units.rate(objective.rate_per_pool)} keep {units.number(met.busy)} of "
        f"{units.plural(answer, 'connection')} busy on average, and {late} of the calls wait "
        f"longer than {limit}"
    )
    beyond = queue.curve.whole.measured
    if answer * queue.curve.pools > beyond:
        said += (
            f"; nothing was measured beyond {beyond}, throughput is taken to stay as it was there"
        )
    if limited_by == "floor":
        return f"no pool may be smaller than {objective.floor} here; {said}"
    if answer == 1:
        return said
    less = predictions[answer - 2]
    if not less.is_stable:
        return f"{said}; {answer - 1} would not carry the rate"
    if limited_by == "response":
        asked = units.milliseconds(objective.response_p99)
        return f"{said}; with {answer - 1} too many would take longer than {asked} in all"
    late_with_less = less.exceedance(objective.wait_p99)
    with_less = f"with {answer - 1}: {units.share(late_with_less, 1)}"
    if late_with_less <= objective.allowance:
        error = units.share(queue.curve.whole.error, 1)
        with_less += f", too near the limit for a curve that is known to {error}"
    return f"{said} ({with_less})"


def why_none(
    queue: Model,
    predictions: Sequence[WaitPrediction],
    verdict: Verdict,
    found: WaitPrediction | None,
) -> tuple[LimitedBy, bool, str]:
    """What is in the way, whether the rate is out of reach, and the reason in words."""
    objective = queue.objective
    asked = units.rate(objective.rate_per_pool) + (
        f" a pool ({objective.pools_left} pools)" if objective.pools_left > 1 else ""
    )
    if found is not None:
        floor = units.plural(objective.floor, "connection")
        return (
            "cap",
            True,
            f"a pool needs {floor} so that its tasks cannot lock each other out, and max_size "
            f"leaves {objective.largest} for each of {units.plural(objective.pools, 'pool')}",
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
    if any(queue.meets_wait(prediction) for prediction in predictions):
        limit = units.milliseconds(objective.response_p99)
        return (
            "response",
            True,
            f"sizes that keep the wait short do not keep the response below {limit}: holding a "
            "connection takes too long by itself",
        )
    most = units.plural(queue.most, "connection")
    if queue.most < 1:
        return (
            "cap",
            True,
            f"max_size leaves less than one connection for each of {objective.pools} pools",
        )
    if verdict.name == "server_bound":
        top = max(_carried(queue, n) for n in range(1, queue.most + 1))
        if top <= objective.rate_per_pool:
            return (
                "plateau",
                True,
                f"{asked} is beyond what any size carries ({units.rate(top)}): {verdict.evidence}",
            )
        return (
            "plateau" if queue.most < objective.largest else "cap",
            True,
            f"{asked} is so near the plateau that even {most} leave too many calls waiting longer "
            f"than {units.milliseconds(objective.wait_p99)}",
        )
    if queue.most < objective.largest:
        return (
            "unknown",
            False,
            f"cannot say, because throughput still rises at {most}, the largest size measured, and "
            f"{asked} need more: widen the range",
        )
    return "cap", True, f"{asked} need more than the {most} that max_size leaves for one pool"


def _carried(queue: Model, size: int) -> float:
    """The throughput (calls/s) that one pool of this size can carry at most."""
    return float(queue.curve.throughputs([size])[0])


def only_moves_queue(
    queue: Model, predictions: Sequence[WaitPrediction], answer: int
) -> str | None:
    """Said when a smaller pool carries as much and serves callers as soon."""
    if answer > len(predictions):
        return None
    rates = queue.curve.throughputs(range(1, answer + 1))
    enough = next(n for n in range(1, answer + 1) if rates[n - 1] >= SAME_THROUGHPUT * rates[-1])
    chosen = predictions[answer - 1]
    # A connection or two more or less is within the doubt of any answer.
    worth_saying = answer - max(2, round(WORTH_SAYING * answer))
    for less in predictions[enough - 1 : max(worth_saying, 0)]:
        if (
            less.wait is not None
            and less.hold_time is not None
            and less.response_time is not None
            and chosen.wait is not None
            and chosen.hold_time is not None
            and chosen.response_time is not None
            and less.response_time <= (1.0 + SAME_RESPONSE) * chosen.response_time
        ):
            return (
                f"from {less.pool_size} to {answer} connections the queue only moves into the "
                f"server: the mean wait falls from {units.milliseconds(less.wait)} to "
                f"{units.milliseconds(chosen.wait)}, the mean hold goes from "
                f"{units.milliseconds(less.hold_time)} to {units.milliseconds(chosen.hold_time)}, "
                f"and callers are served in {units.milliseconds(chosen.response_time, 3)} instead "
                f"of {units.milliseconds(less.response_time, 3)}"
            )
    return None
