"""`poolkit review` and `poolkit demo`: all targets of a file, and the report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.options import (
    Again,
    Budget,
    NoPush,
    Out,
    Seed,
    TargetsFile,
    checked_budget,
    checked_seed,
    option,
)
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.errors import ExitCode
    from poolkit.review.run import Review

_PDF = "report.pdf"
MARK = ".poolkit-demo"  # a folder that holds it was made by the demo


@error_boundary()
def review(
    targets: TargetsFile,
    out: Out,
    only: Annotated[
        list[str] | None,
        option("--only", "NAME", "Review this target; may be given more than once."),
    ] = None,
    since: Annotated[
        Path | None,
        option("--since", "DIR", "Compare with the earlier review in DIR."),
    ] = None,
    budget: Budget = None,
    seed: Seed = None,
    no_push: NoPush = False,
    again: Again = False,
) -> None:
    """Measure every target, size and verify its pool, and write the report.

    DIR gets recommended.json, .csv and .md, pools.py, review.ipynb, report.html (where Chromium is
    found report.pdf, too) and manifest.json.
    Exit code 0: done; 1: a size is in doubt; 2: bad input; 3: a target was stopped, broke
    down or did not answer; 4: a target rate is out of reach; 130: cancelled. Results are kept, and
    the same command resumes. In a finished DIR it measures nothing and says how old the trials are;
    --again measures anew.
    """
    from poolkit.cli import terminal
    from poolkit.review.run import review

    console = terminal.results()
    finished = review(
        targets,
        out,
        terminal.screen(console),
        only=tuple(only or ()),
        since=since,
        budget=checked_budget(budget),
        seed=checked_seed(seed),
        push=not no_push,
        again=again,
        make_report=_make_report,
    )
    _print(console, finished, finished.exit_code)
    raise typer.Exit(int(finished.exit_code))


@error_boundary()
def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the results, made anew.")
    ] = Path("poolkit-demo"),
    budget: Budget = None,
    seed: Seed = None,
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

    checked_budget(budget)
    checked_seed(seed)
    make_anew(out, MARK, "poolkit demo")
    targets = out / "targets.toml"
    console = terminal.results()
    screen = terminal.screen(console)
    with contextlib.ExitStack() as stack:
        with screen.doing("starting the lab: three HTTP servers and a PostgreSQL"):
            lab = stack.enter_context(Lab())
        targets.write_text(lab.targets_toml(), encoding="utf-8")
        stack.enter_context(_environment(lab.environment()))
        finished = review(targets, out, screen, budget=budget, seed=seed, make_report=_make_report)
    code = finished.exit_code
    # The lab is there to be looked at: a size in doubt is shown, and is no failure of the demo.
    code = ExitCode.DONE if code == ExitCode.FINDINGS else code
    _print(console, finished, code)
    raise typer.Exit(int(code))


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for this process and those that it starts, while it lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _make_report(out: Path) -> Path:
    from poolkit.report.execute import execute
    from poolkit.report.export import export, export_pdf

    report = export(execute(out), out / "report.html")
    export_pdf(report, out / _PDF)
    return report


def _print(console: Console, review: Review, code: ExitCode) -> None:
    from poolkit.cli.closing import print_changes, print_endings, print_results

    print_results(console, review.recommendations)
    if review.comparison is not None:
        print_changes(console, review.comparison)
    console.print()
    shown = review.out / "recommended.md" if review.report is None else review.report
    label = "results" if review.report is None else "report"
    console.print(f"{label}: {shown}", soft_wrap=True, markup=False)
    if review.report is not None:
        printed = review.out / _PDF
        found = str(printed) if printed.is_file() else "none, for want of a Chromium that works"
        console.print(f"as PDF: {found}", soft_wrap=True, markup=False)
    print_endings(console, review.recommendations, code)
