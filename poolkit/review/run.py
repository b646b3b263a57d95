"""From a targets file to a folder: every target measured, sized and verified, and one report.

What was measured is on disk before the report is made, so a report that fails loses nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poolkit import probes, units
from poolkit.analysis.outlook import Outlook
from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.drivers.registry import check_driver
from poolkit.errors import BadInput, ExitCode, MissingExtra, PoolkitError
from poolkit.events import Watcher
from poolkit.measure.child import Order
from poolkit.measure.preflight import check_caps, check_descriptors
from poolkit.measure.store import now, prepare_out, write_atomic
from poolkit.records import Recommendation, RecommendedFile, Sizing
from poolkit.review.adding import Added, add_results, read_entries, renew_manifest
from poolkit.review.before import GO_ON, check_trials, other_load, records_of, set_aside
from poolkit.review.compare import Comparison, compare
from poolkit.review.demand import read_demands
from poolkit.review.export import RECOMMENDED, read_recommended, read_sizings
from poolkit.review.history import HISTORY_FILE, read_history
from poolkit.review.kept import check_store, keep, place, records
from poolkit.review.manifest import (
    host_facts,
    is_same_machine,
    read_manifest,
)
from poolkit.review.outcome import Outcome, exit_code_of, left_out, measure_target
from poolkit.targets import Target, load_targets

SINCE = "since.json"


@dataclass(frozen=True, slots=True)
class Review:
    """A finished review; `report` is None where none could be made."""

    out: Path
    outcomes: tuple[Outcome, ...]
    exit_code: ExitCode
    report: Path | None = None
    comparison: Comparison | None = None
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)  # where demand was given

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
    push: bool = True,
    cold: bool = False,
    fleet: int | None = None,
    scheduler: str | None = None,
    again: bool = False,
    history: Path | None = None,
    demand: Sequence[str] = (),
    make_report: Callable[[Path], Path] | None = None,
) -> Review:
    """Measure every target of the file, one after the other, and write the whole folder `out`.

    Results of other targets in the folder stay. What `poolkit probe` left there about a target
    stands in its parameters and in pools.py.

    Args:
        only: names to review; all when empty.
        since: folder of an earlier review to compare with; where None, what is compared with are
            the latest of the folder's own records, or else of those in `history`.
        budget: s of load for each target; the default of `poolkit size` where None.
        again: whether to measure anew what the folder holds; that is kept as a record in it.
        demand: demand so far, as `read_demands` takes it, from which a report tells when the size
            runs out; it needs `history`.
        history: where to keep the review as a record, beside those of before; None: nowhere.
        push: False: no target is sent more load than its target rate; True: what the file says.
        cold: whether starts with empty pools are tried at each verified size.
        fleet, scheduler: how many generators send the load, and the Dask scheduler whose workers
            they run on; what the file says where None.
        make_report: makes the report of a folder of results and returns its path.

    Raises:
        BadInput: the request cannot be carried out; nothing was sent.
        BrakeStop: the results could not be written; the finished trials are kept.
    """
    read = load_targets(targets_file, only)
    orders = {
        name: Order(
            "size",
            name,
            targets_file,
            out,
            budget=budget,
            seed=seed,
            push=push,
            cold=cold,
            fleet=fleet,
            scheduler=scheduler,
        )
        for name in read
    }
    for order in orders.values():
        order.generators()  # what is wrong with them is told before anything is sent
    targets = {name: orders[name].asked_of(target) for name, target in read.items()}
    demands = read_demands(demand, list(targets), targets_file, watcher.say)
    earlier = None if since is None else _Earlier.read(since, out, targets, only)
    read_entries(out)  # whatever cannot be kept is told before anything is sent
    if history is not None:
        check_store(history)
    prepare(targets, out, watcher, again=again)
    outcomes: list[Outcome] = []
    for target in targets.values():
        outcome = None
        if not outcomes or outcomes[-1].exit_code != ExitCode.CANCELLED:
            with contextlib.suppress(KeyboardInterrupt):  # between two children
                outcome = measure_target(target, orders[target.name], watcher)
        outcomes.append(outcome or left_out(target, out))
    recommendations = tuple(outcome.recommendation for outcome in outcomes)
    created = now()
    added = add_results(
        out,
        recommendations,
        targets,
        command="review",
        budget=budget,
        seed=seed,
        created=created,
    )
    say_kept(added, watcher)
    later = RecommendedFile(created=created, targets=recommendations)
    former, outlooks = ([], {}) if history is None else _kept(out, later, history, demands, watcher)
    comparison = (
        with_records(out, later, targets, former)
        if earlier is None
        else earlier.compared(later, out)
    )
    if comparison is not None:
        write_atomic(out / SINCE, comparison.model_dump_json(indent=2) + "\n")
    if comparison is not None or former or demands:
        renew_manifest(out, created)
    report, code = with_report(out, created, exit_code_of(outcomes), watcher, make_report)
    if again and code in (ExitCode.CANCELLED, ExitCode.STOPPED):
        watcher.say(GO_ON)
    return Review(out, tuple(outcomes), code, report, comparison, outlooks)


def _kept(
    out: Path,
    later: RecommendedFile,
    store: Path,
    demands: Mapping[str, WeeklyPeaks],
    watcher: Watcher,
) -> tuple[list[Path], dict[str, Outlook]]:
    """Keep the review and write what all records tell of its targets.

    Returns the records of before, and when sizes run out.

    Whatever is wrong with the store is said, and takes nothing from the review.
    """
    try:
        kept = keep(out, later.targets, later.created, store)
        if kept is None:
            return [], {}
        where = "is kept in" if kept.is_new else "was kept before, in"
        watcher.say(f"this review {where} {kept.record}")
        names = [r.target for r in later.targets if r.status == "done"]
        # Its own folder first: that holds trials, which a record of an older version does not.
        told = read_history([out, store], names, lambda _: demands)
        for one in told.skipped:
            watcher.say(f"skipped {one.path}: {one.cause}; {one.remedy}")
        for trend in told.trends:
            if trend.no_outlook:
                watcher.say(f"{trend.target}: {trend.no_outlook}")
        if told.reviews > 1 or told.outlooks:
            write_atomic(out / HISTORY_FILE, told.model_dump_json(indent=2) + "\n")
        former = [record for record in records(store) if place(record) < place(kept.record)]
        return former, told.outlooks
    except PoolkitError as error:
        watcher.say(f"{error.cause}; {error.remedy}")
        return [], {}


def with_report(
    out: Path,
    created: str,
    code: ExitCode,
    watcher: Watcher,
    make_report: Callable[[Path], Path] | None,
) -> tuple[Path | None, ExitCode]:
    """Make the report of the results in `out`: its path, None without one, and how it all ended.

    Args:
        code: how it ended so far.
    """
    if make_report is None:
        return None, code
    try:
        with watcher.doing("making the report"):
            report = _report(out, make_report)
        # Once more, now over the report too.
        renew_manifest(out, created)
        return report, code
    except KeyboardInterrupt:
        remedy = "the results are written; the same command makes the report"
        watcher.fail("cancelled before the report was ready", remedy)
        return None, ExitCode.CANCELLED
    except MissingExtra as error:
        watcher.say(f"no report was made: {error.cause}; {error.remedy}")
    except PoolkitError as error:
        watcher.fail(f"the report could not be made: {error.cause}", error.remedy)
        code = ExitCode.STOPPED if code == ExitCode.DONE else code
    return None, code


def say_kept(added: Added, watcher: Watcher) -> None:
    """Say whose finished results of before stay, since this attempt found none."""
    for name in added.kept:
        watcher.say(f"{name}: the finished result of before stays in {RECOMMENDED} and pools.py")


def prepare(
    targets: Mapping[str, Target], out: Path, watcher: Watcher, *, again: bool = False
) -> None:
    """Make the folder ready for a measurement, and say which trials in it still count.

    Whatever would stop a target's measurement is found before any of them is sent a call.

    Args:
        again: whether they are to be measured anew, and what there is of them becomes a record.

    Raises:
        BadInput: the folder, a library, a limit of this machine, trials of other settings, or a
            file in the folder that is no probe.
    """
    prepare_out(out)
    probes.read(out)
    check_measurable(targets)
    if again:
        if record := set_aside(out, targets):
            watcher.say(f"what was there is kept in {record}")
        return
    for name, target in targets.items():
        if said := check_trials(out, target):
            watcher.say(f"{name}: {said}")


def check_measurable(targets: Mapping[str, Target]) -> None:
    """BadInput where one of them could not be measured: all of them are told at once."""
    wrong: list[tuple[str, BadInput]] = []
    for name, target in targets.items():
        for check in (check_driver, check_caps, check_descriptors):
            try:
                check(target)
            except BadInput as error:
                wrong.append((name, error))
                break
    if wrong and len(targets) == 1:
        raise wrong[0][1]
    if wrong:
        lines = [f"{len(wrong)} of {units.plural(len(targets), 'target')} cannot be measured"]
        lines += [f"  {name}: {error.cause}; {error.remedy}" for name, error in wrong]
        raise BadInput("\n".join(lines), "correct them, or leave them out with --only")


def with_records(
    out: Path,
    later: RecommendedFile,
    targets: Mapping[str, Target],
    former: Sequence[Path] = (),
) -> Comparison | None:
    """What changed for the targets that have a record in `out`, or else among those of `former`.

    None where none has.
    """
    names = [entry.target for entry in later.targets]
    theirs = records_of(out, names)
    for record in reversed(former):
        if len(theirs) == len(names):
            break
        with contextlib.suppress(BadInput):
            for entry in read_recommended(record).targets:
                if entry.target in names:
                    theirs.setdefault(entry.target, record)
    found = []
    for name, record in theirs.items():
        with contextlib.suppress(BadInput):  # of another version, or only a sweep
            found.append(_Earlier.read(record, out, targets, (name,)))
    known = {entry.target for earlier in found for entry in earlier.written.targets}
    if not known:
        return None
    written = RecommendedFile(
        created=max(earlier.written.created for earlier in found),
        targets=tuple(entry for earlier in found for entry in earlier.written.targets),
    )
    sizings = {name: sizing for earlier in found for name, sizing in earlier.sizings.items()}
    caution = _joined(earlier.caution for earlier in found)
    entries = tuple(entry for entry in later.targets if entry.target in known)
    later = later.model_copy(update={"targets": entries})
    return _Earlier(written, sizings, caution).compared(later, out)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """An earlier review, as far as it is about the targets of this one."""

    written: RecommendedFile
    sizings: dict[str, Sizing]
    caution: str  # why its figures may not be comparable with those of this machine

    @classmethod
    def read(
        cls, since: Path, out: Path, targets: Mapping[str, Target], only: Sequence[str]
    ) -> _Earlier:
        if since.resolve() == out.resolve():
            remedy = "choose another --out; or --again in place of --since, which compares as well"
            raise BadInput("--since and --out are the same folder", remedy)
        written = read_recommended(since)
        entries = tuple(entry for entry in written.targets if not only or entry.target in only)
        written = written.model_copy(update={"targets": entries})
        known = [targets[entry.target] for entry in entries if entry.target in targets]
        loads = [other_load(since, target) for target in known]
        return cls(written, read_sizings(since, written), _joined([_caution(since), *loads]))

    def compared(self, later: RecommendedFile, out: Path) -> Comparison:
        sizings = {"sizings_before": self.sizings, "sizings_after": read_sizings(out, later)}
        return compare(self.written, later, self.caution, **sizings)


def _joined(cautions: Iterable[str]) -> str:
    """Each of the cautions once."""
    return "; ".join(dict.fromkeys(caution for caution in cautions if caution))


def _caution(since: Path) -> str:
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
        cause = ": ".join([type(error).__name__, *lines[-1:]])
        remedy = "recommended.md holds the results; the same command makes the report again"
        raise PoolkitError(cause, remedy) from error
