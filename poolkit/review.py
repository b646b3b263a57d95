"""From a targets file to a folder: every target measured, sized and verified, and one report.

What was measured is on disk before the report is made, so a report that fails loses nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolkit.compare import Comparison, compare
from poolkit.errors import BadInput, ExitCode, MissingExtra, PoolkitError
from poolkit.events import Event, Failed, Recommended, Sized
from poolkit.manifest import host_facts, is_same_machine, read_manifest, write_manifest
from poolkit.pools.registry import LIBRARIES
from poolkit.preflight import check_descriptors
from poolkit.recommend import failed, recommend, unreachable
from poolkit.records import Recommendation, RecommendedFile, Sizing, Trial
from poolkit.runner import RESUMES, Child, command, watch
from poolkit.store import (
    TrialLog,
    now,
    prepare_out,
    read_recommended,
    write_atomic,
    write_recommended,
)
from poolkit.targets import Target, load_targets
from poolkit.watcher import Watcher

SINCE = "since.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target: its entry of recommended.json, and the child's exit code."""

    recommendation: Recommendation
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class Review:
    """A finished review; `report` is None where none could be made."""

    out: Path
    outcomes: tuple[Outcome, ...]
    exit_code: ExitCode
    report: Path | None = None
    comparison: Comparison | None = None

    @property
    def recommendations(self) -> tuple[Recommendation, ...]:
        """One for each target, in the order of the file."""
        return tuple(outcome.recommendation for outcome in self.outcomes)


def review(
    targets_file: Path,
    out: Path,
    watcher: Watcher,
    *,
    only: Sequence[str] = (),
    since: Path | None = None,
    budget: float | None = None,
    seed: int | None = None,
    make_report: Callable[[Path], Path] | None = None,
) -> Review:
    """Measure every target of the file, one after the other, and write the whole folder `out`.

    Args:
        only: names to review; all when empty.
        since: folder of an earlier review to compare with.
        budget: s of load for each target; the default of `poolkit size` where None.
        make_report: makes the report of a folder of results and returns its path.

    Raises:
        BadInput: the request cannot be carried out; nothing was sent.
        BrakeStop: the results could not be written; the finished trials are kept.
    """
    targets = load_targets(targets_file, only)
    earlier = None if since is None else _earlier(since, out)
    check_before(targets, out)
    caution = "" if since is None else _caution(since)
    outcomes = _measure_all(targets, targets_file, out, watcher, budget, seed)
    recommendations = tuple(outcome.recommendation for outcome in outcomes)
    created = now()
    write_recommended(out, recommendations, tuple(targets.values()), created=created)
    comparison = None
    if earlier is not None:
        later = RecommendedFile(created=created, targets=recommendations)
        comparison = compare(earlier, later, caution)
        write_atomic(out / SINCE, comparison.model_dump_json(indent=2) + "\n")
    parameters = {
        "command": "review",
        "budget": budget,
        "seed": seed,
        "targets": {name: target.public_settings() for name, target in targets.items()},
    }
    write_manifest(out, parameters, created)
    code = exit_code_of(outcomes)
    report = None
    try:
        if make_report is not None:
            with watcher.doing("making the report"):
                report = _report(out, make_report)
            # Once more, now over the report too.
            write_manifest(out, parameters, created)
    except KeyboardInterrupt:
        watcher.fail("cancelled before the report was ready", "the results are written")
        report, code = None, ExitCode.CANCELLED
    except MissingExtra as error:
        watcher.say(f"no report was made: {error.cause}; {error.remedy}")
    except PoolkitError as error:
        watcher.fail(f"the report could not be made: {error.cause}", error.remedy)
        code = ExitCode.STOPPED if code == ExitCode.DONE else code
    return Review(out, outcomes, code, report, comparison)


def check_before(targets: dict[str, Target], out: Path) -> None:
    """Find everything that would stop a target's measurement before any of them is sent a call.

    Raises:
        BadInput: the folder, a library, a limit of this machine, or trials of other settings.
    """
    prepare_out(out)
    for target in targets.values():
        library = LIBRARIES.get(target.driver)
        if library is not None and importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "drivers")
        check_descriptors(target)
        _log(out, target).resume(target.fingerprint)


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


def measure_target(
    target: Target,
    targets_file: Path,
    out: Path,
    watcher: Watcher,
    *,
    budget: float | None = None,
    seed: int | None = None,
) -> Outcome:
    """Size one target in a child process; whatever happens to it ends in an outcome."""
    words = command("size", target.name, targets_file, out, budget=budget, seed=seed)
    seen = _Seen()

    def see(event: Event) -> None:
        seen.take(event)
        watcher.see(event)

    with watcher.measuring(target.name):
        child = Child(words, target=target.name, secrets=target.secrets)

        def look() -> None:
            if child.is_cancelled:
                watcher.cancelling()

        code = watch(child, see, look)
    if child.is_cancelled:
        code = ExitCode.CANCELLED
    return Outcome(_recommendation(target, seen, code, _log(out, target)), code)


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


def _measure_all(
    targets: dict[str, Target],
    targets_file: Path,
    out: Path,
    watcher: Watcher,
    budget: float | None,
    seed: int | None,
) -> tuple[Outcome, ...]:
    outcomes: list[Outcome] = []
    is_cancelled = False
    for target in targets.values():
        if not is_cancelled:
            try:
                outcome = measure_target(
                    target, targets_file, out, watcher, budget=budget, seed=seed
                )
            except KeyboardInterrupt:  # between two children
                outcome = _left_out(target, out)
        else:
            outcome = _left_out(target, out)
        is_cancelled = outcome.exit_code == ExitCode.CANCELLED
        outcomes.append(outcome)
    return tuple(outcomes)


def _left_out(target: Target, out: Path) -> Outcome:
    trials = _trials(_log(out, target))
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
    return failed(target, cause, remedy, trials, _seconds(trials))


def _stopped(
    target: Target, sizing: Sizing | None, trials: Sequence[Trial], cause: str, remedy: str
) -> Recommendation:
    return recommend(
        target,
        sizing,
        None,
        trials,
        "stopped",
        _seconds(trials),
        because=cause,
        remedy=remedy,
    )


def _log(out: Path, target: Target) -> TrialLog:
    return TrialLog(out / f"{target.name}.trials.jsonl")


def _trials(log: TrialLog) -> list[Trial]:
    """The finished trials; none where the file is not readable as such, which was told before."""
    try:
        return log.read()
    except PoolkitError:
        return []


def _seconds(trials: Sequence[Trial]) -> float:
    return sum(trial.warm_up + trial.window for trial in trials)


def _earlier(since: Path, out: Path) -> RecommendedFile:
    if since.resolve() == out.resolve():
        raise BadInput(
            "--since and --out are the same folder", "choose another --out, so that both are kept"
        )
    return read_recommended(since)


def _caution(since: Path) -> str:
    """Why the figures of the earlier review may not be comparable with those of this machine."""
    try:
        host = read_manifest(since).host
    except PoolkitError:
        return "the earlier review has no manifest, so it may have run on another machine"
    if is_same_machine(host, host_facts()):
        return ""
    return "the earlier review ran on another kind of machine: differences may be the machine's"


def _report(out: Path, make_report: Callable[[Path], Path]) -> Path:
    """The report; a PoolkitError for whatever a notebook can raise, since the results stand."""
    try:
        return make_report(out)
    except PoolkitError:
        raise
    except ImportError as error:
        raise MissingExtra(error.name or "a library", "workbook") from error
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
        # A failed notebook ends with what its cell raised.
        said = f": {lines[-1]}" if lines else ""
        raise PoolkitError(
            f"{type(error).__name__}{said}",
            "recommended.md holds the results; the same command makes the report again",
        ) from error
