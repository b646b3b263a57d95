"""Did the endpoint change while it was measured? A sentinel size is measured first and last."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.curve import points, relative_error
from poolkit.records import Check, Trial

LEAST_DRIFT = 0.05
ERRORS = 3.0


def sentinel_size(trials: Sequence[Trial]) -> int | None:
    """The size to measure again at the end: the ramp's first that reached half the best throughput.

    There the curve is steep enough to show a slower server and a smaller plateau alike.
    """
    ramp = [trial for trial in trials if trial.purpose == "ramp" and trial.is_usable]
    if len(ramp) < 2:
        return None
    best = max(trial.throughput for trial in ramp)
    return next(trial.pool_size for trial in ramp if trial.throughput >= best / 2)


def drift_check(sentinel: Trial, earlier: Sequence[Trial]) -> Check:
    """The check `drift` of a sentinel trial, against the first usable trial of its size."""
    first = next(
        (t for t in earlier if t.pool_size == sentinel.pool_size and t.is_of_curve and t.is_usable),
        None,
    )
    if first is None or first.throughput <= 0:
        passed, seen = False, "no usable earlier trial of this size to compare with"
    else:
        apart = sentinel.throughput / first.throughput - 1.0
        noise = ERRORS * (_error(first) ** 2 + _error(sentinel) ** 2) ** 0.5
        passed = abs(apart) <= max(LEAST_DRIFT, noise)
        seen = (
            f"{sentinel.pool_size} connections: {first.throughput:.0f} calls/s at first, "
            f"{sentinel.throughput:.0f} at the end ({apart:+.1%})"
        )
    return Check(
        name="drift",
        passed=passed,
        seen=seen,
        why="sizes measured on an endpoint that changes in between cannot be compared",
        next="measure again when the endpoint is quiet, or with a shorter budget",
    )


def _error(trial: Trial) -> float:
    """Standard error of a trial's throughput as a share of it."""
    alone = points((trial,))
    return relative_error(alone[0]) if alone else 0.1
