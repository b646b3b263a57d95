"""Averages of other people's pools: what a reader sees of them, and metrics that are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup

from poolkit.analysis.windows import Windows
from poolkit.report import page
from poolkit.report.folder import read_review
from tests.analysis.day import SIX, day
from tests.analysis.test_averages import PARALLEL
from tests.observe.fake import Averaging, Reply
from tests.observe.test_observe import ERROR, now, observe, refusing


@pytest.fixture(scope="module")
def parallel() -> Windows:
    """A day of an upstream whose calls take as long whatever the load, with 16 connections."""
    return day(PARALLEL, 16, seconds=300.0)


def averaged(fake: Averaging, folder: Path, more: str = "", rate: int = 390) -> Any:
    return observe(fake, folder, more=f', preset = "{fake.preset}"{more}', rate=rate)


def told(done: Any) -> str:
    return " ".join(done.output.split())


@pytest.mark.parametrize("preset", ["hikaricp", "opentelemetry", "psycopg_pool", "pgbouncer"])
def test_what_is_seen_of_averages(parallel: Windows, tmp_path: Path, preset: str) -> None:
    """Source, size, trust, what was told and what was not; no empty chart and no empty table."""
    done = averaged(Averaging(now(parallel), preset=preset), tmp_path)
    assert done.exit_code == 0, done.output
    for words in ("no load was sent", "✓ trusted", "rests on", "not told", "hold time 25 ms"):
        assert words in told(done)
    review = read_review(tmp_path / "out")
    decision: Any = BeautifulSoup(page.decision(review).html, "html.parser")
    shown = decision.get_text(" ", strip=True)
    assert "and no load was sent" in shown
    assert "✓ Trusted: mean wait" in shown
    assert "rate carried" not in shown
    section: Any = BeautifulSoup(page.section(review.targets[0], review).html, "html.parser")
    captions = [caption.get_text() for caption in section.select("table caption")]
    assert captions[:2] == [f"From averages of {preset}", "What one pool needs"]
    assert section.select_one("#target-orders-db-chart") is None
    assert all(len(table.select("tbody td")) for table in section.select("table"))
    assert page.prediction(review).rows[0][1].startswith("none")
    limit = {one.name: one for one in review.targets[0].recommendation.parameters}
    assert limit["statement_timeout"].value == 1.2
    assert "hold p99, taken as 4.6 times the mean, was 1" in limit["statement_timeout"].because


def test_what_would_let_it_say(tmp_path: Path) -> None:
    """Hold times that grow: no size, and beside the decision why, and with what there would be."""
    done = averaged(Averaging(now(day(SIX[3], 24, seconds=300.0))), tmp_path, rate=450)
    assert done.exit_code == 4, done.output
    review = read_review(tmp_path / "out")
    shown = page.decision(review).html
    assert "Production does not tell a size for 450 calls/s" in shown
    assert "Cannot say: a call takes" in shown
    assert "poolkit.monitor in the service" in shown
    assert told(done).count("cannot say: a call takes") == 2  # as it is found, and of the check


def gaps(windows: Windows) -> Windows:
    holds = windows.holds
    total = np.where(np.arange(windows.ends.size) % 7 == 0, np.nan, holds.total)
    return replace(windows, holds=replace(holds, total=total))


def late(windows: Windows) -> Windows:
    """Scraped for the last two windows alone."""
    asks = windows.asks.copy()
    asks[:-2] = np.nan
    return replace(windows, asks=asks)


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize(
    ("spoilt", "code", "words"),
    [
        (gaps, 0, "trusted"),
        (late, 2, "--since 1m"),
        (lambda w: replace(w, asks=w.asks * 0.0), 2, "and 0 calls in them"),
        (
            lambda w: replace(w, asks=w.asks * np.nan),
            2,
            "is there, but tells nothing",
        ),
        (lambda w: replace(w, most_size=30.0), 0, "30 connections in production"),
        (lambda w: replace(w, least_size=math.inf, most_size=math.inf), 1, "size of the pool"),
    ],
)
def test_averages_with_gaps(
    parallel: Windows,
    tmp_path: Path,
    spoilt: Callable[[Windows], Windows],
    code: int,
    words: str,
    absent: bool,
) -> None:
    """NaN, and points that are not there, as behind a stale marker: left out, or told."""
    done = averaged(Averaging(now(spoilt(parallel)), absent=absent), tmp_path)
    assert done.exit_code == code, done.output
    assert words in told(done)


@pytest.mark.parametrize(
    ("lacks", "code", "words"),
    [
        ("acquired", 2, "Prometheus has no hikaricp_connections_usage_seconds_count"),
        ("hold", 2, "Prometheus has no hikaricp_connections_usage_seconds_sum"),
        ("in_use", 2, "Prometheus has no hikaricp_connections_active"),
        ("size", 1, "Prometheus has no hikaricp_connections_max"),
        ("wait", 0, "Prometheus has no hikaricp_connections_acquire_seconds_sum"),
        ("timeouts", 0, "Prometheus has no hikaricp_connections_timeout_total"),
    ],
)
def test_quantities_under_another_name(
    parallel: Windows, tmp_path: Path, lacks: str, code: int, words: str
) -> None:
    """An error where a size needs it; else it is told that it is not there."""
    done = averaged(Averaging(now(parallel), lacks=(lacks,)), tmp_path)
    assert done.exit_code == code, done.output
    assert words in told(done)


def test_a_cap_beyond_all_need_takes_no_memory(parallel: Windows, tmp_path: Path) -> None:
    """Sizes are looked for up to where no call waits."""
    fake = Averaging(now(parallel), preset="hikaricp")
    more = ', preset = "hikaricp"'
    done = observe(fake, tmp_path, more=more, rate=390, keys="max_size = 1000000\n")
    assert done.exit_code == 0, done.output
    assert "trusted" in told(done)


def test_figures_beyond_all_measure_are_none(parallel: Windows, tmp_path: Path) -> None:
    """Each counts as not told, and the rest is."""
    most = np.where(np.arange(parallel.ends.size) % 7 == 0, 1e300, 1.0)
    waits = replace(parallel.waits, total=parallel.waits.total * most)
    for spoilt in (replace(parallel, waits=waits), replace(parallel, asks=parallel.asks * most)):
        done = averaged(Averaging(now(spoilt)), tmp_path)
        assert done.exit_code == 0, done.output


def test_two_jobs_with_the_same_pool(parallel: Windows, tmp_path: Path) -> None:
    """One must be chosen."""
    two = Averaging(now(parallel), jobs=({"job": "orders"}, {"job": "staging"}))
    done = averaged(two, tmp_path)
    assert (done.exit_code, "by 2 jobs: orders, staging" in told(done)) == (2, True)
    assert averaged(two, tmp_path, ', job = "orders"').exit_code == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (refusing(422, ERROR), "Prometheus refused a query: invalid parameter"),
        (refusing(401, b""), "production.token_env names the variable"),
        (refusing(200, b'{"status": "success", "data": {"resultTy'), "or only in part"),
        (refusing(200, b"<html>"), "did not answer as Prometheus does"),
        (
            refusing(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
            "correct the name and set production.preset",
        ),
    ],
)
def test_answers_that_are_none(
    parallel: Windows, tmp_path: Path, fault: Callable[..., Reply | None], words: str
) -> None:
    """As for counts by number in use: exit 2, cause and remedy."""
    done = averaged(Averaging(now(parallel), fault=fault), tmp_path)
    assert done.exit_code == 2, done.output
    assert words in told(done)
