"""`poolkit audit` and `poolkit doctor`: what is looked for without sending anything."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.options import option
from poolkit.cli.terminal import error_boundary

if TYPE_CHECKING:
    from rich.console import Console

    from poolkit.audit import Audit

LONGEST_SKIPPED = 10  # files named one by one; JSON and SARIF name all of them


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


@error_boundary()
def audit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files or folders with Python source.")
    ],
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    max_connections: Annotated[
        int | None,
        option(
            "--max-connections",
            "N",
            "Connections that this service may open at its database: pools that together may "
            "open more are found.",
            min=1,
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", metavar="N", min=1, help="Replicas times workers, each with its pools."
        ),
    ] = 1,
    server_keepalive: Annotated[
        float | None,
        option(
            "--server-keepalive",
            "SECONDS",
            "How long the HTTP server keeps an idle connection (see `poolkit probe`).",
            min=0.1,
        ),
    ] = None,
    db_idle: Annotated[
        float | None,
        option(
            "--db-idle",
            "SECONDS",
            "How long the database, or what is in between, keeps an idle connection.",
            min=0.1,
        ),
    ] = None,
) -> None:
    """Find anti-patterns around connection pools in Python source, without running it.

    A pool or session for each request, one that is never closed, a second connection asked for
    while one is held, waits without an end, stale connections, keep-alive that does not fit. The
    comment `# poolkit: ignore\\[rule]` on a line silences a rule there.

    Exit code 1: something was found. Files that do not parse are named and skipped.
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
    )
    found = scan(paths, settings)
    if form is Format.TEXT:
        _print(terminal.results(), found)
    else:
        typer.echo(as_json(found) if form is Format.JSON else as_sarif(found, __version__))
    raise typer.Exit(int(ExitCode.FINDINGS if found.findings else ExitCode.DONE))


@error_boundary()
def doctor() -> None:
    """Look at this machine for what would spoil a measurement, and say what to do about it.

    Sends nothing. Exit code 1: something is not well.
    """
    from poolkit.cli import terminal
    from poolkit.doctor import examine
    from poolkit.errors import ExitCode
    from poolkit.show import tables

    found = examine()
    terminal.results().print(tables.checks_in_short(found).rich())
    is_well = all(check.passed for check in found)
    raise typer.Exit(int(ExitCode.DONE if is_well else ExitCode.FINDINGS))


def _print(console: Console, audit: Audit) -> None:
    """Everything as plain text: it holds source, whose square brackets are no markup."""
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    from poolkit.audit import RULES

    def say(text: str, style: str = "", *, wrap: bool = True) -> None:
        console.print(Text(text, style=style), soft_wrap=not wrap)

    for rule in RULES:
        found = [one for one in audit.findings if one.rule == rule.name]
        if not found:
            continue
        say(f"{rule.name}: {rule.what}", "bold")
        for one in found:
            # Never wrapped: editors and terminals open path:line:column by a click.
            say(f"  {one.path}:{one.line}:{one.column}  {one.message}", wrap=False)
            say(f"      {one.code}", "dim", wrap=False)
        console.print(Padding(Text(f"Why: {rule.why}"), (0, 0, 0, 2)))
        say("  Instead:")
        cure = Syntax(rule.cure.rstrip(), "python", background_color="default")
        console.print(Padding(cure, (0, 0, 0, 6)))
        say(f"  More: notebooks/{rule.notebook}\n", "dim")
    for skipped in audit.skipped[:LONGEST_SKIPPED]:
        say(f"skipped {skipped.path}: {skipped.reason}", "dim")
    if len(audit.skipped) > LONGEST_SKIPPED:
        say(f"... and {len(audit.skipped) - LONGEST_SKIPPED} more", "dim")
    say(_summary(audit), "bold")


def _summary(audit: Audit) -> str:
    findings, files = _count(len(audit.findings), "finding"), _count(audit.files, "file")
    parts = [f"{findings} in {files} ({_count(audit.lines, 'line')})"]
    if audit.ignored:
        parts.append(f"{audit.ignored} ignored by comments")
    if audit.skipped:
        parts.append(f"{len(audit.skipped)} files skipped")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
