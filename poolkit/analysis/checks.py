"""The checks of every trial; one that fails is drawn grey and not fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from poolkit.analysis.curve import UNKNOWN_ERROR, points, relative_error
from poolkit.histogram import value_of
from poolkit.records import Check, Distribution, Interval, Trial

LITTLES_LAW_TOLERANCE = 0.05
BUSY_CORE = 0.85
SLOW_LOOP = 0.005  # s by which the loop wakes late, nine times in ten at most
# A loop is late for want of a core where its thread stood ready without one for this share of the
# window; where the system does not count that, where nearly all of the cores' time was taken.
READY, FULL = 0.05, 0.9
# Share of the window without a core from which on every time is too long, if it is also longer than
# the load ran: a busy one that shares two cores with its endpoint stands ready often, and shortly.
HELD_UP = 0.25
STOLEN = 0.05  # share of the cores' time that the hypervisor gave to others
LATE = 0.010  # s, p99 of the generator's lag
UNSTEADY = 0.05
GROWING_QUEUE = 2.0  # second half over first, calls in the system
WIDE_INTERVAL = 0.4  # half width over mean; the fit weighs each trial by its interval

STARVED_INDEX = 0.5
FEWEST_WAITS = 20
HARMLESS = 0.02  # s: a wait that no user notices, and that a busy machine makes by itself
# A fair queue's longest wait of n is about ln(n) times the mean where waits are exponential: 8 at
# 3,000 calls. Beyond this ratio somebody was overtaken again and again.
LONGEST_RATIO = 50.0

LEAST_DRIFT = 0.05
DRIFT_ERRORS = 3.0

# By name of the check: why a failure may mislead, and what to do next.
_WORDS = {
    "littles_law": (
        "where the two differ, calls were lost, stamps are wrong or the load was not steady",
        "measure longer; if it stays, the server changes its speed while it is measured",
    ),
    "client_bound": (
        "a busy client measures itself: the plateau would be the client's own",
        "use fewer connections, a faster machine, or take the result as this client's limit",
    ),
    "machine_quiet": (
        "what else runs on these cores lengthens every time that is measured, and a plateau would "
        "be the machine's, neither the endpoint's nor the client's",
        "close other programs; where the endpoint runs here too, measure from another machine",
    ),
    "steady": (
        "a mean over a changing process describes neither its start nor its end",
        "measure longer, or when the endpoint is quiet",
    ),
    "enough": ("a wide interval cannot tell two sizes apart", "give the sweep a larger budget"),
    "lag": (
        "a generator that falls behind sends less than it says",
        "close other programs on this machine, or lower the rate",
    ),
    "fair": (
        "a starved waiter is a finding, not noise: the pool lets callers overtake who waits",
        "put a gate (a semaphore of the pool's size) in front of the pool: it is first come, "
        "first served",
    ),
    "shares": (
        "replicas share the load evenly: one that sends less is no replica, and one that sends "
        "more waits longer than any would",
        "see whether its machine is busier than the others, or lower the rate",
    ),
    "replicas_alike": (
        "a percentile of all calls together hides a replica whose callers wait longer",
        "see whether that replica's machine is busier than the others or farther from the server; "
        "one that is slower by nature needs a larger pool, or less of the load",
    ),
    "drift": (
        "sizes measured on an endpoint that changes in between cannot be compared",
        "measure again when the endpoint is quiet, or with a shorter budget",
    ),
}


def check(name: str, passed: bool, seen: str) -> Check:
    """The check of this name (a key of `_WORDS`), with why it matters and what to do."""
    why, then = _WORDS[name]
    return Check(name=name, passed=passed, seen=seen, why=why, next=then)


@dataclass(frozen=True, slots=True)
class Cores:
    """Where the time of the cores went that this process may use: shares (0 to 1) of all of it."""

    others: float  # to other processes, the endpoint where it runs here; stolen time included
    stolen: float  # to other machines, by the hypervisor
    own: float
    waited: float | None  # share of the window for which the load stood ready and had no core


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at; times in s, rates in calls/s."""

    calls: int  # successful ones
    concurrency: float | None  # measured mean of calls in the system
    littles_law: float | None  # throughput * (mean wait + mean hold)
    # Standard error (a share) of what calls that reach over the window's edges add to one side of
    # Little's Law and not to the other.
    edges: float
    cpu_share: float
    loop_lag_p90: float | None
    halves: tuple[float, float] | None  # throughput of the first and the second half
    half_error: float | None  # standard error of the difference between them; None: not known
    settled: bool  # whether MSER-5 found an end of the warm-up in the first half
    in_system_halves: tuple[float, float] | None  # mean calls in the system; None: a closed loop
    throughput: float
    interval: Interval | None
    mean_lag: float | None  # mean of due -> started; None: a closed loop
    lag_p99: float | None
    fair: Check | None = None  # the finished check of the waits; None: no call waited
    cores: Cores | None = None  # None: the system does not tell


def run_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check of a trial, in the order a reader wants them."""
    checks = [_littles_law(evidence), _client_bound(evidence), _steady(evidence), _enough(evidence)]
    if evidence.cores is not None:
        checks.insert(2, _machine_quiet(evidence, evidence.cores))
    if evidence.mean_lag is not None:
        lag_p99 = evidence.lag_p99 or 0.0
        seen = f"calls started {lag_p99 * 1e3:.2f} ms after they were due (p99)"
        checks.append(check("lag", lag_p99 <= LATE, seen))
    if evidence.fair is not None:
        checks.append(evidence.fair)
    return tuple(checks)


def _littles_law(e: Evidence) -> Check:
    """L = X * (W + S) holds for any stationary system (Little 1961): a gap is a fault of ours."""
    if e.concurrency is None or e.littles_law is None:
        return check("littles_law", False, "no successful call to hold it against")
    # Calls that are cut off at the window's edges are no fault.
    allowed = LITTLES_LAW_TOLERANCE + 1.0 / max(e.calls, 1) + 2.0 * e.edges
    apart = abs(e.littles_law / e.concurrency - 1.0) if e.concurrency > 0 else 1.0
    seen = (
        f"{e.concurrency:.2f} calls in the system, throughput x time says "
        f"{e.littles_law:.2f} ({apart:.1%} apart)"
    )
    return check("littles_law", apart <= allowed, seen)


def _client_bound(e: Evidence) -> Check:
    seen = f"{e.cpu_share:.2f} of a core"
    if e.loop_lag_p90 is not None:
        seen += f", loop late by {e.loop_lag_p90 * 1e3:.1f} ms (p90)"
    if _is_slow(e) and e.cores is not None and _lacks_core(e.cores):
        seen += ", for want of a core"
        return check("client_bound", e.cpu_share <= BUSY_CORE, seen)
    return check("client_bound", e.cpu_share <= BUSY_CORE and not _is_slow(e), seen)


def _is_slow(e: Evidence) -> bool:
    return e.loop_lag_p90 is not None and e.loop_lag_p90 > SLOW_LOOP


def _lacks_core(cores: Cores) -> bool:
    """Whether others had the cores when the loop wanted one."""
    if cores.waited is not None:
        return cores.waited >= READY
    return cores.own + cores.others >= FULL


def _machine_quiet(e: Evidence, cores: Cores) -> Check:
    """The others' CPU alone is no fault: on a lab run it is the endpoint that is measured."""
    seen = f"others took {cores.others:.0%} of the cores' time"
    if cores.stolen >= 0.005:
        seen += f", {cores.stolen:.0%} stolen by the machine's host"
    if cores.waited is not None:
        seen += f"; the load stood ready without a core for {cores.waited:.0%} of the window"
    is_late = _is_slow(e) and e.cpu_share <= BUSY_CORE and _lacks_core(cores)
    held_up = is_late or (cores.waited or 0.0) > max(HELD_UP, e.cpu_share)
    return check("machine_quiet", cores.stolen <= STOLEN and not held_up, seen)


def _steady(e: Evidence) -> Check:
    if e.halves is None:
        return check("steady", False, "too short to compare its halves")
    first, second = e.halves
    middle = (first + second) / 2
    apart = abs(first - second) / middle if middle > 0 else 1.0
    noise = 3.0 * e.half_error / middle if e.half_error is not None and middle > 0 else 0.0
    passed = e.settled and apart <= max(UNSTEADY, noise)
    seen = f"{first:.0f} then {second:.0f} calls/s ({apart:.1%} apart)"
    if not e.settled:
        seen += ", still settling at half time (MSER-5)"
    # An overloaded pool completes evenly and obeys Little's Law; its queue gives it away.
    before, after = e.in_system_halves or (0.0, 0.0)
    if after > GROWING_QUEUE * before and after > 20.0:
        passed = False
        seen += ", the queue grows without end"
    return check("steady", passed, seen)


def _enough(e: Evidence) -> Check:
    if e.interval is None or e.throughput <= 0:
        return check("enough", False, f"{e.calls} calls, too few for an interval")
    half = (e.interval[1] - e.interval[0]) / 2 / e.throughput
    seen = f"{e.calls} calls, throughput known to ±{half:.1%}"
    return check("enough", half <= WIDE_INTERVAL, seen)


def jains_index(buckets: Mapping[int, int]) -> float | None:
    """(sum x)^2 / (n * sum x^2) over the counted waits: 1 when all are alike, 1/n when one has all.

    Jain, Chiu and Hawe (1984). None where no call waited.
    """
    return evenness((value_of(index), n) for index, n in buckets.items())


def evenness(counted: Iterable[tuple[float, int]]) -> float | None:
    """Jain's index of values (0 or more), each with how often it is there; None: all are 0."""
    count, total, squares = 0, 0.0, 0.0
    for value, n in counted:
        count, total, squares = count + n, total + value * n, squares + value * value * n
    return total * total / (count * squares) if squares > 0 else None


def longest_ratio(waits: Distribution) -> float | None:
    """The longest wait over the mean of those that waited at all; None where too few did."""
    waited = {index: n for index, n in waits.buckets.items() if index > 0}
    count = sum(waited.values())
    if waits.longest is None or count < FEWEST_WAITS:
        return None
    mean = sum(value_of(index) * n for index, n in waited.items()) / count
    return waits.longest / mean


def fairness_check(waits: Distribution, *, hold: float, crowded: bool) -> Check | None:
    """The check `fair`; None where no call waited long enough to be treated unfairly.

    Args:
        hold: mean hold time (s): waits below a few of it do no harm.
        crowded: more callers than connections in a closed loop, so that everybody has to wait and
            a fair queue makes all waits nearly alike.
    """
    longest = waits.longest
    index, ratio = jains_index(waits.buckets), longest_ratio(waits)
    if longest is None or longest < max(HARMLESS, 5.0 * hold) or (index is None and ratio is None):
        return None
    seen = f"longest wait {longest * 1e3:.0f} ms"
    if ratio is not None:
        seen += f", {ratio:.0f} times the mean of those that waited"
    starved = False
    if crowded and index is not None:
        seen += f", fairness {index:.2f} of 1 (Jain's index of the waits)"
        starved = index < STARVED_INDEX
    return check("fair", not starved and (ratio is None or ratio <= LONGEST_RATIO), seen)


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
    same = (t for t in earlier if t.pool_size == sentinel.pool_size and t.is_of_curve)
    first = next((trial for trial in same if trial.is_usable), None)
    if first is None or first.throughput <= 0:
        return check("drift", False, "no usable earlier trial of this size to compare with")
    apart = sentinel.throughput / first.throughput - 1.0
    noise = DRIFT_ERRORS * (_error(first) ** 2 + _error(sentinel) ** 2) ** 0.5
    seen = (
        f"{sentinel.pool_size} connections: {first.throughput:.0f} calls/s at first, "
        f"{sentinel.throughput:.0f} at the end ({apart:+.1%})"
    )
    return check("drift", abs(apart) <= max(LEAST_DRIFT, noise), seen)


def _error(trial: Trial) -> float:
    """Standard error of a trial's throughput as a share of it."""
    alone = points((trial,))
    return relative_error(alone[0]) if alone else UNKNOWN_ERROR
