"""`poolkit history`: what became of each target over its reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.gating import Gating, check_files, print_verdict, write_file
from poolkit.cli.options import (
    ASKED,
    RESULTS,
    TARGET,
    Demand,
    FailOn,
    JUnit,
    Summary,
    WaiversFile,
    option,
)
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.review.trend import History

LATEST = 8  # reviews shown of each target, where several are


@error_boundary("nothing was changed; the same command begins anew")
def history(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR...",
            help="Folders of reviews or of records, or folders of these. (default: data/reviews)",
            rich_help_panel=TARGET,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        option("--target", "NAME", "Show this target, with every review; may be repeated.", TARGET),
    ] = None,
    demand: Demand = None,
    targets: Annotated[
        Path | None,
        option(
            "--targets",
            "FILE",
            "targets.toml, whose Prometheus --demand prometheus asks.",
            ASKED,
        ),
    ] = None,
    as_json: Annotated[
        Path | None, option("--json", "FILE", "Write all of it to FILE as well.", RESULTS)
    ] = None,
    as_csv: Annotated[
        Path | None,
        option(
            "--csv",
            "FILE",
            "Write a row for each target and review, which Apache Otava reads: time_column: time, "
            "metrics: any of the figures, --branch: the target.",
            RESULTS,
        ),
    ] = None,
    fail_on: FailOn = None,
    waivers: WaiversFile = None,
    summary: Summary = None,
    junit: JUnit = None,
) -> None:
    """Show size, plateau, headroom, hold time and rate of each target over its reviews.

    It names what changed from one review to the next and what else was not as it was: the rate,
    what was asked, the upstream, versions, the machine; and where two are not comparable. From
    eight comparable reviews on it names steps that last. What cannot be read is named and skipped.
    With the demand so far it says when each size runs out, and the upstream. It sends nothing but
    the queries of --demand prometheus.

    A gate holds the latest reviews against the first of those that compare, and fails where a
    change for the worse lasts: a step, or with fewer than eight the latest two.
    """
    from functools import partial

    from poolkit.cli import terminal
    from poolkit.cli.closing import print_code
    from poolkit.errors import ExitCode
    from poolkit.review.demand import read_demands
    from poolkit.review.gates import not_the_latest
    from poolkit.review.history import latest_skipped, read_history, to_csv
    from poolkit.review.kept import HISTORY

    gating = Gating.read(fail_on, waivers, summary, junit)
    check_files({"--json": as_json, "--csv": as_csv, "--summary": summary, "--junit": junit})
    console = terminal.results()
    screen = terminal.screen(console)
    demands = partial(read_demands, demand or (), file=targets, say=screen.say)
    found = read_history(folders or [HISTORY], only or (), demands)
    write_file(as_json, found.model_dump_json(indent=2) + "\n")
    write_file(as_csv, to_csv(found))
    _print(console, found, None if only else LATEST)
    if gating is not None:
        judgements = gating.of_trends(found.trends, must_persist=True)
        verdict = gating.verdict(not_the_latest(judgements, latest_skipped(found)))
        code = verdict.exit_code(ExitCode.DONE)
        print_verdict(console, verdict)
        gating.write(verdict, found.trends, code)
        print_code(console, code)
        raise typer.Exit(int(code))


def _print(console: Console, history: History, most: int | None) -> None:
    from poolkit.cli.closing import print_outlooks
    from poolkit.cli.printed import print_table
    from poolkit.cli.progress import say
    from poolkit.show import over_time, tables
    from poolkit.units import plural

    for trend in history.trends:
        console.print()
        figures, changed = tables.history_in_short(trend, most)
        print_table(console, figures)
        if changed:
            console.print()
            print_table(console, changed)
            console.print()
        for line in (*over_time.said(trend), *over_time.ahead(trend)):
            say(console, f"{trend.target}: {line}", indent="  ", bold=len(trend.target) + 1)
    if history.outlooks:
        print_outlooks(console, history.outlooks)
    console.print()
    say(console, over_time.HEADROOM, style="dim", indent="  ")
    for one in history.skipped:
        say(console, f"skipped {one.path}: {one.cause}; {one.remedy}", indent="  ")
    if history.skipped:
        say(console, f"{plural(len(history.skipped), 'file')} skipped", indent="  ")
