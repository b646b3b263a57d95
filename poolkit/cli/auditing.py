"""`poolkit audit` and `poolkit doctor`: what is looked for without sending anything."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.options import RESULTS, flag, option
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.audit import Audit, Finding, Rule

SOURCE, UNSEEN = "Source", "What the source cannot tell"
LONGEST_SKIPPED = 10  # files named one by one; JSON and SARIF name all of them


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


@error_boundary("nothing was printed or changed; the same command begins anew")
def audit(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files or folders with Python source.",
            rich_help_panel=SOURCE,
        ),
    ],
    tests: Annotated[
        bool, flag("--tests", "Look at tests, examples, scripts and migrations, too.", SOURCE)
    ] = False,
    max_connections: Annotated[
        int | None,
        option(
            "--max-connections",
            "N",
            "Connections that this service may open at its database: pools that together may "
            "open more are found.",
            UNSEEN,
            min=1,
        ),
    ] = None,
    processes: Annotated[
        int,
        option(
            "--processes",
            "N",
            "Replicas times workers, each with its own pools. (default: 1)",
            UNSEEN,
            min=1,
        ),
    ] = 1,
    surge: Annotated[
        int,
        option(
            "--surge",
            "N",
            "Processes that run besides while a deploy rolls. (default: 0)",
            UNSEEN,
            min=0,
        ),
    ] = 0,
    server_keepalive: Annotated[
        float | None,
        option(
            "--server-keepalive",
            "SECONDS",
            "How long the HTTP server keeps an idle connection; poolkit probe measures it.",
            UNSEEN,
            min=0.1,
        ),
    ] = None,
    db_idle: Annotated[
        float | None,
        option(
            "--db-idle",
            "SECONDS",
            "How long the database, or what is in between, keeps an idle connection.",
            UNSEEN,
            min=0.1,
        ),
    ] = None,
    form: Annotated[
        Format,
        option(
            "--format", "FORM", "text, json or sarif, printed to stdout. (default: text)", RESULTS
        ),
    ] = Format.TEXT,
    strict: Annotated[
        bool, flag("--strict", "Exit code 1 for a file that was skipped, too.", RESULTS)
    ] = False,
) -> None:
    """Find anti-patterns around connection pools in Python source, without running it.

    A pool or session for each request, one that is never closed, a second connection asked for
    while one is held, waits without an end, stale connections, keep-alive that does not fit. The
    comment `# poolkit: ignore[rule]` on a line silences a rule there.

    Files that do not parse are named and skipped, with the Python that they need where that shows.
    Pools whose size cannot be read are counted.
    """
    from poolkit import __version__
    from poolkit.audit import Settings
    from poolkit.audit import audit as scan
    from poolkit.audit.output import as_json, as_sarif
    from poolkit.cli import terminal
    from poolkit.errors import ExitCode

    settings = Settings(
        max_connections=max_connections,
        processes=processes,
        server_keepalive=server_keepalive,
        db_idle=db_idle,
        tests=tests,
        surge=surge,
    )
    found = scan(paths, settings)
    if form is Format.TEXT:
        _print(terminal.results(), found)
    else:
        typer.echo(as_json(found) if form is Format.JSON else as_sarif(found, __version__))
    is_clean = not found.findings and not (strict and found.skipped)
    raise typer.Exit(int(ExitCode.DONE if is_clean else ExitCode.FINDINGS))


@error_boundary("nothing was changed; the same command begins anew")
def doctor() -> None:
    """Look at this machine for what would spoil a measurement, and say what to do about it.

    It sends nothing.
    """
    from poolkit.cli import terminal
    from poolkit.cli.printed import print_table
    from poolkit.doctor import examine
    from poolkit.errors import ExitCode
    from poolkit.show import tables

    found = examine()
    print_table(terminal.results(), tables.checks_in_short(found))
    is_well = all(check.passed for check in found)
    raise typer.Exit(int(ExitCode.DONE if is_well else ExitCode.FINDINGS))


def _print(console: Console, audit: Audit) -> None:
    """Everything as plain text: it holds source, whose square brackets are no markup."""
    from poolkit.audit import RULES

    for rule in RULES:
        found = [one for one in audit.findings if one.rule == rule.name]
        if found:
            _print_rule(console, rule, found)
    for skipped in audit.skipped[:LONGEST_SKIPPED]:
        _say(console, f"skipped {skipped.path}: {skipped.reason}", "dim")
    if len(audit.skipped) > LONGEST_SKIPPED:
        _say(console, f"... and {len(audit.skipped) - LONGEST_SKIPPED} more", "dim")
    for one in audit.uncounted:
        _say(console, f"not counted {one.path}:{one.line}:{one.column}: {one.message}", "dim")
    _say(console, _summary(audit), "bold")


def _print_rule(console: Console, rule: Rule, found: list[Finding]) -> None:
    """The findings of one rule, and for each library of theirs what to write instead."""
    from rich.syntax import Syntax

    from poolkit.audit import cure_of
    from poolkit.cli.progress import say

    say(console, f"{rule.name}: {rule.what}", style="bold", indent="  ")
    for one in found:
        # Never wrapped: editors and terminals open path:line:column by a click.
        _say(console, f"  {one.path}:{one.line}:{one.column}  {one.message}")
        _say(console, f"      {one.code}", "dim")
    say(console, f"  Why: {rule.why}", indent="  ")
    cures: dict[str, str] = {}
    for one in found:
        cures.setdefault(cure_of(rule.name, one.library, rule.cure), one.library)
    for cure, library in cures.items():
        _say(console, f"  Instead ({library}):" if len(cures) > 1 else "  Instead:")
        for line in cure.rstrip().splitlines():
            shown = Syntax("", "python", background_color="default").highlight(line)
            shown.rstrip()
            console.print("      ", shown, sep="", soft_wrap=True)
    _say(console, f"  More: notebooks/{rule.notebook}\n", "dim")


def _say(console: Console, text: str, style: str = "") -> None:
    """One line, which the terminal alone breaks: a pipe gets it whole."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def _summary(audit: Audit) -> str:
    findings, files = _count(len(audit.findings), "finding"), _count(audit.files, "file")
    parts = [f"{findings} in {files} ({_count(audit.lines, 'line')})"]
    if audit.ignored:
        parts.append(f"{audit.ignored} ignored by comments")
    if audit.uncounted:
        parts.append(f"{_count(len(audit.uncounted), 'pool')} could not be counted")
    if audit.skipped:
        parts.append(f"{_count(len(audit.skipped), 'file')} skipped")
        newer = [one.needs for one in audit.skipped if one.needs]
        if newer:
            most = max(newer, key=lambda one: [int(part) for part in one.split(".")])
            parts[-1] += f" ({len(newer)} of a newer Python: run it with {most})"
    if audit.of_tests:
        parts.append(f"{_count(audit.of_tests, 'file')} of tests left out (--tests)")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
