"""`poolkit observe`: a size from production metrics alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.analysis.next_day import in_words
from poolkit.cli import reviewing
from poolkit.cli.options import RESULTS, TARGET, Events, Name, TargetsFile, folder, option
from poolkit.cli.terminal import error_boundary
from poolkit.errors import BadInput

if TYPE_CHECKING:
    from poolkit.errors import ExitCode
    from poolkit.events import Emit
    from poolkit.observe.run import Observation
    from poolkit.targets import Target

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
LONGEST = 400 * _UNITS["d"]


@error_boundary("nothing was written; the same command begins anew")
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
    events: Events = False,
) -> None:
    """Size the pool of one target from what its service counted in production; no load is sent.

    Reads the metrics that the key production of the target names, first tells
    today's waits from them and holds that against the service's own histogram (trusted or not, and
    why), then the size for the target. Nothing is said above what was seen in production. Sends
    queries to Prometheus, and nothing to the target.

    The preset of production says whose metrics they are: poolkit, hikaricp, opentelemetry,
    opentelemetry_java, psycopg_pool, pgbouncer, pgbouncer_spreaker, go_sql, opentelemetry_node,
    sqlalchemy, or a file of your own (own.toml). Those of others are averages: they tell rate, hold
    time and utilisation, and a size only where hold times do not grow with the load (the last three
    count no calls, and tell none).

    Ends with 0 where the size is trusted, 1 where it is not, 4 where production does not tell it.
    Adds the result to recommended.json, .csv, .md and pools.py in DIR and writes report.html,
    which --events leaves out.
    """
    from poolkit.cli import terminal
    from poolkit.cli.closing import print_code, print_results
    from poolkit.errors import ExitCode
    from poolkit.measure.reporter import Reporter
    from poolkit.measure.store import now
    from poolkit.review.run import with_report
    from poolkit.show import tables

    where = folder(out, "observe", name)
    reporter = Reporter(name)

    def run(emit: Emit) -> tuple[Observation, str]:
        from poolkit.observe.run import check_out, observe, write
        from poolkit.review.adding import add_results, read_entries
        from poolkit.targets import load_targets

        target: Target = load_targets(targets, (name,))[name]
        seconds = checked_times(target, since, look)
        reporter.about(target)
        read_entries(where)
        check_out(where, name)
        found = observe(target, seconds, emit)
        write(where, found)
        created = now()
        add_results(
            where, [found.recommendation], {name: target}, command="observe", created=created
        )
        return found, created

    def work() -> ExitCode:
        return run(reporter.emit)[0].exit_code

    if events:
        raise typer.Exit(int(reporter.run(work)))
    console = terminal.results()
    screen = terminal.screen(console)
    with screen.measuring(name):
        found, created = run(screen.see)
    r = found.recommendation
    assert r.production is not None
    averaged = r.production.averages
    more = [tables.todays_waits(r.production) if averaged is None else tables.averages(averaged)]
    if r.production.next_day:
        more.append(tables.next_day(r.production))
    if r.production.scenarios:
        more.append(tables.scenarios(r.production))
    print_results(console, (r,), more)
    screen.say(f"{name}: {'trusted' if r.production.today.is_trusted else 'not trusted'}: "
               f"{r.production.today.because}")  # fmt: skip
    for day in r.production.next_day:
        screen.say(in_words(day))
    whom = "queries to Prometheus" if "Prometheus" in r.production.source else "scrapes"
    screen.say(f"sent: {found.queries} {whom}, nothing to the target")
    report, code = with_report(where, created, found.exit_code, screen, reviewing.make_report)
    written = [where / "recommended.md", where / "pools.py", *([report] if report else [])]
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
