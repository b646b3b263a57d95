"""`poolkit observe`: a size from production metrics alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
        str,
        option("--since", "7d", "How far back it reads: 90m, 12h, 7d. (default: 7d)", TARGET),
    ] = "7d",
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
    psycopg_pool, pgbouncer, go_sql, sqlalchemy, or a file of your own (own.toml). Those of others
    are averages: they tell rate, hold time and utilisation, and a size only where hold times do not
    grow with the load (go_sql and sqlalchemy count no calls, and tell none).

    Ends with 0 where the size is trusted, 1 where it is not, 4 where production does not tell it.
    Adds the result to recommended.json, .csv, .md and pools.py in DIR.
    """
    from poolkit.cli import terminal
    from poolkit.cli.closing import print_code, print_results
    from poolkit.errors import ExitCode
    from poolkit.measure.reporter import Reporter
    from poolkit.show import tables

    where = folder(out, "observe", name)
    reporter = Reporter(name)

    def run(emit: Emit) -> Observation:
        from poolkit.observe.run import check_out, observe, write
        from poolkit.review.adding import add_results, read_entries
        from poolkit.targets import load_targets

        seconds = checked_since(since)
        target: Target = load_targets(targets, (name,))[name]
        reporter.about(target)
        read_entries(where)
        check_out(where, name)
        found = observe(target, seconds, emit)
        write(where, found)
        add_results(where, [found.recommendation], {name: target}, command="observe")
        return found

    def work() -> ExitCode:
        return run(reporter.emit).exit_code

    if events:
        raise typer.Exit(int(reporter.run(work)))
    console = terminal.results()
    screen = terminal.screen(console)
    with screen.measuring(name):
        found = run(screen.see)
    r = found.recommendation
    assert r.production is not None
    averaged = r.production.averages
    more = [tables.todays_waits(r.production) if averaged is None else tables.averages(averaged)]
    if r.production.scenarios:
        more.append(tables.scenarios(r.production))
    print_results(console, (r,), more)
    screen.say(f"{name}: {'trusted' if r.production.today.is_trusted else 'not trusted'}: "
               f"{r.production.today.because}")  # fmt: skip
    screen.say(f"sent: {found.queries} queries to Prometheus, nothing to the target")
    screen.say(f"written: {where / 'recommended.md'}, {where / 'pools.py'}")
    if found.exit_code != ExitCode.DONE:
        print_code(console, found.exit_code)
    raise typer.Exit(int(found.exit_code))


def checked_since(text: str) -> float:
    """The seconds of `90m`, `12h`, `7d`.

    Raises:
        BadInput: it is none of these, or from less than a minute or more than 400 days.
    """
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text, re.ASCII)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 60.0 <= seconds <= LONGEST:
        raise BadInput(
            f"--since must be from 1m to 400d, got {text!r}", "write it like this: --since 7d"
        )
    return seconds
