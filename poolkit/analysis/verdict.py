"""What bounds the throughput of an upstream, or why its curve makes no sense, with the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.curve import has_numbers, is_clean, relative_error
from poolkit.analysis.knee import end_slope, has_plateau, is_falling, plateau
from poolkit.analysis.refused import answered, first_refused, over_quota, shed, short_hold
from poolkit.records import CurvePoint, Sweep, Trial, Verdict

NEAR_TOP = 0.9
_RATE_KINDS = frozenset({"http_429"})
# A fall and a rise of this share, and of this many standard errors, are no noise.
DIP = 0.12
DIP_ERRORS = 4.0
LEAP = 1.6  # times the best throughput of a connection at fewer of them


def judge(sweep: Sweep, points: Sequence[CurvePoint]) -> Verdict:
    """The verdict on a sweep whose usable trials gave these points (none is allowed)."""
    trials = [trial for trial in sweep.trials if trial.is_of_curve]
    # First of all: a brake stops a sweep that is shed, and the shedding is the reason.
    turned_away = shed(trials)
    if turned_away:
        return _shedding(trials, turned_away)
    wrong = over_quota(trials)
    if wrong:
        return _quota(trials, wrong)
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


def _shedding(trials: Sequence[Trial], turned_away: Sequence[Trial]) -> Verdict:
    kinds: Counter[str] = Counter()
    for trial in turned_away:
        kinds.update(trial.error_kinds)
    del kinds["unfinished"]
    by_rate = sum(count for kind, count in kinds.items() if kind in _RATE_KINDS)
    calls = sum(answered(trial) for trial in turned_away)
    rejected = sum(trial.outcomes.get("rejected", 0) for trial in turned_away)
    first = min(trial.pool_size * trial.pools for trial in turned_away)
    most = max(trial.throughput for trial in turned_away)
    named = kinds.most_common(1)[0][0] if kinds else "rejected"
    limited = by_rate * 2 > sum(kinds.values())
    # A server that refuses connections leaves the others as fast too.
    short = short_hold(trials, turned_away) if limited else ""
    seen = (
        f"from {units.plural(first, 'connection')} on the server shed "
        f"{units.share(rejected / calls, 1)} of the calls ({named}); "
        f"at most {units.rate(most)} got through there{short}"
    )
    return Verdict(name="rate_limited" if limited else "refused", evidence=seen)


def _quota(trials: Sequence[Trial], wrong: Sequence[Trial]) -> Verdict:
    first = min(trial.pool_size * trial.pools for trial in wrong)
    calls = sum(answered(trial) for trial in wrong)
    share = sum(trial.outcomes.get("error", 0) for trial in wrong) / calls
    kinds: Counter[str] = Counter()
    for trial in wrong:
        kinds.update({k: n for k, n in trial.error_kinds.items() if k.startswith("http_4")})
    kind = kinds.most_common(1)[0][0]
    return Verdict(
        name="rate_limited",
        evidence=f"from {units.plural(first, 'connection')} on {units.share(share, 1)} of the "
        f"calls end with {kind}, below it none; the others got through{short_hold(trials, wrong)}",
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
    last = points[-1]
    if is_falling(points):
        top = max(points, key=lambda point: point.throughput)
        return (
            f"throughput is highest at {units.plural(top.pool_size, 'connection')} "
            f"({units.rate(top.throughput)}) and falls to {units.rate(last.throughput)} at "
            f"{last.pool_size}: more connections bring less"
        )
    reached = next(point for point in points if point.throughput >= 0.95 * height.throughput)
    if reached.pool_size == last.pool_size:
        # One point cannot be seen to stay: only how little was gained on the way to it.
        before = points[-2]
        return (
            f"from {before.pool_size} to {units.plural(last.pool_size, 'connection')}, the largest "
            f"size measured, throughput rises from {units.rate(before.throughput)} to no more than "
            f"{units.rate(last.throughput)}: little is left to gain beyond"
        )
    return (
        f"throughput stays at {units.rate(height.throughput)} from "
        f"{units.plural(reached.pool_size, 'connection')} to "
        f"{points[-1].pool_size}: more connections bring no more"
    )


def cannot_say(reason: str, verdict: Verdict) -> str:
    """The sentence in place of a number, with the evidence where the server turned calls away."""
    said = f"cannot say, because {reason}"
    if verdict.name in ("rate_limited", "refused"):
        said += f"; {verdict.evidence}: a larger pool cannot change that"
    return said


def why_not(sweep: Sweep, points: Sequence[CurvePoint]) -> str | None:
    """The reason why no size can be read off a sweep, in the reader's words; None: none.

    `points` are those of its usable trials.
    """
    closed = [trial for trial in sweep.trials if trial.is_of_curve]
    if not closed:
        return "no pool size was measured"
    if not points:
        return _nothing_usable(closed)
    refused = first_refused(closed)
    if refused is not None and sum(point.pool_size < refused for point in points) < 2:
        return (
            f"the server turns calls away at {units.plural(refused, 'connection')} already, and "
            "below that no two sizes passed their checks"
        )
    if len(points) == 1:
        return (
            f"only one size was measured ({units.plural(points[0].pool_size, 'connection')}): "
            "one size is not a curve"
        )
    return _dip(points) or _leap(points)


def _nothing_usable(trials: Sequence[Trial]) -> str:
    served = sum(trial.outcomes.get("ok", 0) for trial in trials)
    if served == 0:
        return f"none of {sum(sum(t.outcomes.values()) for t in trials)} calls succeeded"
    if any(not has_numbers(trial) for trial in trials):
        return _no_numbers(trials)
    if all((trial.hold_time.mean or 0.0) <= 0 for trial in trials):
        return "every hold time is zero: calls that hold no connection tell nothing of a pool"
    failed = sorted({check.name for trial in trials for check in trial.checks if not check.passed})
    if failed:
        return (
            f"none of {units.plural(len(trials), 'trial')} passed its checks "
            f"({units.listed(failed)} failed)"
        )
    return "too many calls failed in every trial"


def _no_numbers(trials: Sequence[Trial]) -> str:
    wrong = sum(not has_numbers(trial) for trial in trials)
    return (
        f"{wrong} of {units.plural(len(trials), 'trial')} hold throughputs or hold times that are "
        "no numbers: the file was not written by a measurement"
    )


def _leap(points: Sequence[CurvePoint]) -> str | None:
    """Throughput that grows far more than the connections do shows another upstream, not a pool."""
    for index in range(1, len(points)):
        more = points[index]
        each = more.throughput / more.pool_size
        best = max(points[:index], key=lambda point: point.throughput / point.pool_size)
        if each > LEAP * best.throughput / best.pool_size:
            return (
                f"throughput rises from {units.rate(best.throughput)} at {best.pool_size} to "
                f"{units.rate(more.throughput)} at {more.pool_size} connections, more than the "
                "connections do: the endpoint became faster meanwhile (a cache that filled, a "
                "sleeping machine); measure again now that it is warm"
            )
    return None


def _dip(points: Sequence[CurvePoint]) -> str | None:
    """Throughput that falls and rises again with more connections is no one upstream's."""
    for low in range(1, len(points) - 1):
        before = max(points[:low], key=lambda point: point.throughput)
        after = max(points[low + 1 :], key=lambda point: point.throughput)
        bottom = points[low]
        margin = max(
            DIP,
            DIP_ERRORS
            * (relative_error(bottom) ** 2 + max(map(relative_error, (before, after))) ** 2) ** 0.5,
        )
        height = min(before.throughput, after.throughput)
        if bottom.throughput < (1.0 - margin) * height:
            return (
                f"throughput falls from {units.rate(before.throughput)} at {before.pool_size} "
                f"connections to {units.rate(bottom.throughput)} at {bottom.pool_size} and rises "
                f"again to {units.rate(after.throughput)} at {after.pool_size}: the endpoint was "
                "not the same all the time; measure again when it is quiet"
            )
    return None
