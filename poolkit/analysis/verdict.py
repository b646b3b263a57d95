"""What bounds the throughput of an upstream, with the figures that show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.curve import is_clean
from poolkit.analysis.knee import end_slope, has_plateau, plateau
from poolkit.records import CurvePoint, Sweep, Trial, Verdict

# A server that sheds this share of the calls is at a limit of its own.
SHEDDING = 0.01
NEAR_TOP = 0.9
_RATE_KINDS = frozenset({"http_429"})
# Calls that take at most so many times as long as at the smallest size do not queue in the server.
SHORT_HOLD = 1.5
MOSTLY_BUSY = 0.97  # share of the connections that successful calls keep busy in a full closed loop


def judge(sweep: Sweep, points: Sequence[CurvePoint]) -> Verdict:
    """The verdict on a sweep whose usable trials gave these points (none is allowed)."""
    trials = [trial for trial in sweep.trials if trial.is_of_curve]
    # First of all: a brake stops a sweep that is shed, and the shedding is the reason.
    shed = [trial for trial in trials if rejected_share(trial) > SHEDDING]
    if shed:
        return _shedding(trials, shed)
    quota = _quota(trials)
    if quota is not None:
        return quota
    if sweep.stopped is not None:
        return Verdict(name="stopped", evidence=_stopped(sweep, points))
    busy = _busy_client(trials)
    if busy is not None:
        return busy
    if not points:
        return Verdict(name="stopped", evidence="no trial passed its checks, so nothing was seen")
    if not has_plateau(points):
        return Verdict(name="pool_bound", evidence=_rising(points))
    return Verdict(name="server_bound", evidence=_flat(points))


def rejected_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that the server shed."""
    calls = _answered(trial)
    return trial.outcomes.get("rejected", 0) / calls if calls else 0.0


def _answered(trial: Trial) -> int:
    """The calls that ended: a stop cuts the others, which tell nothing of the server."""
    return sum(trial.outcomes.values()) - trial.outcomes.get("unfinished", 0)


def first_shedding(trials: Sequence[Trial]) -> int | None:
    """The smallest closed-loop size at which the server shed calls; None: at none."""
    sizes = [
        trial.pool_size * trial.pools
        for trial in trials
        if trial.is_of_curve and rejected_share(trial) > SHEDDING
    ]
    return min(sizes, default=None)


def _shedding(trials: Sequence[Trial], shed: Sequence[Trial]) -> Verdict:
    kinds: Counter[str] = Counter()
    for trial in shed:
        kinds.update(trial.error_kinds)
    del kinds["unfinished"]
    by_rate = sum(count for kind, count in kinds.items() if kind in _RATE_KINDS)
    calls = sum(_answered(trial) for trial in shed)
    rejected = sum(trial.outcomes.get("rejected", 0) for trial in shed)
    first = min(trial.pool_size * trial.pools for trial in shed)
    most = max(trial.throughput for trial in shed)
    named = kinds.most_common(1)[0][0] if kinds else "rejected"
    limited = by_rate * 2 > sum(kinds.values())
    # A server that refuses connections leaves the others as fast too.
    short = _short_hold(trials, shed) if limited else ""
    seen = (
        f"from {units.plural(first, 'connection')} on the server shed "
        f"{units.share(rejected / calls, 1)} of the calls ({named}); "
        f"at most {units.rate(most)} got through there{short}"
    )
    return Verdict(name="rate_limited" if limited else "refused", evidence=seen)


def _quota(trials: Sequence[Trial]) -> Verdict | None:
    """A rate limit that answers with another status than 429.

    Calls that the server calls wrong (4xx) only beyond a size, while those that succeed are neither
    slower nor more than before: the calls are right, and there are too many of them.
    """
    wrong = [trial for trial in trials if _wrong_share(trial) > SHEDDING]
    if not wrong:
        return None
    first = min(trial.pool_size * trial.pools for trial in wrong)
    before = [trial for trial in trials if trial.pool_size * trial.pools < first]
    short = _short_hold(trials, wrong)
    if not short or any(trial.outcomes.get("error", 0) for trial in before):
        return None
    share = sum(trial.outcomes.get("error", 0) for trial in wrong) / sum(
        _answered(trial) for trial in wrong
    )
    kinds: Counter[str] = Counter()
    for trial in wrong:
        kinds.update({k: n for k, n in trial.error_kinds.items() if k.startswith("http_4")})
    kind = kinds.most_common(1)[0][0]
    return Verdict(
        name="rate_limited",
        evidence=f"from {units.plural(first, 'connection')} on {units.share(share, 1)} of the "
        f"calls end with {kind}, below it none; the others got through{short}",
    )


def _wrong_share(trial: Trial) -> float:
    """The share (0 to 1) of a trial's calls that failed with an HTTP status of 4xx."""
    calls = _answered(trial)
    wrong = sum(n for kind, n in trial.error_kinds.items() if kind.startswith("http_4"))
    return min(wrong, trial.outcomes.get("error", 0)) / calls if calls else 0.0


def _short_hold(trials: Sequence[Trial], limited: Sequence[Trial]) -> str:
    """Flat throughput with short hold: what sets a limit by rate apart from a busy server.

    Calls that get through take no longer than before, so by Little's Law they keep throughput *
    hold time connections busy, fewer than there are. Empty where they were slower.
    """
    first = min(trial.pool_size * trial.pools for trial in limited)
    before = [t for t in trials if t.pool_size * t.pools < first and (t.hold_time.mean or 0) > 0]
    served = [trial for trial in limited if (trial.hold_time.mean or 0) > 0]
    if not before or not served:
        return ""
    smallest = min(before, key=lambda trial: trial.pool_size)
    largest = max(served, key=lambda trial: trial.pool_size)
    alone, hold = smallest.hold_time.mean or 0.0, largest.hold_time.mean or 0.0
    size = largest.pool_size * largest.pools
    busy = largest.throughput * hold
    if hold > SHORT_HOLD * alone or busy > MOSTLY_BUSY * size:
        return ""
    return (
        f", as fast as with {smallest.pool_size * smallest.pools} ({units.milliseconds(hold)}), so "
        f"they kept {units.number(busy)} of {size} connections busy: the server is not at its "
        "limit, it counts calls"
    )


def _busy_client(trials: Sequence[Trial]) -> Verdict | None:
    """Client-bound when most trials near the highest throughput failed that check."""
    live = [trial for trial in trials if trial.throughput > 0]
    if not live:
        return None
    top = max(trial.throughput for trial in live)
    near = [trial for trial in live if trial.throughput >= NEAR_TOP * top]
    failed = [trial for trial in near if _failed(trial, "client_bound")]
    if 2 * len(failed) <= len(near):
        return None
    worst = max(failed, key=lambda trial: trial.cpu_share)
    return Verdict(
        name="client_bound",
        evidence=(
            f"near its highest throughput ({units.rate(top)}) this process used "
            f"{units.share(worst.cpu_share)} of a core: the curve there is the client's own"
        ),
    )


def _failed(trial: Trial, name: str) -> bool:
    return any(check.name == name and not check.passed for check in trial.checks)


def _stopped(sweep: Sweep, points: Sequence[CurvePoint]) -> str:
    usable = sum(1 for trial in sweep.trials if is_clean(trial))
    kept = f"{units.plural(usable, 'usable trial')} kept"
    if points:
        kept += f", up to {units.plural(points[-1].pool_size, 'connection')}"
    return f"{sweep.stopped}; {kept}"


def _rising(points: Sequence[CurvePoint]) -> str:
    last = points[-1]
    if len(points) == 1:
        return f"only {units.plural(last.pool_size, 'connection')} measured, so no plateau was seen"
    slope = end_slope(points)
    return (
        f"throughput still rises at {units.plural(last.pool_size, 'connection')}, the largest size "
        f"measured ({units.rate(last.throughput)}; 1 % more connections bring "
        f"{units.number(slope, 2)} % more)"
    )


def _flat(points: Sequence[CurvePoint]) -> str:
    height = plateau(points)
    assert height is not None, "only asked where a plateau was seen"
    reached = next(point for point in points if point.throughput >= 0.95 * height.throughput)
    return (
        f"throughput stays at {units.rate(height.throughput)} from "
        f"{units.plural(reached.pool_size, 'connection')} to "
        f"{points[-1].pool_size}: more connections bring no more"
    )
