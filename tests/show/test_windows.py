"""What production counted over time, as a chart and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import SecretStr

from poolkit.analysis.averages import Averages
from poolkit.analysis.windows import Windows
from poolkit.observe.run import Observation, from_windows
from poolkit.show import charts
from poolkit.targets import Target
from tests.analysis.day import SIX, day

TARGET = Target(
    name="orders-db",
    driver="asyncpg",
    dsn=SecretStr("postgresql://orders@127.0.0.1/orders"),
    statements=("select 1",),
    target_rate=400,
    wait_p99=0.01,
    max_size=64,
)


@pytest.fixture(scope="module")
def windows() -> Windows:
    """A day of 600 s with a minute that nobody scraped."""
    whole = day(SIX[3], 24)
    held = whole.held.copy()
    held[60:72] = np.nan
    return replace(whole, held=held)


@pytest.fixture(scope="module")
def found(windows: Windows) -> Observation:
    return from_windows(TARGET, windows, "simulated")


def test_the_course_of_a_day(windows: Windows, found: Observation) -> None:
    """Rates above with the target, connections below with the size; what is missing is a gap."""
    production = found.recommendation.production
    assert production is not None
    assert (found.queries, production.left_out) == (0, 12)
    top = charts.windows(production, windows, 400.0)
    below = top.figure.axes[1]
    rates, target = (np.asarray(line.get_ydata(), float) for line in top.lines)
    in_use, size = (np.asarray(line.get_ydata(), float) for line in below.lines)
    assert np.isnan(rates).sum() == np.isnan(in_use).sum() == 1
    assert (set(target), set(size)) == ({400.0}, {24.0})
    assert 100 < np.nanmin(rates) < 150 < 420 < np.nanmax(rates) < 480
    said = charts.windows_alt(production, windows)
    assert said.startswith(
        "110 to 453 calls/s kept 1.1 to 7.4 connections busy on average, and at most 21 at once. "
        "108 windows of 5 s. Part 1 of 8: "
    )


def test_averages_that_count_no_calls(found: Observation) -> None:
    """Connections in use alone; the place of the rates says why it is empty."""
    production = found.recommendation.production
    assert production is not None
    none = np.full(20, np.nan)
    ends, ones = 1.75e9 + np.linspace(0.0, 1140.0, 20), np.ones(20)
    known = Averages(60.0, ends, ones, 1.0 + ones, none, none, none, none, none, none)
    production = production.model_copy(update={"size_now": None})
    top = charts.windows(production, known, None)
    assert [text.get_text() for text in top.texts] == ["not counted"]
    assert "nan" not in charts.windows_alt(production, known)
