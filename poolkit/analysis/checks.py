"""The doubts that every trial is put to; one that fails is drawn grey and not fitted."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.records import Check, Interval

LITTLES_LAW_TOLERANCE = 0.05
BUSY_CORE = 0.85
SLOW_LOOP = 0.005  # s by which the loop wakes late, nine times in ten at most
LATE = 0.010  # s, p99 of the generator's lag
UNSTEADY = 0.05
GROWING_QUEUE = 2.0  # second half over first, calls in the system
WIDE_INTERVAL = 0.4  # half width over mean; the fit weighs each trial by its interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at; times in s, rates in calls/s.

    Attributes:
        concurrency: measured mean of calls in the system.
        littles_law: throughput * (mean wait + mean hold).
        edges: standard error (a share) of what calls that reach over the window's edges add to one
            side of Little's Law and not to the other.
        halves: throughput of the first and the second half of the window.
        half_error: standard error of the difference between them; None when unknown.
        settled: whether MSER-5 found an end of the warm-up in the first half.
        in_system_halves: mean calls in the system in each half of an open loop; None: closed.
        mean_lag: mean of due -> started; None in a closed loop.
        fair: the finished check of the waits (`poolkit.analysis.fairness`); None: nobody waited.
    """

    calls: int
    concurrency: float | None
    littles_law: float | None
    edges: float
    cpu_share: float
    loop_lag_p90: float | None
    halves: tuple[float, float] | None
    half_error: float | None
    settled: bool
    in_system_halves: tuple[float, float] | None
    throughput: float
    interval: Interval | None
    mean_lag: float | None
    lag_p99: float | None
    fair: Check | None = None


def run_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check of a trial, in the order a reader wants them."""
    checks = [
        _littles_law(evidence),
        _client_bound(evidence),
        _steady(evidence),
        _enough(evidence),
    ]
    if evidence.mean_lag is not None:
        checks.append(_lag(evidence))
    if evidence.fair is not None:
        checks.append(evidence.fair)
    return tuple(checks)


def _littles_law(e: Evidence) -> Check:
    """L = X * (W + S) holds for any stationary system (Little 1961): a gap is a fault of ours."""
    if e.concurrency is None or e.littles_law is None:
        passed, seen = False, "no successful call to hold it against"
    else:
        # Calls that are cut off at the window's edges are no fault.
        allowed = LITTLES_LAW_TOLERANCE + 1.0 / max(e.calls, 1) + 2.0 * e.edges
        apart = abs(e.littles_law / e.concurrency - 1.0) if e.concurrency > 0 else 1.0
        passed = apart <= allowed
        seen = (
            f"{e.concurrency:.2f} calls in the system, throughput x time says "
            f"{e.littles_law:.2f} ({apart:.1%} apart)"
        )
    return Check(
        name="littles_law",
        passed=passed,
        seen=seen,
        why="where the two differ, calls were lost, stamps are wrong or the load was not steady",
        next="measure longer; if it stays, the server changes its speed while it is measured",
    )


def _client_bound(e: Evidence) -> Check:
    slow = e.loop_lag_p90 is not None and e.loop_lag_p90 > SLOW_LOOP
    late = (
        ""
        if e.loop_lag_p90 is None
        else f", loop late by {max(0.0, e.loop_lag_p90) * 1e3:.1f} ms (p90)"
    )
    return Check(
        name="client_bound",
        passed=e.cpu_share <= BUSY_CORE and not slow,
        seen=f"{e.cpu_share:.2f} of a core{late}",
        why="a busy client measures itself: the plateau would be the client's own",
        next="use fewer connections, a faster machine, or take the result as this client's limit",
    )


def _steady(e: Evidence) -> Check:
    if e.halves is None:
        passed, seen = False, "too short to compare its halves"
    else:
        first, second = e.halves
        middle = (first + second) / 2
        apart = abs(first - second) / middle if middle > 0 else 1.0
        noise = 3.0 * e.half_error / middle if e.half_error is not None and middle > 0 else 0.0
        passed = e.settled and apart <= max(UNSTEADY, noise)
        seen = f"{first:.0f} then {second:.0f} calls/s ({apart:.1%} apart)"
        if not e.settled:
            seen += ", still settling at half time (MSER-5)"
        if _queue_grows(e):
            passed = False
            seen += ", the queue grows without end"
    return Check(
        name="steady",
        passed=passed,
        seen=seen,
        why="a mean over a changing process describes neither its start nor its end",
        next="measure longer, or when the endpoint is quiet",
    )


def _queue_grows(e: Evidence) -> bool:
    """An overloaded pool completes evenly and obeys Little's Law; its queue gives it away."""
    if e.in_system_halves is None:
        return False
    first, second = e.in_system_halves
    return second > GROWING_QUEUE * first and second > 20.0


def _enough(e: Evidence) -> Check:
    if e.interval is None or e.throughput <= 0:
        passed, seen = False, f"{e.calls} calls, too few for an interval"
    else:
        half = (e.interval[1] - e.interval[0]) / 2 / e.throughput
        passed = half <= WIDE_INTERVAL
        seen = f"{e.calls} calls, throughput known to ±{half:.1%}"
    return Check(
        name="enough",
        passed=passed,
        seen=seen,
        why="a wide interval cannot tell two sizes apart",
        next="give the sweep a larger budget",
    )


def _lag(e: Evidence) -> Check:
    lag_p99 = e.lag_p99 or 0.0
    return Check(
        name="lag",
        passed=lag_p99 <= LATE,
        seen=f"calls started {lag_p99 * 1e3:.2f} ms after they were due (p99)",
        why="a generator that falls behind sends less than it says",
        next="close other programs on this machine, or lower the rate",
    )
