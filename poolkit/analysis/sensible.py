"""Whether a measured curve makes sense at all; where it does not, why nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.curve import relative_error
from poolkit.records import CurvePoint, Trial

# A fall and a rise of this share, and of this many standard errors, are no noise.
DIP = 0.12
DIP_ERRORS = 4.0


def why_not(trials: Sequence[Trial], points: Sequence[CurvePoint]) -> str | None:
    """The reason why no size can be read off these trials, in the reader's words; None: none."""
    closed = [trial for trial in trials if trial.is_of_curve]
    if not closed:
        return "no pool size was measured"
    if not points:
        return _nothing_usable(closed)
    if len(points) == 1:
        return (
            f"only one size was measured ({units.plural(points[0].pool_size, 'connection')}): "
            "one size is not a curve"
        )
    return _dip(points)


def _nothing_usable(trials: Sequence[Trial]) -> str:
    served = sum(trial.outcomes.get("ok", 0) for trial in trials)
    if served == 0:
        return f"none of {sum(sum(t.outcomes.values()) for t in trials)} calls succeeded"
    if all((trial.hold_time.mean or 0.0) <= 0 for trial in trials):
        return "every hold time is zero: calls that hold no connection tell nothing of a pool"
    failed = sorted({check.name for trial in trials for check in trial.checks if not check.passed})
    if failed:
        return (
            f"none of {units.plural(len(trials), 'trial')} passed its checks "
            f"({units.listed(failed)} failed)"
        )
    return "too many calls failed in every trial"


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
