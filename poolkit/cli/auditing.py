"""`poolkit audit` and `poolkit doctor`: what is looked for without sending anything."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poolkit.cli.terminal import told

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from poolkit.audit import Audit, Finding, Rule

LONGEST_SKIPPED = 10  # files named one by one; JSON and SARIF name all of them


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


@told()
def audit(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files or folders with Python source.")
    ],
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    max_connections: Annotated[
        int | None,
        typer.Option(
            "--max-connections",
            metavar="N",
            min=1,
            help="Connections that this service may open at its database: pools that together may "
            "open more are found.",
            show_default=False,
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
        typer.Option(
            "--server-keepalive",
            metavar="SECONDS",
            min=0.1,
            help="How long the HTTP server keeps an idle connection (see `poolkit probe`).",
            show_default=False,
        ),
    ] = None,
    db_idle: Annotated[
        float | None,
        typer.Option(
            "--db-idle",
            metavar="SECONDS",
            min=0.1,
            help="How long the database, or what is in between, keeps an idle connection.",
            show_default=False,
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


@told()
def doctor() -> None:
    """Look at this machine for what would spoil a measurement, and say what to do about it.

    Sends nothing. Exit code 1: something is not well.
    """
    from poolkit.cli import tables, terminal
    from poolkit.doctor import examine
    from poolkit.errors import ExitCode

    found = examine()
    terminal.results().print(tables.checks(found))
    is_well = all(check.passed for check in found)
    raise typer.Exit(int(ExitCode.DONE if is_well else ExitCode.FINDINGS))


def _print(console: Console, audit: Audit) -> None:
    from poolkit.audit.output import by_rule

    for rule, found in by_rule(audit.findings):
        _print_rule(console, rule, found)
    for skipped in audit.skipped[:LONGEST_SKIPPED]:
        console.print(_plain(f"skipped {skipped.path}: {skipped.reason}", "dim"))
    if len(audit.skipped) > LONGEST_SKIPPED:
        console.print(_plain(f"... and {len(audit.skipped) - LONGEST_SKIPPED} more", "dim"))
    console.print(_plain(_summary(audit), "bold"))


def _print_rule(console: Console, rule: Rule, found: list[Finding]) -> None:
    from rich.padding import Padding
    from rich.syntax import Syntax

    console.print(_plain(f"{rule.name}: {rule.what}", "bold"))
    for finding in found:
        # One line a place, never wrapped: editors and terminals open path:line:column by a click.
        place = f"{finding.path}:{finding.line}:{finding.column}"
        console.print(_plain(f"  {place}  {finding.message}"), soft_wrap=True)
        console.print(_plain(f"      {finding.code}", "dim"), soft_wrap=True)
    console.print(Padding(_plain(f"Why: {rule.why}"), (0, 0, 0, 2)))
    console.print(_plain("  Instead:"))
    cure: RenderableType = Syntax(rule.cure.rstrip(), "python", background_color="default")
    console.print(Padding(cure, (0, 0, 0, 6)))
    console.print(_plain(f"  More: notebooks/{rule.notebook}\n", "dim"))


def _plain(text: str, style: str = "") -> RenderableType:
    """Text that holds source: its square brackets are no markup."""
    from rich.text import Text

    return Text(text, style=style)


def _summary(audit: Audit) -> str:
    count = len(audit.findings)
    parts = [
        f"{count} finding{'' if count == 1 else 's'} in {audit.files} "
        f"file{'' if audit.files == 1 else 's'} ({audit.lines:,} "
        f"line{'' if audit.lines == 1 else 's'})"
    ]
    if audit.ignored:
        parts.append(f"{audit.ignored} ignored by comments")
    if audit.skipped:
        parts.append(f"{len(audit.skipped)} files skipped")
    return ", ".join(parts)
