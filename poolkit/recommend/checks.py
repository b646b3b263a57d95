"""The doubts about a whole result: one row a check, over all trials and over the result itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from poolkit import units
from poolkit.analysis.disturbed import AGAIN_WHEN_QUIET, QUIET
from poolkit.records import Check, LimitedBy, Sizing, Trial, Verification
from poolkit.targets import Target

# A trial that fails is not fitted; when more than this share fails, too little is left to trust.
FAILING_SHARE = 0.2
# Those that speak of the machine which sends the load. A sign that was missed while one of them
# failed says nothing of the size, however well the other trials went.
OF_THE_MACHINE = ("lag", QUIET)
IN_SERVICE = ("verify", "overload", "recovery")  # purposes of the trials that verify a size
_RUN_AGAIN = f"{AGAIN_WHEN_QUIET}; another size is no remedy"

# What makes one trial worse than another in a check's own terms; elsewhere a failed one is.
_SEVERITY: Mapping[str, Callable[[Trial], float | None]] = {
    "client_bound": lambda trial: trial.cpu_share,
    "machine_quiet": lambda trial: trial.others_cpu,
    "lag": lambda trial: trial.lag.p99,
    "fair": lambda trial: trial.longest_wait_ratio,
    "shares": lambda trial: max(
        (abs(one.sent / one.planned - 1.0) for one in trial.generators if one.planned),
        default=None,
    ),
}

_AGAIN = "run again with a larger budget, or when the endpoint is quiet"
_REMEDIES: Mapping[str, str] = {
    "server_bound": "make the upstream faster or add to it; more connections cannot",
    "client_bound": "spread the callers over more processes: raise workers or replicas",
    "pooler_bound": "raise the pooler's limit on connections to the server (PgBouncer: "
    "default_pool_size), as far as max_connections has room",
    "pool_bound": "raise max_size: throughput still rose at the largest size that it allows",
    "rate_limited": "ask for a higher quota upstream, or lower target_rate",
    "refused": "raise the server's own limit on connections, or lower target_rate",
    "not_pushed": "allow load beyond the target rate: push = true",
    "stopped": "see what the brake saw, then run the same command again: it resumes",
}

# What one connection less would break, after "limited by"; the first word is the name in the file.
_LIMITS: Mapping[LimitedBy, str] = {
    "wait": "wait: fewer connections would make too many calls wait",
    "response": "response: fewer connections would make too many calls late in all",
    "plateau": "plateau: the upstream carries no more",
    "cap": "cap: no more connections are allowed",
    "floor": "floor: with fewer, tasks that hold several connections could lock each other out",
    "unknown": "unknown",
}

_IN_SESSION_MODE = (
    "the pooler lends whole sessions, so calls on connections beyond its own (PgBouncer: "
    "default_pool_size) never end: set max_size to no more than those, or pool_mode = transaction"
)

# Why each check of a result is made.
_WHY = {
    "sized": "a size is only given where the measured curve supports one",
    "reachable": "no pool size helps beyond what the upstream can do",
    "verified": "the size comes from a model of the curve; only load at the target rate proves it",
    "serves_sooner": "connections beyond those that serve callers as soon are needed only where "
    "the wait itself matters",
}


def over_trials(trials: Sequence[Trial], decisive: Sequence[Trial] = ()) -> tuple[Check, ...]:
    """Each check of the trials in one row: how many passed (or failed), and the worst that it saw.

    It passes while at most one trial in five fails; those that do are left out of the fit anyway.

    Args:
        decisive: those of the trials that the verification rests on, which are left out of nothing:
            on them a check of the machine must pass.
    """
    found: dict[str, list[tuple[Trial, Check]]] = {}
    for trial in trials:
        for check in () if is_without_gate(trial) else trial.checks:
            found.setdefault(check.name, []).append((trial, check))
    return tuple(_folded(name, seen, decisive) for name, seen in found.items())


def decisive(
    trials: Sequence[Trial], size: int | None, verification: Verification | None
) -> list[Trial]:
    """The open-loop trials at the size, where its verification missed a sign."""
    if size is None or verification is None or not verification.missing_signals:
        return []
    return [t for t in trials if t.pool_size == size and t.purpose in IN_SERVICE]


def remedy_of_machine(checks: Sequence[Check], size: int | None) -> str:
    """What to do where this machine left the size open, or not verified; empty: it did neither."""
    if size is None:
        disturbed = any(check.name == QUIET and not check.passed for check in checks)
        return AGAIN_WHEN_QUIET if disturbed else ""
    return _RUN_AGAIN if any(check.next == _RUN_AGAIN for check in checks) else ""


def of_result(
    target: Target,
    sizing: Sizing,
    size: int | None,
    verification: Verification | None,
    again: str = "",
) -> tuple[Check, ...]:
    """The checks of the result itself.

    Args:
        again: what to do where the measurement ended early, or this machine was busy, so that
            the size is open or not verified. Empty: neither.
    """
    checks = [_sized(target, sizing, size, again)]
    if sizing.out_of_reach or size is not None:
        checks.append(_reachable(target, sizing))
    if size is not None:
        checks.append(_verified(target, verification, again or _AGAIN))
    few = sizing.smallest_as_fast
    if size is not None and sizing.only_moves_queue and few is not None and few < size:
        remedy = (
            f"if the wait itself is of no matter, take {few}: leave wait_p99 out of targets.toml, "
            "or ask for a response_p99 in its place"
        )
        seen = sizing.only_moves_queue
        if sizing.size != size:
            seen += f" (verification moved {sizing.size} to {size})"
        checks.append(_check("serves_sooner", False, seen, remedy))
    return tuple(checks)


def cut_off(checks: Sequence[Check], remedy: str) -> tuple[Check, ...]:
    """The checks of a measurement that ended early: a larger budget is no remedy for that."""
    return tuple(
        check.model_copy(update={"next": remedy})
        if check.name == "enough" and not check.passed
        else check
        for check in checks
    )


def finished(cause: str, remedy: str, *, sent: bool) -> Check:
    """The row that says why there is no full result."""
    why = "no load was sent, so nothing is known about this target"
    if sent:
        why = "what was measured before is kept, but the curve is not whole"
    return Check(name="finished", passed=False, seen=cause, why=why, next=remedy)


def headroom_left(sizing: Sizing, size: int | None) -> int:
    """Connections of the size that only the headroom asks for.

    A size that verification had to raise is needed as a whole: those below it did not pass.
    """
    if size is None or sizing.size is None or size > sizing.size:
        return 0
    return max(0, sizing.headroom - (sizing.size - size))


def _check(name: str, passed: bool, seen: str, remedy: str) -> Check:
    then = "nothing" if passed else remedy
    return Check(name=name, passed=passed, seen=seen, why=_WHY[name], next=then)


def _folded(name: str, seen: Sequence[tuple[Trial, Check]], decisive: Sequence[Trial]) -> Check:
    measure = _SEVERITY.get(name)

    def decides(row: tuple[Trial, Check]) -> bool:
        trial, check = row
        return not check.passed and name in OF_THE_MACHINE and any(trial is d for d in decisive)

    def badness(row: tuple[Trial, Check]) -> tuple[bool, bool, float, int]:
        trial, check = row
        severity = 0.0 if measure is None else measure(trial) or 0.0
        return (decides(row), not check.passed, severity, trial.pool_size)

    trial, worst = max(seen, key=badness)
    word = "worst" if measure is not None or not worst.passed else "at the largest"
    failures = sum(not check.passed for _, check in seen)
    passed = failures <= FAILING_SHARE * len(seen)
    if any(map(decides, seen)):
        passed = False
        worst = worst.model_copy(update={"next": _RUN_AGAIN})
    if name == "littles_law" and not passed and trial.pooler == "session":
        # Calls that wait in the pooler for the end of a session are in the system, and never done.
        worst = worst.model_copy(update={"next": _IN_SESSION_MODE})
    # Beside the word "failed" a bare "3 of 4" would read as three that failed.
    count = f"{len(seen) - failures} of" if passed else f"failed in {failures} of"
    where = f"{worst.seen} at {units.plural(trial.pool_size, 'connection')}"
    text = f"{count} {units.plural(len(seen), 'trial')}; {word}: {where}"
    return worst.model_copy(update={"passed": passed, "seen": text})


def _remedy(target: Target, sizing: Sizing) -> str:
    """What helps against what the verdict says."""
    largest = sizing.points[-1].pool_size if sizing.points else 0
    if sizing.verdict.name == "pool_bound" and largest < target.cap:
        sizes = units.plural(target.cap, "connection")
        return f"give it a larger budget: the last one ended the ramp at {largest} of {sizes}"
    if sizing.verdict.name == "server_bound" and sizing.limited_by == "unknown":
        return _AGAIN  # nothing could be told, least of all that the upstream is too slow
    return _REMEDIES[sizing.verdict.name]


def _sized(target: Target, sizing: Sizing, size: int | None, again: str) -> Check:
    if size is None:
        # What was seen to be in the way stays so; what was not seen is a matter of another run.
        remedy = again if sizing.limited_by == "unknown" else ""
        return _check("sized", False, sizing.because, remedy or _remedy(target, sizing))
    limit = _LIMITS[sizing.limited_by]
    if target.asks_as_soon and sizing.limited_by == "response":
        limit = "response: with fewer connections callers would be served later"
    seen = f"{units.plural(size, 'connection')}, limited by {limit}"
    headroom = headroom_left(sizing, size)
    if headroom:
        seen += f"; {headroom} of them are the headroom asked for"
    return _check("sized", True, seen, "")


def _reachable(target: Target, sizing: Sizing) -> Check:
    seen = units.rate(target.target_rate)
    if target.growth != 1:
        seen += f" (times {units.number(target.growth)} for growth)"
    seen += " asked"
    if not sizing.out_of_reach:
        if sizing.plateau is not None:
            seen += f", the plateau is at {units.rate(sizing.plateau.throughput)}"
        return _check("reachable", True, seen, "")
    if sizing.reachable_rate is None:
        seen += "; no rate that meets the objective was found"
    else:
        seen += f"; {units.rate(sizing.reachable_rate)} is the most that meets the objective"
    remedy = _remedy(target, sizing)
    if sizing.limited_by == "cap":
        remedy = f"raise max_size (now {target.max_size}), or lower target_rate"
    if sizing.raised_by:
        remedy = f"what raises it: {sizing.raised_by}"
    check = _check("reachable", False, seen, remedy)
    return check.model_copy(update={"why": sizing.verdict.evidence or check.why})


def _verified(target: Target, verification: Verification | None, remedy: str) -> Check:
    if verification is None:
        seen = "the recommended size did not run at the target rate"
        return _check("verified", False, seen, remedy)
    missing = verification.missing_signals
    seen = (
        f"{units.rate(verification.achieved_rate)} of {units.rate(target.target_rate)}, "
        f"p99 wait {units.milliseconds(verification.wait_p99)}"
    )
    if missing:
        seen += "; but " + "; ".join(signal.seen for signal in missing)
    return _check("verified", not missing and bool(verification.signals), seen, remedy)


def effect_of_gate(trials: Sequence[Trial], size: int) -> str | None:
    """The longest waits of the crowded trials at this size, in one clause; None: not tried."""
    crowded = [t for t in reversed(trials) if t.purpose == "fairness" and t.pool_size == size]
    without = next((trial for trial in crowded if trial.gate is None), None)
    gated = next((trial for trial in crowded if trial.gate is not None), None)
    if without is None or gated is None:
        return None
    callers = units.plural(without.callers or 0, "caller")
    return f"{callers} at once: {_wait(without)} without the gate, {_wait(gated)} with it"


def is_without_gate(trial: Trial) -> bool:
    """Whether the trial left the gate out to show what happens: no doubt of the result."""
    return trial.purpose == "fairness" and trial.gate is None


def _wait(trial: Trial) -> str:
    starved = any(check.name == "fair" for check in trial.failed_checks)
    longest = units.milliseconds(trial.wait_time.longest)
    return f"longest wait {longest}{' (callers starve)' if starved else ''}"
