"""The cells of the notebook on production where the pool was too small for the target."""

from __future__ import annotations

import pytest

from poolkit.observe.run import from_windows
from poolkit.workbook.production import Seen
from tests.analysis.day import SIX, day
from tests.notebooks.test_without_a_sweep import MISSING, shown_by
from tests.show.test_windows import TARGET


def test_every_cell_says_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """The day, the waits and the curve are shown, "cannot say" where a size would be, and a way."""
    seen = Seen(TARGET, from_windows(TARGET, day(SIX[3], 8, seconds=100.0), "simulated"))
    shown = shown_by("07_from_production.ipynb", seen, "seen")
    assert len(shown) > 6
    for cell, words in shown.items():
        assert not MISSING.search(words), (cell, words)
    text = " ".join(shown.values()) + capsys.readouterr().out  # where `display` writes
    assert "Recorded." in text
    assert "| orders-db | – | 8 | ✓ trusted |" in text
    assert "Cannot say: with 8 connections in use" in text
    assert "Not answered: the target; today's busiest window; 1.25 times that; the target" in text
    assert "A pool of 8 cannot show that: raise the size to" in text
