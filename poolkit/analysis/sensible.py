"""Whether a measured curve makes sense at all; where it does not, why nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.curve import has_numbers, relative_error
from poolkit.analysis.refused import first_refused
from poolkit.records import CurvePoint, Sweep, Trial, Verdict

# A fall and a rise of this share, and of this many standard errors, are no noise.
DIP = 0.12
DIP_ERRORS = 4.0
LEAP = 1.6  # times the best throughput of a connection at fewer of them


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
