"""What would raise the rate that is within reach, each remedy with the rate that it would bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from poolkit import units
from poolkit.analysis.answer import reachable_rate
from poolkit.analysis.model import Fitted
from poolkit.analysis.objective import Objective
from poolkit.records import Verdict

WORTH_SAYING = 1.05  # times the reachable rate; a remedy that brings less is not told
SHORTER = 0.8  # the hold time of an upstream that was made faster, as a share of today's
LONGER = 2.0  # times the wait that is good today
WIDER = 2  # times the cap of today


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
            replace(objective, wait_p99=longer),
        )
    if objective.response_p99 is not None:
        longer = LONGER * objective.response_p99
        yield (
            f"a response of {units.milliseconds(longer)}",
            upstream,
            replace(objective, response_p99=longer),
        )
    if objective.headroom:
        yield "no headroom", upstream, replace(objective, headroom=0.0)
    if objective.lost:
        yield "no replica lost", upstream, replace(objective, lost_replicas=0)
    if objective.cap >= 1:
        wider = WIDER * objective.cap
        measured = upstream.curve.measured
        beyond = (
            f" (beyond the {measured} measured, if throughput stays)" if wider > measured else ""
        )
        yield (
            f"{wider} connections in all{beyond}",
            upstream,
            replace(objective, max_size=wider, max_connections=None),
        )
