"""Puts together what poolkit says of one target, whatever became of its measurement."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.cold import advise
from poolkit.analysis.disturbed import is_quiet
from poolkit.analysis.replicas import change_checks, changes_of
from poolkit.analysis.rules_of_thumb import beside
from poolkit.analysis.two_tiers import two_tiers
from poolkit.drivers import parameters as of_driver
from poolkit.drivers.parameters.basis import Basis, Verified
from poolkit.drivers.parameters.findings import Findings
from poolkit.recommend.checks import (
    cut_off,
    decisive,
    effect_of_gate,
    finished,
    headroom_left,
    of_result,
    over_trials,
    remedy_of_machine,
)
from poolkit.records import (
    Check,
    CurvePoint,
    HoldTimes,
    Parameter,
    PredictedWait,
    Recommendation,
    Sizing,
    Status,
    Trial,
    Verification,
)
from poolkit.targets import Target


def parameters(
    target: Target,
    sizing: Sizing,
    trial: Trial | None,
    *,
    size: int | None = None,
    crowd: str | None = None,
    verified: Verified | None = None,
    probe: Findings | None = None,
) -> tuple[Parameter, ...]:
    """The parameters of the target's library, each with its reason; none where there is no size.

    Args:
        trial: the verification trial at the target rate, or the nearest there is to it.
        size: connections of one pool, where verification moved it away from `sizing.size`.
        crowd: what the gate was seen to do with more callers than connections.
        verified: what verification saw at this size; None: it did not run, or not to its end.
        probe: what `poolkit probe` found of the target; None: nothing.
    """
    size = sizing.size if size is None else size
    if size is None:
        return ()
    return of_driver.parameters(Basis(target, sizing, size, trial, crowd, verified), probe)


def parameters_of_trials(
    target: Target,
    sizing: Sizing,
    size: int | None,
    verification: Verification | None,
    trials: Sequence[Trial],
    probe: Findings | None = None,
) -> tuple[Parameter, ...]:
    """The parameters at a size, from all trials of the target and from a probe of it."""
    if size is None:
        return ()
    at_target = tuple(verifying(trials, size))
    nearest = nearest_trial(trials, size)
    of_library = parameters(
        target,
        sizing,
        nearest,
        size=size,
        crowd=effect_of_gate(trials, size),
        verified=None if verification is None else Verified(verification, at_target),
        probe=probe,
    )
    advice = advise(trials, size, target.pools)
    if advice is not None:
        of_library = of_driver.with_start(target, of_library, advice)
    return of_library + (of_pooler(target, size, nearest) if nearest in at_target else ())


def of_pooler(target: Target, size: int, trial: Trial | None) -> tuple[Parameter, ...]:
    """The settings of the pooler that was looked at while the size ran at the target rate."""
    found = None if trial is None else two_tiers(trial, target, size)
    if found is None:
        return ()
    because = "; ".join(filter(None, (found.because, found.misfit)))
    figures = (
        ("default_pool_size", found.servers, because),
        ("max_client_conn", found.clients, found.clients_because),
    )
    return tuple(
        Parameter(
            name=f"PgBouncer {name}",
            value=value,
            unit="connections",
            because=why,
            source="measured",
        )
        for name, value, why in figures
    )


def recommend(
    target: Target,
    sizing: Sizing | None,
    verification: Verification | None,
    trials: Sequence[Trial],
    status: Status,
    seconds: float,
    *,
    size: int | None = None,
    because: str = "",
    remedy: str = "",
    probe: Findings | None = None,
) -> Recommendation:
    """What poolkit says of a target that was measured.

    Args:
        sizing: None where the measurement ended before the curve could be read.
        seconds: s of load that were spent.
        size: connections of one pool, where verification moved it away from `sizing.size`.
        because, remedy: what ended a `stopped` measurement, and what to do.
        probe: what `poolkit probe` found of the target; None: nothing.
    """
    if size is None and sizing is not None:
        size = sizing.size
    checks = over_trials(trials, decisive(trials, size, verification))
    again = remedy_of_machine(checks, size)
    if status != "done":
        brake = next((trial.stopped for trial in reversed(trials) if trial.stopped), None)
        cause = because or (f"stopped by the {brake} brake" if brake else "ended early")
        remedy = remedy or "run the same command again: it resumes"
        ended = finished(cause, remedy, sent=bool(trials))
        checks = (*cut_off(checks, remedy), ended)
        again = remedy
    if sizing is None:
        result = _result(target, status, checks, trials, seconds)
        return result.model_copy(update={"verdict": "stopped"}) if status == "stopped" else result
    borne = () if size is None else change_checks(trials, size)
    checks = of_result(target, sizing, size, verification, again) + borne + checks
    return _result(target, status, checks, trials, seconds).model_copy(
        update={
            "verdict": sizing.verdict.name,
            "bound_by": sizing.verdict.by,
            "recommended_size": size,
            "smallest_as_fast": smaller(sizing, size),
            "limited_by": sizing.limited_by,
            "headroom": headroom_left(sizing, size),
            "reachable_rate": sizing.reachable_rate,
            "size_for_reachable": sizing.size_for_reachable,
            "limits": sizing.limits,
            "knees": sizing.knees,
            "plateau": sizing.plateau,
            "hold_time": HoldTimes(
                at_one=sizing.hold_at_one, at_recommended=_hold_at(sizing, size, trials)
            ),
            "parameters": parameters_of_trials(target, sizing, size, verification, trials, probe),
            "rules_of_thumb": beside(sizing.rules_of_thumb, sizing.size, size),
            "verification": verification,
            "cold": None if size is None else advise(trials, size, target.pools),
            "replica_changes": () if size is None else changes_of(trials, size),
        }
    )


def smaller(sizing: Sizing, size: int | None) -> int | None:
    """The smallest size with which callers are served as soon; None where it is not smaller."""
    few = sizing.smallest_as_fast
    return few if few is not None and size is not None and few < size else None


def unreachable(target: Target, cause: str, remedy: str) -> Recommendation:
    """What is left to say of a target whose first call failed: why, and what to do."""
    return _result(target, "unreachable", (finished(cause, remedy, sent=False),))


def failed(
    target: Target, cause: str, remedy: str, trials: Sequence[Trial] = (), seconds: float = 0.0
) -> Recommendation:
    """What is left to say of a target whose measurement broke down after `seconds` of load."""
    ended = finished(cause, remedy, sent=bool(trials))
    checks = (ended, *cut_off(over_trials(trials), remedy))
    return _result(target, "failed", checks, trials, seconds)


def _result(
    target: Target,
    status: Status,
    checks: tuple[Check, ...],
    trials: Sequence[Trial] = (),
    seconds: float = 0.0,
) -> Recommendation:
    """What is known of every target, whatever became of it."""
    return Recommendation(
        target=target.name,
        driver=target.driver,
        status=status,
        target_rate=target.target_rate,
        target_rate_from=target.rate_from,
        wait_p99=target.wait_p99,
        response_p99=target.response_p99,
        push=target.push,
        checks=checks,
        trials=len(trials),
        seconds=seconds,
    )


def verifying(trials: Sequence[Trial], size: int) -> list[Trial]:
    """The trials that verified this size at the target rate, in order."""
    return [trial for trial in trials if trial.purpose == "verify" and trial.pool_size == size]


def nearest_trial(trials: Sequence[Trial], size: int) -> Trial | None:
    """The trial closest to the recommended operation.

    The latest that verified this size at the target rate, while the machine was quiet where there
    is such a one; else the usable one of the curve that is nearest in size, the larger of two.
    """
    at_target = verifying(trials, size)
    if at_target:
        return next((trial for trial in reversed(at_target) if is_quiet(trial)), at_target[-1])
    usable = [trial for trial in trials if trial.is_of_curve and trial.is_usable]
    return min(usable, key=lambda t: (abs(t.pool_size - size), -t.pool_size), default=None)


def _hold_at(sizing: Sizing, size: int | None, trials: Sequence[Trial]) -> float | None:
    """The mean hold time (s) at the recommended size: measured, else predicted."""
    if size is None:
        return None
    trial = nearest_trial(trials, size)
    if trial is not None and trial.pool_size == size and trial.hold_time.mean is not None:
        return trial.hold_time.mean
    known: list[PredictedWait | CurvePoint] = [*sizing.predictions, *sizing.points]
    return next((one.hold_time for one in known if one.pool_size == size), None)
