"""`poolkit doctor`: this machine and installation."""

from __future__ import annotations

import typer

from poolkit.cli.trouble import told


@told()
def doctor() -> None:
    """Look at this machine for what would spoil a measurement, and say what to do about it.

    Sends nothing. Exit code 1: something is not well.
    """
    from poolkit.cli import consoles, tables
    from poolkit.doctor import examine
    from poolkit.errors import ExitCode

    found = examine()
    consoles.results().print(tables.checks(found))
    is_well = all(check.passed for check in found)
    raise typer.Exit(int(ExitCode.DONE if is_well else ExitCode.FINDINGS))
