"""Tables and charts of the lesson about exhausted pools: watched runs, gauges, audit, service."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from poolkit.audit import RULES, audit, audit_source
from poolkit.errors import BadInput
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.service.compare import compare_on_lab
from poolkit.monitor import names
from poolkit.panels.look import framed
from poolkit.records import Record
from poolkit.report.page import Part
from poolkit.report.pictures import figure
from poolkit.report.source import shared
from poolkit.show import charts
from poolkit.show.before_after import SERVICE, ServiceComparison
from poolkit.show.tables import Table
from poolkit.show.tables.table import passed
from poolkit.units import NONE, listed, number, plural, share
from poolkit.workbook.probing import RECORDED, finished
from poolkit.workbook.watched import EVERY, LOCKERS, RATE, Watched, WatchedRuns, watched_runs

R = TypeVar("R", bound=Record)
RUNS = "watched.json"
LONGEST_GAP = 0.5  # s between two looks, beyond which a run says little
EXPORTS = EVERY * RATE  # one damaged order for so many reads
# What tells an empty pool from a busy one, in the order in which one looks.
TELLING = (
    names.AVAILABLE,
    names.WAITING,
    names.OLDEST_WAIT,
    names.OLDEST_HOLD,
    names.TIMEOUTS,
    names.SECOND_ASKS,
)


async def watch_faults() -> WatchedRuns:
    """The faulty program and its cure, watched: now on a database of the lab, or as recorded.

    Whatever targets.toml the source is: nobody's own database is emptied for a lesson.
    """
    if finished(os.environ) is not None:
        return _read(WatchedRuns, shared(RECORDED) / RUNS)
    with PostgresServer(accounts=10) as server:
        return await watched_runs(server.dsn)


async def compare_service() -> ServiceComparison:
    """The demo service before and after: now on a lab, as recorded, or as its review keeps it."""
    folder = finished(os.environ)
    if folder is not None:
        own = folder / SERVICE
        return _read(ServiceComparison, own if own.is_file() else shared(RECORDED) / SERVICE)
    return await asyncio.to_thread(compare_on_lab)


def _read(kind: type[R], path: Path) -> R:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadInput(
            f"{path.name} is not of this version", "make it again with: make recordings"
        ) from error


def checks(found: WatchedRuns, service: ServiceComparison) -> Table:
    """Whether the runs can be trusted."""
    rows = []
    for run in (found.leaking, found.leak_cured):
        gap = _longest_gap(run)
        rows.append((run.label, "looked on all the while", gap < LONGEST_GAP, f"{gap:.2f} s apart"))
        planned = RATE * run.seconds
        near = abs(run.calls - planned) < 0.3 * planned
        rows.append((run.label, "traffic as planned", near, f"{run.calls} calls"))
    rows += [
        (run.label, "all tasks began", run.calls == LOCKERS, f"{run.calls} tasks")
        for run in (*found.locks, found.lock_cured)
    ]
    before, after = service.before, service.after
    same = before.calls == after.calls and before.arrival_rate == after.arrival_rate
    rows.append(("service", "the same load twice", same, f"{before.calls} and {after.calls} calls"))
    return Table(
        "Checks on each run",
        ("run", "check", "outcome", "seen"),
        tuple((run, check, passed(ok), seen) for run, check, ok, seen in rows),
    )


def _longest_gap(run: Watched) -> float:
    times = [0.0, *(moment.at for moment in run.moments), run.seconds]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def timeline(run: Watched) -> Part:
    """In use, lost and waiting over the time of a run."""
    moments = [
        charts.PoolMoment(at=m.at, in_use=m.in_use, waiting=m.waiting, lost=m.lost)
        for m in run.moments
    ]
    alt = charts.pool_timeline_alt(moments, run.pool_size)
    words = "Who waits is turned away after a while, so that not all of them are seen at once."
    drawn = figure(charts.pool_timeline(moments, run.pool_size), alt, f"time-{run.label}", words)
    return Part(framed(drawn), alt)


def gauges(*runs: Watched) -> Table:
    """What /metrics shows at the end of each run."""
    rows = tuple(
        (m.name, *(number(run.gauges.get(m.name), 2) for run in runs), m.tells) for m in TELLING
    )
    numeric = frozenset(range(1, len(runs) + 1))
    columns = ("gauge", *(run.label for run in runs), "what it tells")
    return Table("The gauges at the end", columns, rows, numeric)


def locks(found: WatchedRuns) -> Table:
    """The same tasks over pools of growing size, then with the second ask cured."""
    rows = tuple(
        (
            f"passes its one on, {plural(run.pool_size, 'connection')}"
            if run is found.lock_cured
            else f"asks for a second one, {plural(run.pool_size, 'connection')}",
            f"{run.done} of {run.calls}",
            str(run.snapshot.waiting),
            "✗ deadlock" if run.snapshot.deadlock else "✓ none",
            NONE if run.snapshot.deadlock is None else str(run.snapshot.deadlock.floor),
        )
        for run in (*found.locks, found.lock_cured)
    )
    columns = ("each task", "tasks done", "still waiting", "deadlock", "floor T × (m − 1) + 1")
    return Table(f"{LOCKERS} tasks that begin together", columns, rows, frozenset({1, 2, 4}))


def findings(source: str) -> Table | Part:
    """What `poolkit audit` finds in a source, line by line; a sentence where that is nothing."""
    found, _ = audit_source(source, "handler.py")
    if not found:
        said = f"poolkit audit: nothing found by its {plural(len(RULES), 'rule')}."
        return Part(f"<p>{said}</p>", said)
    rows = tuple((one.rule, str(one.line), one.message, one.code) for one in found)
    columns = ("rule", "line", "what is wrong", "code")
    return Table(f"poolkit audit: {plural(len(rows), 'finding')}", columns, rows, frozenset({1}))


def rules(code: str = "") -> Table:
    """Every rule of the audit and where to learn more; with `code`, what it finds there.

    Args:
        code: a Python file or a folder with some; empty: none.

    Raises:
        BadInput: there is no such path, or no Python in it.
    """
    found = audit([Path(code)]).findings if code else ()
    rows = []
    for rule in RULES:
        places = [f"{Path(one.path).name}:{one.line}" for one in found if one.rule == rule.name]
        shown = [*places[:3], f"and {len(places) - 3} more"] if len(places) > 3 else places
        rows.append((rule.name, rule.what, rule.notebook.removesuffix(".ipynb"), *_in(code, shown)))
    columns = ("rule", "what", "notebook", *_in(code, ["in your code"]))
    return Table("What the audit looks for", columns, tuple(rows))


def _in(code: str, words: list[str]) -> tuple[str, ...]:
    return (listed(words) or NONE,) if code else ()


def before_after(service: ServiceComparison) -> Part:
    """The service's times before and after, as a chart."""
    alt = charts.before_after_alt(service)
    words = f"Means of the waits; errors: calls shed or failed, {_errors(service)}."
    return Part(framed(figure(charts.before_after(service), alt, "service", words)), alt)


def _errors(service: ServiceComparison) -> str:
    first, second = share(service.before.error_share, 1), share(service.after.error_share, 1)
    return f"{first} before and {second} after"
