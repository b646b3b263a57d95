"""What becomes of one target: its child process, and one outcome however that ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolkit.errors import ExitCode, PoolkitError
from poolkit.events import Event, Failed, Recommended, Sized, Started, TrialDone, Watcher
from poolkit.measure.child import RESUMES, Order, command, measure_watched
from poolkit.measure.resume import counting, is_of_question, resumed
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import spent
from poolkit.probes import find
from poolkit.recommend import failed, parameters_of_trials, recommend, unreachable
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.review.provenance import rests_on
from poolkit.targets import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target: its entry of recommended.json, and the child's exit code."""

    recommendation: Recommendation
    exit_code: ExitCode


def measure_target(target: Target, order: Order, watcher: Watcher) -> Outcome:
    """Carry the order out in a child process; whatever happens to it ends in an outcome.

    Its parameters rest on a probe in the order's folder as well, where there is one.
    """
    latest, code = carry_out(target, order, watcher)
    started, sized, recommended, failure = (
        latest.get(kind) for kind in (Started, Sized, Recommended, Failed)
    )
    sizing = sized.sizing if isinstance(sized, Sized) else None
    if isinstance(recommended, Recommended):
        found = recommended.recommendation
    else:
        failure = failure if isinstance(failure, Failed) else None
        trials = _trials(order.out, target)
        has_begun = started is not None or code == ExitCode.CANCELLED
        found = _without_result(target, sizing, failure, code, trials, has_begun=has_begun)
    if isinstance(started, Started) and started.resumed is not None:
        found = found.model_copy(update={"resumed": started.resumed})
    return Outcome(_with_probe(found, target, sizing, order.out), code)


def carry_out(
    target: Target, order: Order, watcher: Watcher
) -> tuple[Mapping[type, Event], ExitCode]:
    """Carry the order out in a child process: its latest event of each kind, and its exit code.

    The watcher is told which trials were there already, and how old they are.
    """
    latest: dict[type, Event] = {}
    measured = 0

    def take(event: Event) -> None:
        nonlocal measured
        latest[type(event)] = event
        measured += isinstance(event, TrialDone)

    code = measure_watched(command(order), target, watcher, take)
    started = latest.get(Started)
    if isinstance(started, Started) and started.resumed is not None:
        said = rests_on(started.resumed, started.resumed.trials + measured, started.at)
        watcher.say(f"{target.name}: {said}" + "; --again measures anew" * (not measured))
    return latest, code


def left_out(target: Target, out: Path) -> Outcome:
    """The outcome of a target whose turn did not come."""
    trials = _trials(out, target)
    stopped = _stopped(target, None, trials, "cancelled before its turn", RESUMES)
    stopped = stopped.model_copy(update={"resumed": resumed(trials)})
    return Outcome(stopped, ExitCode.CANCELLED)


def _without_result(
    target: Target,
    sizing: Sizing | None,
    failure: Failed | None,
    code: ExitCode,
    trials: Sequence[Trial],
    *,
    has_begun: bool,
) -> Recommendation:
    """What is left to say where the child ended without a recommendation.

    `has_begun`: whether the target answered its first call, so that load could begin.
    """
    cause, remedy = "the measurement ended without a result", RESUMES
    if failure is not None:
        cause, remedy = failure.cause, failure.remedy
    if code == ExitCode.BAD_INPUT or (failure is not None and not has_begun):
        return unreachable(target, cause, remedy)
    if code == ExitCode.CANCELLED or (trials and trials[-1].stopped is not None):
        return _stopped(target, sizing, trials, cause, remedy)
    return failed(target, cause, remedy, trials, spent(trials))


def _with_probe(
    recommendation: Recommendation, target: Target, sizing: Sizing | None, out: Path
) -> Recommendation:
    """With what `poolkit probe` measured of the target, where it left that in the same folder.

    The child knows of no probe, so the parameters are decided anew from the trials that it wrote.
    """
    probe = find(out, target)
    if probe is None or sizing is None or not recommendation.parameters:
        return recommendation
    # As the child had them: a trial that a brake ended is measured again when it is resumed.
    trials = _trials(out, target)
    trials = counting(trials[:-1], target) + trials[-1:]
    chosen = parameters_of_trials(
        target,
        sizing,
        recommendation.recommended_size,
        recommendation.verification,
        trials,
        probe.findings(target.target_rate),
    )
    return recommendation.model_copy(update={"parameters": chosen})


def _stopped(
    target: Target, sizing: Sizing | None, trials: Sequence[Trial], cause: str, remedy: str
) -> Recommendation:
    seconds = spent(trials)
    return recommend(target, sizing, None, trials, "stopped", seconds, because=cause, remedy=remedy)


def trial_log(out: Path, target: Target) -> TrialLog:
    """The finished trials of a target in the folder `out`."""
    return TrialLog(out / f"{target.name}.trials.jsonl")


def _trials(out: Path, target: Target) -> list[Trial]:
    """The trials that help to answer what is asked; none of a file that is not readable.

    That it is not was reported before.
    """
    try:
        trials = trial_log(out, target).read()
        return [trial for trial in trials if is_of_question(trial, target)]
    except PoolkitError:
        return []


def exit_code_of(outcomes: Sequence[Outcome]) -> ExitCode:
    """One exit code for all targets: what was cut short first, then what was not found.

    Cancelled before stopped or broken down, before a rate out of reach, before targets that could
    not be reached, before sizes that are in doubt.
    """
    codes = {outcome.exit_code for outcome in outcomes}
    statuses = {outcome.recommendation.status for outcome in outcomes}
    if ExitCode.CANCELLED in codes:
        return ExitCode.CANCELLED
    if statuses & {"stopped", "failed"}:
        return ExitCode.STOPPED
    if ExitCode.OUT_OF_REACH in codes:
        return ExitCode.OUT_OF_REACH
    if "unreachable" in statuses:
        return ExitCode.STOPPED
    return ExitCode.FINDINGS if ExitCode.FINDINGS in codes else ExitCode.DONE
