"""Which trials something disturbed that did not last: what to measure again, and what to leave out.

One trial cannot tell a disturbance from an upstream that is like that: on a lab run the endpoint's
own work is CPU that others take. Against the other sizes it shows. More connections never bring
fewer calls and then more again, each call never takes longer with few than with many, and the CPU
that others take for a call changes slowly with the size. A size that contradicts this is measured
again. Where a second trial shows the contradiction too, it is the endpoint's own and both are
kept; where it does not, the first is marked: it fails `machine_quiet`, is shown, and is not fitted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.analysis.curve import UNKNOWN_ERROR, is_clean, points, relative_error
from poolkit.records import Check, CurvePoint, Trial

QUIET = "machine_quiet"
MOST_AGAIN = 2  # trials of one size on top of the first
LASTING = 4  # disturbed trials of a sweep from which on measuring again is no use
LOW, LOW_ERRORS = 0.08, 2.5  # below what the other sizes imply, as a share and in standard errors
LOW_AT_END = 0.15  # the share at the largest size, where throughput may fall by itself
APART, APART_ERRORS = 0.05, 3.0  # trials of one size that disagree
# Others' CPU above that at the next sizes on either side: of all cores' time, and for a call.
MORE_CPU, MORE_CPU_A_CALL = 0.15, 1.3
MOST_DISTURBED = 0.2  # share of the sweep's trials; with more of them its budget went to repeats
AGAIN_WHEN_QUIET = "run again when this machine is quiet"


@dataclass(frozen=True, slots=True)
class Again:
    """A size to measure again, and why."""

    pool_size: int
    because: str


def to_repeat(trials: Sequence[Trial]) -> Again | None:
    """The size that a disturbed trial spoilt and that is worth another; None: there is none.

    A size is tried `MOST_AGAIN` times more at most. Nothing is tried again for a check of its own
    once `LASTING` trials failed it, or one size as often as it may: the machine does not get
    quieter. Nor for what the other sizes say once two sizes have stood by it.
    """
    curve = [trial for trial in trials if trial.is_of_curve and trial.purpose != "sentinel"]
    return _failed_by_itself(curve) or _contradicted(curve)


def _failed_by_itself(curve: Sequence[Trial]) -> Again | None:
    tried = Counter(trial.pool_size for trial in curve)
    usable = {trial.pool_size for trial in curve if trial.is_usable}
    failed = [t for t in curve if t.pool_size not in usable and not is_quiet(t)]
    if len(failed) >= LASTING or any(tried[t.pool_size] > MOST_AGAIN for t in failed):
        return None
    for trial in failed:
        check = _quiet_check(trial)
        assert check is not None, "just asked"
        return Again(trial.pool_size, f"again: the machine was not quiet ({check.seen})")
    return None


def is_quiet(trial: Trial) -> bool:
    """Whether nothing was seen to disturb the trial."""
    return _quiet_check(trial) is None


def was_disturbed(trials: Sequence[Trial]) -> bool:
    """Whether too much of a sweep was spoilt for what it left open to be a matter of its budget."""
    curve = [trial for trial in trials if trial.is_of_curve]
    return sum(not is_quiet(trial) for trial in curve) > MOST_DISTURBED * len(curve)


def _quiet_check(trial: Trial) -> Check | None:
    """That check, where it failed."""
    return next((check for check in trial.failed_checks if check.name == QUIET), None)


def _contradicted(curve: Sequence[Trial]) -> Again | None:
    stood_by = 0
    # Whether throughput falls at the largest size is the ramp's question.
    for size in sorted({trial.connections for trial in curve})[:-1]:
        judged = _judged(curve, size)
        if not judged or not all(why for _, why in judged):
            continue
        alike = len(judged) > 1 and not any(
            _disagree(one, other) for one, _ in judged for other, _ in judged
        )
        if alike or len(judged) > MOST_AGAIN:
            stood_by += 1
        elif stood_by < 2:
            trial, why = judged[-1]
            return Again(trial.pool_size, f"again: {why}")
    return None


def settled(trials: Iterable[Trial]) -> list[Trial]:
    """The trials in their order, marked as `marked` does after each of them.

    So what a file says of its trials is what was said of them while they were measured.
    """
    found: list[Trial] = []
    for trial in trials:
        found = marked([*found, trial])
    return found


def marked(trials: Sequence[Trial]) -> list[Trial]:
    """The trials, those marked that another of their size shows to have been disturbed.

    A trial that contradicts the other sizes is left out where one of its own size, measured before
    it or after it, does not contradict them and brought clearly more.
    """
    found = list(trials)
    tried = Counter(trial.connections for trial in found if is_clean(trial))
    for size in sorted(size for size, count in tried.items() if count > 1):
        judged = _judged(found, size)
        for trial, why in judged:
            better = [
                other
                for other, doubt in judged
                if not doubt and other.throughput > trial.throughput and _disagree(trial, other)
            ]
            if why and better:
                seen = f"{why}; {units.rate(better[-1].throughput)} in another trial of this size"
                found[found.index(trial)] = _left_out(trial, seen)
    return found


def _left_out(trial: Trial, seen: str) -> Trial:
    check = Check(
        name=QUIET,
        passed=False,
        seen=seen,
        why="what another trial of the same size does not show is no property of that size: "
        "something else took the time, here or at the endpoint",
        next="nothing where it is rare, the other trial stands for this size; else measure when "
        "machine and endpoint are quiet",
    )
    others = (one for one in trial.checks if one.name != QUIET)
    return trial.model_copy(update={"checks": (*others, check)})


def _judged(trials: Sequence[Trial], size: int) -> list[tuple[Trial, str]]:
    """The clean trials of a size, each with what speaks against it; empty: nothing does."""
    clean = [trial for trial in trials if is_clean(trial)]
    around = [trial for trial in clean if trial.connections != size]
    curve = points(around)
    return [
        (trial, _low(trial, curve) or _costly(trial, around))
        for trial in clean
        if trial.connections == size
    ]


def _low(trial: Trial, around: Sequence[CurvePoint]) -> str:
    """That a trial is clearly below what the other sizes imply; empty where it is not."""
    size = trial.connections
    before = [point for point in around if point.pool_size < size]
    after = [point for point in around if point.pool_size > size]
    share = LOW if after else LOW_AT_END
    expected: list[tuple[float, float, str]] = []  # calls/s, its relative error, in words
    if before:
        best = max(before, key=lambda point: point.throughput)
        least, words, error = best.throughput, _point(best), relative_error(best)
        if after:
            later = max(after, key=lambda point: point.throughput)
            least, words = min(least, later.throughput), f"between {words} and {_point(later)}"
            error = max(error, relative_error(later))
        else:
            words = f"after {words}"
        expected.append((least, error, words))
    for point in after:
        # A call takes no longer with fewer calls beside it: n / X(n) does not fall.
        least = point.throughput * size / point.pool_size
        expected.append((least, relative_error(point), f"before {_point(point)}"))
    for least, around_error, words in sorted(expected, reverse=True):
        error = math.hypot(around_error, _error(trial))
        if trial.throughput < (1.0 - max(share, LOW_ERRORS * error)) * least:
            return f"{units.rate(trial.throughput)} {words}"
    return ""


def _costly(trial: Trial, around: Sequence[Trial]) -> str:
    """That others took far more CPU for a call than at the next sizes on either side; else empty.

    What the endpoint itself takes on this machine grows with its calls, and where a call costs more
    the more of them there are, it does so on one side only.
    """
    known = [t for t in around if t.others_cpu is not None]
    before = [t.connections for t in known if t.connections < trial.connections]
    after = [t.connections for t in known if t.connections > trial.connections]
    if trial.others_cpu is None or not before or not after:
        return ""
    beside = [t for t in known if t.connections in (max(before), min(after))]
    most = max(t.others_cpu or 0.0 for t in beside)
    a_call = max((t.others_cpu or 0.0) / t.throughput for t in beside)
    is_costly = trial.others_cpu / trial.throughput > MORE_CPU_A_CALL * a_call
    if not is_costly or trial.others_cpu <= most + MORE_CPU:
        return ""
    return (
        f"{units.rate(trial.throughput)} while others took {trial.others_cpu:.0%} of the cores' "
        f"time, {most:.0%} at most at {max(before)} and {min(after)}"
    )


def _disagree(one: Trial, other: Trial) -> bool:
    """Whether two trials of one size are further apart than noise."""
    apart = abs(one.throughput - other.throughput) / max(one.throughput, other.throughput)
    return apart > max(APART, APART_ERRORS * math.hypot(_error(one), _error(other)))


def _error(trial: Trial) -> float:
    """Standard error of a clean trial's throughput as a share of it."""
    alone = points((trial,))
    return relative_error(alone[0]) if alone else UNKNOWN_ERROR


def _point(point: CurvePoint) -> str:
    return f"{units.rate(point.throughput)} at {point.pool_size}"
