"""What becomes of one target: its child process, and one outcome however that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from poolkit.errors import ExitCode, PoolkitError
from poolkit.events import Event, Failed, Recommended, Sized, Watcher
from poolkit.measure.child import RESUMES, Order, command, measure_watched
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import spent
from poolkit.probes import find
from poolkit.recommend import failed, recommend, unreachable, with_measured
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.targets import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target: its entry of recommended.json, and the child's exit code."""

    recommendation: Recommendation
    exit_code: ExitCode


def measure_target(target: Target, order: Order, watcher: Watcher) -> Outcome:
    """Carry the order out in a child process; whatever happens to it ends in an outcome.

    Parameters that a probe in the order's folder measured replace those that were chosen without.
    """
    seen = _Seen()
    code = measure_watched(command(order), target, watcher, seen.take)
    found = _recommendation(target, seen, code, trial_log(order.out, target))
    return Outcome(_with_probe(found, target, order.out), code)


def left_out(target: Target, out: Path) -> Outcome:
    """The outcome of a target whose turn did not come."""
    trials = _trials(trial_log(out, target))
    stopped = _stopped(target, None, trials, "cancelled before its turn", RESUMES)
    return Outcome(stopped, ExitCode.CANCELLED)


def _recommendation(target: Target, seen: _Seen, code: ExitCode, log: TrialLog) -> Recommendation:
    """What the child found, or what is left to say where it found nothing."""
    if seen.recommendation is not None:
        return seen.recommendation
    cause = "the measurement ended without a result" if seen.failed is None else seen.failed.cause
    remedy = RESUMES if seen.failed is None else seen.failed.remedy
    if code == ExitCode.BAD_INPUT:
        return unreachable(target, cause, remedy)
    trials = _trials(log)
    if code == ExitCode.CANCELLED or (trials and trials[-1].stopped is not None):
        return _stopped(target, seen.sizing, trials, cause, remedy)
    return failed(target, cause, remedy, trials, spent(trials))


def _with_probe(recommendation: Recommendation, target: Target, out: Path) -> Recommendation:
    """With what `poolkit probe` measured of the target, where it left that in the same folder."""
    probe = find(out, target)
    return (
        recommendation if probe is None else with_measured(recommendation, target, probe.parameters)
    )


def _stopped(
    target: Target, sizing: Sizing | None, trials: Sequence[Trial], cause: str, remedy: str
) -> Recommendation:
    return recommend(
        target,
        sizing,
        None,
        trials,
        "stopped",
        spent(trials),
        because=cause,
        remedy=remedy,
    )


def trial_log(out: Path, target: Target) -> TrialLog:
    """The finished trials of a target in the folder `out`."""
    return TrialLog(out / f"{target.name}.trials.jsonl")


def _trials(log: TrialLog) -> list[Trial]:
    """The finished trials; none where the file is not readable as such, which was told before."""
    try:
        return log.read()
    except PoolkitError:
        return []


def exit_code_of(outcomes: Sequence[Outcome]) -> ExitCode:
    """One exit code for all targets: what was cut short first, then what was not found.

    Cancelled before stopped or broken down, before a rate out of reach, before targets that could
    not be reached (2 when that is all of them: nothing was sent), before sizes that are in doubt.
    """
    codes = {outcome.exit_code for outcome in outcomes}
    statuses = [outcome.recommendation.status for outcome in outcomes]
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    if "stopped" in statuses or "failed" in statuses:
        return ExitCode.STOPPED
    if ExitCode.OUT_OF_REACH in codes:
        return ExitCode.OUT_OF_REACH
    if "unreachable" in statuses:
        everyone = all(status == "unreachable" for status in statuses)
        return ExitCode.BAD_INPUT if everyone else ExitCode.STOPPED
    return ExitCode.FINDINGS if ExitCode.FINDINGS in codes else ExitCode.DONE


class _Seen:
    """The events of one child that a recommendation is made from."""

    def __init__(self) -> None:
        self.recommendation: Recommendation | None = None
        self.sizing: Sizing | None = None
        self.failed: Failed | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Recommended):
            self.recommendation = event.recommendation
        elif isinstance(event, Sized):
            self.sizing = event.sizing
        elif isinstance(event, Failed):
            self.failed = event
