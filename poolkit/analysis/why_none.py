"""Why there is no size: what is in the way, and what would raise the rate within reach."""

from __future__ import annotations

from collections.abc import Iterator

from poolkit import units
from poolkit.analysis.model import Fitted
from poolkit.analysis.reasons import late_responses, late_waits, response
from poolkit.analysis.smallest import Found, find, reachable_rate
from poolkit.records import LimitedBy, Verdict
from poolkit.targets.objective import Objective

# What is in the way ("unknown": nothing that could be seen), and the reason in words.
WhyNone = tuple[LimitedBy, str]

WORTH_SAYING = 1.05  # times the reachable rate; a remedy that brings less is left out
HARDLY = 0.9  # of the highest throughput at half as many connections: the upstream is full
SHORTER = 0.8  # the hold time of an upstream that was made faster, as a share of today's
LONGER = 2.0  # times the time that is good today
WIDER = 2  # times the cap of today
MORE = "measure larger sizes, which a larger budget allows"


def why_none(
    found: Found, verdict: Verdict, plateau: float | None = None, more: str = MORE
) -> WhyNone:
    """What is in the way, and the reason in words.

    Args:
        plateau: calls/s of all pools together, which every other sentence and chart quotes; None:
            none was seen.
        more: what lets the sweep reach larger sizes.
    """
    queue, objective = found.queue, found.queue.objective
    cap = objective.cap_in_words
    if objective.largest < 1:
        return "cap", f"{cap} leaves less than one connection for each of {objective.pools} pools"
    if found.spoilt_by is not None:
        return _spoilt(found)
    if found.needed is not None or objective.floor > objective.largest:
        floor = units.plural(objective.floor, "connection")
        return "cap", (
            f"a pool needs {floor} so that its tasks cannot lock each other out, and {cap} leaves "
            f"{objective.largest} for each of {units.plural(objective.pools, 'pool')}"
        )
    if verdict.name in ("rate_limited", "refused"):
        text = f"{_asked(objective)} cannot be had by a larger pool: {verdict.evidence}"
        return "plateau", text
    if verdict.name == "client_bound":
        return "unknown", f"cannot say, because this client is the limit: {verdict.evidence}"
    if queue.most < 1:
        return "unknown", (
            f"cannot say, because {queue.curve.whole.measured} connections measured are less than "
            f"one for each of {queue.curve.pools} pools: measure larger sizes"
        )
    if found.tried is not None and queue.smallest(queue.cautious) is not None:
        late, _ = _late_at(found, found.tried)
        return "plateau", (
            f"a pool needs {units.plural(found.tried, 'connection')} while replicas are lost, and "
            f"with {objective.pools_left} of {objective.pools} pools of that size up {late}: "
            "together they ask too much of the upstream"
        )
    if objective.response_p99 is not None and any(map(queue.meets_wait, queue.cautious)):
        return "response", _slow_by_itself(found)
    return _too_much(found, verdict, plateau, more)


def _too_much(found: Found, verdict: Verdict, plateau: float | None, more: str) -> WhyNone:
    """No size that may be answered carries the rate: for want of upstream, of cap or of trials."""
    queue, objective = found.queue, found.queue.objective
    asked, most = _asked(objective), units.plural(queue.most, "connection")
    cap = objective.cap_in_words
    if found.upstream.ending == "seen" and queue.most < objective.largest:
        if verdict.name != "stopped" and not objective.push:
            more = "allow load beyond the target rate (push = true)"
        return "unknown", (
            "cannot say, because no more than "
            f"{units.plural(queue.curve.whole.measured, 'connection')} were seen in use at once, "
            f"and {asked} need more: {more}"
        )
    is_rising = found.upstream.ending in ("rising", "seen")
    if is_rising and queue.most < objective.largest:
        carried = queue.cautious[-1].is_stable and objective.asks_as_soon
        wanted = "might be served sooner by more" if carried else "need more"
        measured = units.plural(queue.curve.whole.measured, "connection")
        return "unknown", (
            f"cannot say, because throughput still rises at {measured}, the most measured, "
            f"and {asked} {wanted}: {more}"
        )
    if found.upstream.ending == "seen" and (top := _flat_up_to(found)) is not None:
        used = f"with up to {most} in use, all that {cap} leaves for one pool"
        return "plateau", f"{asked} is beyond the {units.rate(top)} that were seen {used}"
    if not is_rising and not _would_do_without_cap(found):
        return "plateau", _plateau(found, verdict, plateau)
    return "cap", f"{asked} need more than the {most} that {cap} leaves for one pool"


def _flat_up_to(found: Found) -> float | None:
    """The calls/s that the upper half of the sizes hardly raises; None where it does."""
    rates = found.queue.curve.throughputs(range(1, found.queue.most + 1))
    top = float(rates.max())
    return top if float(rates[len(rates) // 2]) >= HARDLY * top else None


def _would_do_without_cap(found: Found) -> bool:
    """Whether some size that the curve tells of carries the rate: then the cap is in the way."""
    curve, objective = found.queue.curve, found.queue.objective
    if float(curve.throughputs(range(1, curve.largest + 1)).max()) <= objective.rate_per_pool:
        return False
    cap = max(found.upstream.curve.largest, objective.cap)
    wider = objective.but(max_size=cap, max_connections=None, headroom=0.0)
    return find(found.upstream, wider).size is not None


def _plateau(found: Found, verdict: Verdict, plateau: float | None) -> str:
    """No pool of any size would do."""
    queue, objective = found.queue, found.queue.objective
    asked = _asked(objective)
    # Over all sizes, those beyond the cap included.
    rates = queue.curve.throughputs(range(1, queue.curve.largest + 1))
    top = float(rates.max()) if plateau is None else plateau / queue.curve.pools
    is_falling = found.upstream.ending == "falling"
    seen = verdict.evidence
    if is_falling:
        peak = units.plural(1 + int(rates.argmax()), "connection")
        seen = f"throughput is highest at {peak} and falls beyond"
    if top <= objective.rate_per_pool:
        return f"{asked} is beyond what any size carries ({units.rate(top)}): {seen}"
    if objective.asks_as_soon:
        error = units.share(queue.curve.whole.error, 1)
        text = f"{asked} is too near the plateau ({units.rate(top)}, known to {error})"
        return f"{text} to say that any size carries it; {seen}"
    waiting = f"waiting longer than {units.milliseconds(objective.wait_p99)}"
    if objective.wait_p99 is None:
        waiting = f"taking longer than {units.milliseconds(objective.response_p99)}"
    even = f"even {units.plural(queue.most, 'connection')} leave too many calls {waiting}"
    if is_falling:
        even = f"any size leaves too many calls {waiting}; {seen}"
    return f"{asked} is so near the plateau ({units.rate(top)}) that {even}"


def _spoilt(found: Found) -> WhyNone:
    """A size is needed that the cap leaves room for, but the floor or the headroom spoils it."""
    objective, needed = found.queue.objective, found.needed or 0
    size = units.plural(found.tried or 0, "connection")
    late, limited_by = _late_at(found, found.tried or 0)
    if found.spoilt_by == "floor":
        return "floor", (
            f"a pool needs {size} so that its tasks cannot lock each other out, and with so many "
            f"{late}; the load alone needs {units.plural(needed, 'connection')}"
        )
    without = units.plural(max(needed, objective.floor), "connection")
    return limited_by, (
        f"the headroom asked is not available: {units.share(objective.headroom)} on top make "
        f"{size}, and with so many {late}; {_asked(objective)} need {without} without it"
    )


def _late_at(found: Found, size: int) -> tuple[str, LimitedBy]:
    """What goes wrong at a size that does not hold, and whether waits or responses do."""
    queue = found.queue
    if size > queue.most:
        measured = queue.curve.whole.measured
        return (
            f"nothing is known: {measured} connections are the most that could be measured",
            "plateau",
        )
    met = queue.cautious[size - 1]
    if not met.is_stable:
        return f"{units.rate(queue.objective.rate_per_pool)} are not carried any more", "plateau"
    if not queue.meets_wait(met):
        return late_waits(queue, met), "plateau"
    if queue.objective.asks_as_soon:
        return f"callers are served later than with fewer: {response(queue, met)}", "response"
    return f"{late_responses(queue, met)} in all", "response"


def _asked(objective: Objective) -> str:
    rate = units.rate(objective.rate_per_pool)
    if objective.pools == 1:
        return rate
    return f"{rate} a pool ({units.plural(objective.pools_left, 'pool')} left of {objective.pools})"


def _slow_by_itself(found: Found) -> str:
    """No size meets the response time, although the queue in front of the pool could."""
    objective = found.queue.objective
    limit = units.milliseconds(objective.response_p99)
    late = [(found.queue.late_responses(one), one) for one in found.predictions if one.is_stable]
    if not late:
        return f"no size carries {units.rate(objective.rate_per_pool)} within {limit}"
    least = min(share for share, _ in late)
    best = next(one for share, one in late if share <= 1.01 * least)
    short = "" if objective.wait_p99 is None else "sizes that keep the wait short do not help: "
    return (
        f"{short}no size keeps the p99 response within {limit}; the best, "
        f"{units.plural(best.pool_size, 'connection')}, leaves {units.share(least, 1)} of the "
        "calls above it, since holding a connection takes too long by itself"
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
    remedies = []
    for words, changed_upstream, changed in _changes(upstream, objective):
        rate = reachable_rate(changed_upstream, changed)
        if rate is not None and rate >= WORTH_SAYING * (reachable or 0.0):
            remedies.append((rate, f"{words}: {units.rate(rate)}"))
    if not remedies:
        return "only a faster upstream, or more of it: neither a larger cap nor a longer wait helps"
    return "; ".join(text for _, text in sorted(remedies, reverse=True))


def _changes(upstream: Fitted, objective: Objective) -> Iterator[tuple[str, Fitted, Objective]]:
    """(in words, the upstream, the objective), each with one thing changed."""
    shorter = units.share(1.0 - SHORTER)
    yield f"calls that are {shorter} shorter", upstream.slowed(SHORTER), objective
    for key, noun in (("wait_p99", "wait"), ("response_p99", "response")):
        limit = getattr(objective, key)
        if limit is not None:
            longer = LONGER * limit
            words = f"a {noun} of {units.milliseconds(longer)}"
            yield words, upstream, objective.but(**{key: longer})
    if objective.headroom:
        yield "no headroom", upstream, objective.but(headroom=0.0)
    if objective.lost:
        yield "no replica lost", upstream, objective.but(lost_replicas=0)
    if objective.cap >= 1:
        wider, measured = WIDER * objective.cap, upstream.curve.measured
        words = f"{wider} connections in all"
        if wider > measured:
            words += f" (beyond the {measured} measured, if throughput stays)"
        yield words, upstream, objective.but(max_size=wider, max_connections=None)
