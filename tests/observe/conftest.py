"""What all of these share."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.cli import reviewing


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report takes seconds; one test makes it."""
    monkeypatch.setattr(reviewing, "make_report", None)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are kept below the working folder."""
    monkeypatch.chdir(tmp_path)
