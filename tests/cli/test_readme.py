"""What README prints below a command is what the command prints."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.testing import CliRunner

from poolkit.cli.application import app
from tests.house import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"poolkit (history data/[^\n]*)\n\n```text\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("command", "lines"), SHOWN)
def test_what_is_printed_is_so(command: str, lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line for line, of the committed recordings; what is left out may be."""
    monkeypatch.chdir(ROOT)
    printed = CliRunner().invoke(app, shlex.split(command), env={"COLUMNS": "100"}).output
    known = {" ".join(line.split()) for line in printed.splitlines()}
    assert [line for line in lines.splitlines() if " ".join(line.split()) not in known] == []


def test_there_are_some() -> None:
    """Of the forecast and of the gates."""
    assert len(SHOWN) == 2
