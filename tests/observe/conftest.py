"""What all of these share."""

from __future__ import annotations

import pytest

from poolkit.cli import reviewing


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report takes seconds; one test makes it."""
    monkeypatch.setattr(reviewing, "make_report", None)
