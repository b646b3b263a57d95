"""Why there is no size: what is in the way, and what would raise the rate within reach."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit import units
from poolkit.analysis.model import Fitted
from poolkit.analysis.reasons import late_responses, late_waits
from poolkit.analysis.smallest import Found, find, reachable_rate
from poolkit.records import LimitedBy, Verdict
from poolkit.targets.objective import Objective

# What is in the way ("unknown": nothing that could be seen), and the reason in words.
WhyNone = tuple[LimitedBy, str]

WORTH_SAYING = 1.05  # times the reachable rate; a remedy that brings less is not told
SHORTER = 0.8  # the hold time of an upstream that was made faster, as a share of today's
LONGER = 2.0  # times the wait that is good today
WIDER = 2  # times the cap of today


def why_none(found: Found, verdict: Verdict, upstream: Fitted) -> WhyNone:
    """What is in the way, and the reason in words."""
    queue, objective = found.queue, found.queue.objective
    if objective.largest < 1:
        return (
            "cap",
            f"{objective.cap_in_words} leaves less than one connection for each of "
            f"{objective.pools} pools",
        )
    if found.spoilt_by is not None:
        return _spoilt(found)
    if found.needed is not None or objective.floor > objective.largest:
        floor = units.plural(objective.floor, "connection")
        return (
            "cap",
            f"a pool needs {floor} so that its tasks cannot lock each other out, and "
            f"{objective.cap_in_words} leaves {objective.largest} for each of "
            f"{units.plural(objective.pools, 'pool')}",
        )
    if verdict.name in ("rate_limited", "refused"):
        return (
            "plateau",
            f"{_asked(objective)} cannot be had by a larger pool: {verdict.evidence}",
        )
    if verdict.name == "client_bound":
        return (
            "unknown",
            f"cannot say, because this client is the limit: {verdict.evidence}",
        )
    if queue.most < 1:
        return (
            "unknown",
            f"cannot say, because {queue.curve.whole.measured} connections measured are less than "
            f"one for each of {queue.curve.pools} pools: measure larger sizes",
        )
    if found.tried is not None and queue.smallest(found.queue.cautious) is not None:
        return _clash(found, found.tried)
    if objective.response_p99 is not None and any(
        queue.meets_wait(prediction) for prediction in found.queue.cautious
    ):
        return "response", _slow_by_itself(found)
    return _too_much(found, verdict, upstream)


def _too_much(found: Found, verdict: Verdict, upstream: Fitted) -> WhyNone:
    """No size that may be answered carries the rate: for want of upstream, of cap or of trials."""
    queue, objective = found.queue, found.queue.objective
    asked, most = _asked(objective), units.plural(queue.most, "connection")
    if upstream.ending == "rising":
        if queue.most < objective.largest:
            ended = (
                "the sweep was stopped there" if verdict.name == "stopped" else "widen the range"
            )
            return (
                "unknown",
                f"cannot say, because throughput still rises at {most}, the largest size measured, "
                f"and {asked} need more: {ended}",
            )
    elif not _would_do_without_cap(found, upstream):
        return _plateau(found, verdict, upstream)
    return (
        "cap",
        f"{asked} need more than the {most} that {objective.cap_in_words} leaves for one pool",
    )


def _would_do_without_cap(found: Found, upstream: Fitted) -> bool:
    """Whether some size that the curve tells of carries the rate: then the cap is in the way."""
    queue, objective = found.queue, found.queue.objective
    rates = queue.curve.throughputs(range(1, queue.curve.largest + 1))
    if float(rates.max()) <= objective.rate_per_pool:
        return False
    cap = max(upstream.curve.largest, objective.cap)
    wider = objective.but(max_size=cap, max_connections=None, headroom=0.0)
    return find(upstream, wider).size is not None


def _plateau(found: Found, verdict: Verdict, upstream: Fitted) -> WhyNone:
    """No pool of any size would do."""
    queue, objective = found.queue, found.queue.objective
    asked = _asked(objective)
    # Over all sizes, those beyond the cap included.
    rates = queue.curve.throughputs(range(1, queue.curve.largest + 1))
    top = float(rates.max())
    if upstream.ending == "falling":
        peak = units.plural(1 + int(rates.argmax()), "connection")
        seen = f"throughput is highest at {peak} and falls beyond"
    else:
        seen = verdict.evidence
    if top <= objective.rate_per_pool:
        return (
            "plateau",
            f"{asked} is beyond what any size carries ({units.rate(top)}): {seen}",
        )
    most = units.plural(queue.most, "connection")
    even = f"any size leaves too many calls {_waiting(objective)}; {seen}"
    if upstream.ending != "falling":
        even = f"even {most} leave too many calls {_waiting(objective)}"
    return "plateau", f"{asked} is so near the plateau ({units.rate(top)}) that {even}"


def _spoilt(found: Found) -> WhyNone:
    """A size is needed that the cap leaves room for, but the floor or the headroom spoils it."""
    queue, objective = found.queue, found.queue.objective
    size = units.plural(found.tried or 0, "connection")
    needed = units.plural(found.needed or 0, "connection")
    late, limited_by = _late_at(found, found.tried or 0)
    if found.spoilt_by == "floor":
        return (
            "floor",
            f"a pool needs {size} so that its tasks cannot lock each other out, and with so many "
            f"{late}; the load alone needs {needed}",
        )
    return (
        limited_by,
        f"the headroom asked is not available: {units.share(objective.headroom)} on top make "
        f"{size}, and with so many {late}; {_asked(objective)} need "
        f"{units.plural(max(found.needed or 0, queue.objective.floor), 'connection')} without it",
    )


def _late_at(found: Found, size: int) -> tuple[str, LimitedBy]:
    """What goes wrong at a size that does not hold, and whether waits or responses do."""
    queue, objective = found.queue, found.queue.objective
    if size > queue.most:
        return (
            f"nothing is known: {queue.curve.whole.measured} connections are the most that could "
            "be measured"
        ), "plateau"
    met = found.queue.cautious[size - 1]
    if not met.is_stable:
        return f"{units.rate(objective.rate_per_pool)} are not carried any more", "plateau"
    if not queue.meets_wait(met):
        return late_waits(queue, met), "plateau"
    return f"{late_responses(queue, met)} in all", "response"


def _clash(found: Found, tried: int) -> WhyNone:
    """What one number of lost replicas asks for does not hold with another."""
    late, _ = _late_at(found, tried)
    objective = found.queue.objective
    size = units.plural(tried, "connection")
    return (
        "plateau",
        f"a pool needs {size} while replicas are lost, and with {objective.pools_left} of "
        f"{objective.pools} pools of that size up {late}: together they ask too much of the "
        "upstream",
    )


def _asked(objective: Objective) -> str:
    return units.rate(objective.rate_per_pool) + (
        f" a pool ({units.plural(objective.pools_left, 'pool')} left of {objective.pools})"
        if objective.pools > 1
        else ""
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


def what_raises(
    upstream: Fitted, objective: Objective, verdict: Verdict, reachable: float | None
) -> str:
    """The remedies that help here, the best first; without one, what is left to do.

    `reachable` is what is within reach today (calls/s). None of them is a guess: each is the same
    search with one thing changed.
    """
    if verdict.name == "rate_limited":
        return "a higher quota upstream; a larger pool only has more calls turned away"
    if verdict.name == "refused":
        return "a server that accepts more connections at a time; a larger pool only meets refusals"
    found: list[tuple[float, str]] = []
    for words, other_upstream, other in _changes(upstream, objective):
        rate = reachable_rate(other_upstream, other)
        if rate is not None and rate >= WORTH_SAYING * (reachable or 0.0):
            found.append((rate, words))
    if not found:
        return "only a faster upstream, or more of it: neither a larger cap nor a longer wait helps"
    found.sort(reverse=True)
    return "; ".join(f"{words}: {units.rate(rate)}" for rate, words in found)


def _changes(upstream: Fitted, objective: Objective) -> Iterator[tuple[str, Fitted, Objective]]:
    """(in words, the upstream, the objective), each with one thing changed."""
    shorter = units.share(1.0 - SHORTER)
    yield f"calls that are {shorter} shorter", upstream.slowed(SHORTER), objective
    if objective.wait_p99 is not None:
        longer = LONGER * objective.wait_p99
        yield (
            f"a wait of {units.milliseconds(longer)}",
            upstream,
            objective.but(wait_p99=longer),
        )
    if objective.response_p99 is not None:
        longer = LONGER * objective.response_p99
        yield (
            f"a response of {units.milliseconds(longer)}",
            upstream,
            objective.but(response_p99=longer),
        )
    if objective.headroom:
        yield "no headroom", upstream, objective.but(headroom=0.0)
    if objective.lost:
        yield "no replica lost", upstream, objective.but(lost_replicas=0)
    if objective.cap >= 1:
        wider = WIDER * objective.cap
        measured = upstream.curve.measured
        beyond = (
            f" (beyond the {measured} measured, if throughput stays)" if wider > measured else ""
        )
        yield (
            f"{wider} connections in all{beyond}",
            upstream,
            objective.but(max_size=wider, max_connections=None),
        )
