"""`--help` of every command, and the exit codes that it, the code and README tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from poolkit.cli.application import app
from poolkit.cli.help import CODES
from poolkit.errors import ExitCode

ROOT = Path(__file__).parents[2]
COMMANDS: Any = getattr(typer.main.get_command(app), "commands")  # noqa: B009


def run(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command", ["", "demo", "review", "size", "sweep", "probe", "observe", "audit", "lab"]
)
@pytest.mark.parametrize("columns", [60, 80])
def test_help_reads_well(monkeypatch: pytest.MonkeyPatch, command: str, columns: int) -> None:
    """It fits, breaks no word, names no type of Python's, and its exit codes are those of code."""
    monkeypatch.setenv("COLUMNS", str(columns))
    _, stdout, _ = run(*([command] if command else []), "--help")
    shown, examples = stdout.rsplit("\n\n", 1)
    assert max(map(len, shown.splitlines())) <= columns
    assert not re.search(r"<\w+>|list\[|\[x>=|│", stdout)
    text = " ".join(stdout.split())
    for code in CODES[command] if command else ExitCode:
        assert f" {int(code)} {code.meaning}" in text
    if command:
        for line in examples.splitlines()[1:]:
            assert line.split()[:2] == ["poolkit", command]
            words = line.partition(" > ")[0].split()[2:]
            assert not COMMANDS[command].make_context(command, words).args


def test_readme_has_the_exit_codes_of_the_code() -> None:
    """One table, in the words of the help."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(str(int(code)), code.meaning) for code in ExitCode]
