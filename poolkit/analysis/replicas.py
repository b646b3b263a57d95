"""What it does to callers that replicas are taken from a service, or added, while it goes on.

A size is verified with the pools that are left when replicas are lost; what a trial of the change
itself adds is the moment: the others have to dial what they had not needed before, and the load
that comes upon them does not wait for that. While a deploy rolls the new pools dial beside the old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from poolkit import units
from poolkit.analysis.disturbed import AGAIN_WHEN_QUIET
from poolkit.analysis.late import late_and_all, steady_from
from poolkit.histogram import Histogram
from poolkit.load.measurement import Measurement, Segment
from poolkit.records import ChangePurpose, Check, ReplicaChange, Trial

LOST = "replica_lost"  # kind of a call that was under way in a pool that was taken away
SETTLES = 1.0  # s after which waits must be as asked again
_NO_ROOM = ("connection_refused", "too_many_connections")


@dataclass(frozen=True, slots=True)
class Change:
    """Pools that come or go in the midst of a trial, of the whole service or of one generator.

    Attributes:
        begins: s of the trial at which those that come begin to open; `at` where they go.
        at: s of the trial from which on the load is shared anew.
        before, after: pools that serve until then, and from then on; 0 or more.
        rates: calls/s until then, and from then on.
        wait_limit: s that the p99 wait may be.
        clustered: how many late calls come together, 1 or more.
    """

    begins: float
    at: float
    before: int
    after: int
    rates: tuple[float, float]
    wait_limit: float
    clustered: float = 1.0


def replica_change(
    kind: ChangePurpose, measured: Measurement, change: Change, warm_up: float
) -> ReplicaChange:
    """The record of a change, of a trial whose first `warm_up` s are left out."""
    width = measured.segment_seconds
    first, begun = round(warm_up / width), round(change.begins / width)
    before, since = measured.segments[first:begun], measured.segments[begun:]
    counts = [_late(segment, change.wait_limit) for segment in since]
    late, calls = (sum(column) for column in zip((0.0, 0.0), *counts, strict=True))
    steady = steady_from(counts, change.clustered)
    kinds: Counter[str] = Counter()
    for segment in since:
        kinds.update(segment.error_kinds)
    turned_away = sum(segment.outcomes.get("rejected", 0) for segment in since)
    samples = measured.samples
    dialled = samples.opened[samples.at >= change.begins]
    return ReplicaChange(
        kind=kind,
        pools_before=change.before,
        pools_after=change.after,
        wait_limit=change.wait_limit,
        wait_p99_before=_p99(before),
        wait_p99_after=_p99(since),
        late=late / calls if calls else 0.0,
        steady=None if steady is None else width * steady,
        dials=round(float(np.ptp(dialled))) if dialled.size else 0,
        # An answer that turns a call away is counted as such, whatever its kind.
        refused=max(turned_away, sum(kinds[kind] for kind in _NO_ROOM)),
        # Due before it, as they were under way.
        lost=sum(segment.error_kinds.get(LOST, 0) for segment in measured.segments),
    )


def _late(segment: Segment, limit: float) -> tuple[float, float]:
    return late_and_all(segment.wait.distribution(), segment.outcomes, limit)


def _p99(segments: Sequence[Segment]) -> float | None:
    waits = Histogram()
    for segment in segments:
        waits.merge(segment.wait)
    return waits.distribution().p99


def holds(change: ReplicaChange) -> bool:
    """Whether waits were soon as asked again, and the server turned nobody away."""
    return change.steady is not None and change.steady <= SETTLES and not change.refused


def latest_changes(trials: Sequence[Trial], pool_size: int) -> list[Trial]:
    """The last trial of each kind at a size, the lost replica first."""
    found = {t.purpose: t for t in trials if t.change is not None and t.pool_size == pool_size}
    return [found[purpose] for purpose in sorted(found)]


def changes_of(trials: Sequence[Trial], pool_size: int) -> tuple[ReplicaChange, ...]:
    """What these came to."""
    latest = latest_changes(trials, pool_size)
    return tuple(trial.change for trial in latest if trial.change is not None)


def change_checks(trials: Sequence[Trial], pool_size: int) -> tuple[Check, ...]:
    """Whether a size bore what was tried of it: the check `lost_replica`, and `surge`."""
    return tuple(
        _check(trial, trial.change)
        for trial in latest_changes(trials, pool_size)
        if trial.change is not None
    )


def _check(trial: Trial, seen: ReplicaChange) -> Check:
    passed, is_loss = holds(seen), seen.kind == "lost_replica"
    then = "nothing"
    if not passed and seen.refused:
        then = (
            "give the server room for the connections of all pools that are open at once, or make "
            "them smaller: max_connections, less those reserved and used, is for all together"
        )
    elif not passed and trial.failed_checks:
        then = AGAIN_WHEN_QUIET
    elif not passed:
        then = (
            "give each pool room for what it must take over at once: headroom in targets.toml, "
            "and a min_size that has those connections dialled"
            if is_loss
            else "start the new replicas one after the other, each with its connections dialled "
            "before it reports ready"
        )
    return Check(
        name=seen.kind,
        passed=passed,
        seen=what_came(seen, trial.stopped),
        why="the pools that are left take over at once, and have not dialled for it"
        if is_loss
        else "old and new replicas dial and send side by side, and the server bears them all",
        next=then,
    )


def what_came(seen: ReplicaChange, stopped: str | None = None) -> str:
    """What was done and what came of it, in a sentence without a full stop."""
    pools = f"{seen.pools_before} to {units.plural(seen.pools_after, 'pool')}"
    done = "a replica lost" if seen.kind == "lost_replica" else "a deploy that rolls"
    before, after = (units.milliseconds(w) for w in (seen.wait_p99_before, seen.wait_p99_after))
    words = [f"{done} ({pools}): p99 wait {before} before, {after} since", settled(seen)]
    words.append(units.plural(seen.dials, "dial"))
    if seen.refused:
        words.append(f"{units.plural(seen.refused, 'call')} refused for want of a connection")
    if seen.lost:
        words.append(f"{units.plural(seen.lost, 'call')} under way lost with it")
    if stopped is not None:
        words.append(f"stopped by the {stopped} brake")
    return ", ".join(words)


def settled(seen: ReplicaChange) -> str:
    """How long it took until waits were as asked again."""
    if seen.steady is None:
        return f"not within {units.milliseconds(seen.wait_limit)} again while it was looked at"
    limit = units.milliseconds(seen.wait_limit)
    if not seen.steady:
        return f"within {limit} throughout"
    return f"within {limit} again after {units.milliseconds(seen.steady)}"


def share_of(change: Change, first: int, pools: int) -> Change:
    """What a generator sees of it that has `pools` of the pools, from the `first` on (from 0).

    The last pools are those that come or go.
    """
    all_pools = change.before, change.after
    before, after = (min(max(0, count - first), pools) for count in all_pools)
    rates = (change.rates[0] * before / change.before, change.rates[1] * after / change.after)
    return replace(change, before=before, after=after, rates=rates)


def mean_rate(change: Change, begin: float, end: float) -> float:
    """Calls/s from `begin` to `end` s of the trial, on average; the change lies between."""
    first, then = change.rates
    return (first * (change.at - begin) + then * (end - change.at)) / (end - begin)
