"""`poolkit observe`: a size from production metrics alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn

import typer

from poolkit import units
from poolkit.analysis.next_day import in_words
from poolkit.cli import reviewing
from poolkit.cli.gating import Gating, print_verdict
from poolkit.cli.options import (
    LOAD,
    RESULTS,
    TARGET,
    Events,
    FailOn,
    JUnit,
    Name,
    Summary,
    TargetsFile,
    WaiversFile,
    flag,
    folder,
    option,
)
from poolkit.cli.terminal import error_boundary
from poolkit.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.events import Watcher
    from poolkit.observe.run import Observation
    from poolkit.review.observing import Asked
    from poolkit.review.trend import Trend
    from poolkit.review.waivers import Verdict
    from poolkit.targets import Target

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LONGEST = 400 * _UNITS["d"]


@error_boundary("what is written stays; the same command begins anew")
def observe(
    name: Name,
    targets: TargetsFile,
    since: Annotated[
        str | None,
        option("--since", "7d", "How far back it reads: 90m, 12h, 7d. (default: 7d)", TARGET),
    ] = None,
    look: Annotated[
        str | None,
        option(
            "--for",
            "5m",
            "How long it looks, where production names the service's own metrics: 30s to 1h. "
            "(default: 5m)",
            TARGET,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", "DIR", "Folder for the results. (default: poolkit-observe-NAME)", RESULTS),
    ] = None,
    history: Annotated[
        Path | None,
        option(
            "--history",
            "DIR",
            "Keep what production told as a record in DIR, for poolkit history DIR and the gates. "
            "(default: data/observations)",
            RESULTS,
        ),
    ] = None,
    verify: Annotated[
        bool,
        flag(
            "--verify",
            "Then verify the size that was named under load, once: 5 to 13 s of the target rate.",
            LOAD,
        ),
    ] = False,
    fail_on: FailOn = None,
    waivers: WaiversFile = None,
    summary: Summary = None,
    junit: JUnit = None,
    events: Events = False,
) -> None:
    """Size the pool of one target from what its service counted in production, without load.

    Reads the metrics that the target names in FILE, production = { prometheus =
    "http://127.0.0.1:9090", pool = "orders-db" }, or metrics = "http://.../metrics" in its place.
    First predicts today's waits from them and holds that against the service's own histogram
    (trusted or not, and why), then names the size for the target. Nothing is said above what was
    seen in production. Sends queries to Prometheus, and nothing to the target.

    With --verify it then sends the target one trial at the target rate, as poolkit size does, with
    pools of the size that it named; where it named none, or production has another number of pools
    than targets.toml, nothing is sent, and that is said.

    The preset of production says whose metrics they are: poolkit, hikaricp, opentelemetry,
    opentelemetry_java, psycopg_pool, pgbouncer, pgbouncer_spreaker, go_sql, opentelemetry_node,
    sqlalchemy, or a file of your own (own.toml). Those of others are averages: they tell rate, hold
    time and utilisation, and a size only where hold times do not grow with the load (the last three
    count no calls, and tell none).

    Ends with 0 where the size is trusted (and verified, where asked), 1 where it is not, 4 where
    production does not tell it, 3 or 130 where the verification did not come to its end; what
    production told stays. Adds the result to recommended.json, .csv, .md and pools.py in DIR and
    writes report.html, which --events leaves out.

    A gate holds the size against the latest record that compares, and p99 where both were verified.
    Records are kept apart from reviews: a size from production and one from load do not compare.
    Production tells no plateau and no headroom: such a gate cannot be judged, which is no pass.
    """
    from poolkit.cli import terminal
    from poolkit.measure.reporter import EventsOnly, Reporter
    from poolkit.review.observing import OBSERVATIONS, Asked
    from poolkit.targets import load_targets

    gating = Gating.read(fail_on, waivers, summary, junit)
    store = OBSERVATIONS if history is None else history
    reporter = Reporter(name)

    def asked() -> Asked:
        target: Target = load_targets(targets, (name,), sends=verify)[name]
        reporter.about(target)
        seconds, where = checked_times(target, since, look), folder(out, "observe", name)
        return Asked.of(target, seconds, where, store, targets if verify else None)

    if events:
        watcher = EventsOnly(reporter.emit, name)
        code = reporter.run(lambda: _observed(asked(), gating, watcher).code)
        raise typer.Exit(int(code))
    console = terminal.results()
    screen = terminal.screen(console)
    _show(_observed(asked(), gating, screen), console, screen)


class _Told(NamedTuple):
    """What came of it; everything but the report is written."""

    found: Observation
    out: Path
    created: str
    verdict: Verdict | None
    code: ExitCode


def _observed(asked: Asked, gating: Gating | None, watcher: Watcher) -> _Told:
    """Observe, and judge what came of it."""
    from poolkit.measure.store import now
    from poolkit.review.observing import observe_into

    created = now()
    found = observe_into(asked, watcher, created)
    code, verdict = found.exit_code, None
    if gating is not None:
        verdict, trends = _gated(gating, asked, watcher)
        code = verdict.exit_code(code)
        gating.write(verdict, trends, code)
    return _Told(found, asked.out, created, verdict, code)


def _gated(gating: Gating, asked: Asked, watcher: Watcher) -> tuple[Verdict, list[Trend]]:
    """What the gates say, and what the size was held against."""
    from poolkit.review.baseline import with_baseline

    names = [asked.target.name]
    trends = list(with_baseline(asked.out, names, None, asked.store, watcher.say).values())
    return gating.verdict(gating.of_trends(trends, must_persist=False)), trends


def _show(told: _Told, console: Console, screen: Watcher) -> NoReturn:
    """Print all of it, make the report, and end."""
    from poolkit.cli.closing import print_code, print_results
    from poolkit.errors import ExitCode
    from poolkit.review.run import with_report
    from poolkit.show import tables

    r, out = told.found.recommendation, told.out
    assert r.production is not None
    averaged = r.production.averages
    more = [tables.todays_waits(r.production) if averaged is None else tables.averages(averaged)]
    if r.production.next_day:
        more.append(tables.next_day(r.production))
    if r.verification is not None:
        more.append(tables.signals(r))
    needs, reasons = tables.scenarios_in_short(r.production)
    print_results(console, (r,), [*more, *([needs] if needs else ())])
    for reason in reasons:
        screen.say(reason)
    today = r.production.today
    if today.is_trusted:  # else a check says why not
        screen.say(f"{r.target}: trusted: {today.because}")
    for day in r.production.next_day:
        screen.say(in_words(day))
    whom = "queries to Prometheus" if "Prometheus" in r.production.source else "scrapes"
    load = f"{units.number(r.seconds)} s of load" if told.found.tried else "nothing"
    screen.say(f"sent: {told.found.queries} {whom}, {load} to the target")
    if told.verdict is not None:
        print_verdict(console, told.verdict)
        console.print()
    report, code = with_report(out, told.created, told.code, screen, reviewing.make_report)
    written = [out / "recommended.md", out / "pools.py", *([report] if report else [])]
    screen.say(f"written: {', '.join(map(str, written))}")
    if code != ExitCode.DONE:
        print_code(console, code)
    raise typer.Exit(int(code))


def checked_times(target: Target, since: str | None, look: str | None) -> float:
    """The seconds to read back, or to look for where the service's own metrics are scraped.

    Raises:
        BadInput: they are out of bounds, or the other of the two was given.
    """
    scraped = target.production is not None and target.production.metrics is not None
    if scraped and since is not None:
        raise BadInput(
            "--since is for a Prometheus, and production.metrics keeps no past",
            "say how long to look: --for 5m",
        )
    if look is not None and not scraped:
        raise BadInput(
            "--for is for production.metrics, and production.prometheus knows the past",
            "say how far back to read: --since 7d",
        )
    if scraped:
        return _seconds("--for", look or "5m", 30.0, 3600.0, "from 30s to 1h", "5m")
    return _seconds("--since", since or "7d", 60.0, LONGEST, "from 1m to 400d", "7d")


def _seconds(name: str, text: str, least: float, most: float, bounds: str, such: str) -> float:
    """The seconds of `90m`, `12h`, `7d`; BadInput where it is none of these or out of bounds."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text, re.ASCII)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not least <= seconds <= most:
        raise BadInput(
            f"{name} must be {bounds}, got {text!r}", f"write it like this: {name} {such}"
        )
    return seconds
