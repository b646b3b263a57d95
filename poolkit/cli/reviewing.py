"""`poolkit review` and `poolkit demo`: all targets of a file, and the report."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.gating import Gating, print_verdict
from poolkit.cli.options import (
    RESULTS,
    TARGET,
    Again,
    Budget,
    Cold,
    Demand,
    FailOn,
    Generators,
    JUnit,
    NoPush,
    Scheduler,
    Seed,
    Summary,
    TargetsFile,
    WaiversFile,
    check_load,
    folder,
    option,
    out_option,
)
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.events import Watcher
    from poolkit.review.run import Review
    from poolkit.review.trend import Trend
    from poolkit.review.waivers import Verdict

_PDF = "report.pdf"
MARK = ".poolkit-demo"  # a folder that holds it was made by the demo


@error_boundary()
def review(
    targets: TargetsFile,
    only: Annotated[
        list[str] | None,
        option("--only", "NAME", "Review this target; may be given more than once.", TARGET),
    ] = None,
    budget: Budget = None,
    no_push: NoPush = False,
    cold: Cold = False,
    seed: Seed = None,
    fleet: Generators = None,
    scheduler: Scheduler = None,
    out: Annotated[Path | None, out_option("poolkit-review")] = None,
    since: Annotated[
        Path | None,
        option("--since", "EARLIER", "Compare with the earlier review in this folder.", RESULTS),
    ] = None,
    again: Again = False,
    history: Annotated[
        Path | None,
        option(
            "--history",
            "DIR",
            "Keep this review as a record in DIR, for poolkit history and the next report. "
            "(default: data/reviews)",
            RESULTS,
        ),
    ] = None,
    demand: Demand = None,
    fail_on: FailOn = None,
    waivers: WaiversFile = None,
    summary: Summary = None,
    junit: JUnit = None,
) -> None:
    """Measure every target of a file, size and verify its pool, and write the report.

    DIR gets recommended.json, .csv and .md, pools.py, manifest.json, report.html and, where
    Chromium is found, report.pdf. Results of other targets in DIR stay. What is finished there is
    not measured twice: the same command goes on from it, or says how old it is; --again measures
    anew. A gate holds the review against --since, or else against the latest record that compares;
    the exit code of a measurement that was cut short or fell short goes before that of gates.
    """
    from poolkit.cli import terminal
    from poolkit.review.kept import HISTORY
    from poolkit.review.run import review

    console = terminal.results()
    check_load(budget, seed)
    gating = Gating.read(fail_on, waivers, summary, junit)
    store = HISTORY if history is None else history
    screen = terminal.screen(console)
    if out is None:
        screen.say(f"results: {folder(out, 'review')}")
    finished = review(
        targets,
        folder(out, "review"),
        screen,
        only=tuple(only or ()),
        since=since,
        budget=budget,
        seed=seed,
        push=not no_push,
        cold=cold,
        fleet=fleet,
        scheduler=scheduler,
        again=again,
        history=store,
        demand=demand or (),
        make_report=make_report,
    )
    code, verdict = finished.exit_code, None
    if gating is not None:
        verdict, trends = _gated(gating, finished, since, store)
        code = verdict.exit_code(code)
        gating.write(verdict, trends, code)
    _print(console, screen, finished, code, verdict)
    raise typer.Exit(int(code))


@error_boundary("what was finished is in its folder; the same command begins anew")
def demo(
    budget: Budget = None,
    seed: Seed = None,
    fleet: Generators = None,
    out: Annotated[
        Path,
        option(
            "--out",
            "DIR",
            "Folder for the results; those of an earlier demo in it are replaced. "
            "(default: poolkit-demo)",
            RESULTS,
        ),
    ] = Path("poolkit-demo"),
) -> None:
    """Review the embedded lab: real servers on this machine whose truth is known.

    Needs no endpoint of yours. Takes about three minutes, and leaves a folder with the same files
    as a review.
    """
    from poolkit.cli import terminal
    from poolkit.errors import ExitCode
    from poolkit.lab.running import Lab
    from poolkit.measure.store import make_anew
    from poolkit.review.run import review

    check_load(budget, seed)
    console = terminal.results()
    screen = terminal.screen(console)
    was_there = make_anew(out, MARK, "poolkit demo")
    screen.say(f"results: {out}" + "; those of an earlier demo there are replaced" * was_there)
    targets = out / "targets.toml"
    with contextlib.ExitStack() as stack:
        with screen.doing("starting the lab: three HTTP servers and a PostgreSQL"):
            lab = stack.enter_context(Lab())
        targets.write_text(lab.targets_toml(), encoding="utf-8")
        stack.enter_context(lab.in_environment())
        finished = review(
            targets,
            out,
            screen,
            budget=budget,
            seed=seed,
            fleet=fleet,
            make_report=make_report,
        )
    code = finished.exit_code
    # The lab is there to be looked at: a size in doubt is shown, and is no failure of the demo.
    code = ExitCode.DONE if code == ExitCode.FINDINGS else code
    _print(console, screen, finished, code)
    if code == ExitCode.CANCELLED:
        screen.say("the lab and its servers have ended: poolkit demo begins anew")
    raise typer.Exit(int(code))


def _gated(
    gating: Gating, review: Review, since: Path | None, store: Path
) -> tuple[Verdict, list[Trend]]:
    """What the gates say of each target, and what they were held against."""
    from poolkit.review.baseline import with_baseline
    from poolkit.review.gates import not_finished

    done = [r.target for r in review.recommendations if r.status == "done"]
    trends = with_baseline(review.out, done, since, store)
    judgements = gating.of_trends(list(trends.values()), must_persist=False)
    for r in review.recommendations:
        if r.target not in trends:
            judgements += not_finished(gating.gates, r.target)
    return gating.verdict(judgements), list(trends.values())


def make_report(out: Path) -> Path:
    """The report of the folder as one page, and as PDF where a Chromium is found."""
    from poolkit.report.browser import export_pdf
    from poolkit.report.execute import execute
    from poolkit.report.export import export

    report = export(execute(out), out / "report.html")
    export_pdf(report, out / _PDF)
    return report


def _print(
    console: Console,
    screen: Watcher,
    review: Review,
    code: ExitCode,
    verdict: Verdict | None = None,
) -> None:
    from poolkit.cli.closing import (
        print_changes,
        print_endings,
        print_outlooks,
        print_results,
        say_cold,
    )

    print_results(console, review.recommendations)
    say_cold(screen, review.recommendations)
    if review.comparison is not None:
        print_changes(console, review.comparison)
    if review.outlooks:
        print_outlooks(console, review.outlooks)
    if verdict is not None:
        print_verdict(console, verdict)
    console.print()
    shown = review.out / "recommended.md" if review.report is None else review.report
    label = "results" if review.report is None else "report"
    console.print(f"{label}: {shown}", soft_wrap=True, markup=False)
    if review.report is not None:
        printed = review.out / _PDF
        found = str(printed) if printed.is_file() else "none, for want of a Chromium that works"
        console.print(f"as PDF: {found}", soft_wrap=True, markup=False)
    print_endings(console, review.recommendations, code)
