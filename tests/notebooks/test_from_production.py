"""The cells of the notebook on production: a pool too small for its target, and averages."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from poolkit.observe.run import from_windows
from poolkit.workbook import production
from poolkit.workbook.production import Seen
from tests.analysis.day import SIX, day
from tests.analysis.test_averages import PARALLEL
from tests.notebooks.test_without_a_sweep import MISSING, shown_by
from tests.observe.fake import Averaging, serving
from tests.observe.test_observe import now
from tests.show.test_windows import TARGET

TOML = """\
[targets.orders-db]
driver = "asyncpg"
dsn = "postgresql://orders@127.0.0.1:9/orders"
statements = ["select 1"]
target_rate = 390
wait_p99 = 0.010
max_size = 64
production = {{ prometheus = "{url}", pool = "orders-db", preset = "{preset}" }}
"""


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
    assert "Not answered: the target rate; today's busiest window; 1.25 times today's" in text
    assert "A pool of 8 cannot show that: raise the size to" in text


@pytest.mark.parametrize(
    ("preset", "told"),
    [
        (
            "hikaricp",
            (
                "| orders-db | ⚠ 16 | 16 | ✓ trusted | 390 calls/s |",
                "calls take 1.25 times as long",
                "Averages were read, and that answers all of it.",
            ),
        ),
        (
            "sqlalchemy",
            (
                "| orders-db | – | – | ⚠ not trusted | 390 calls/s | – |",
                "Not answered: the target rate. A counter of all calls beside",
            ),
        ),
    ],
)
def test_a_pool_whose_library_exports_averages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str, told: tuple[str, ...]
) -> None:
    """What they tell, and in place of what they do not tell that it is so."""
    file = tmp_path / "targets.toml"
    fake = Averaging(now(day(PARALLEL, 16, seconds=100.0)), preset=preset)
    with serving(fake):
        file.write_text(TOML.format(url=fake.url, preset=preset), encoding="utf-8")
        environment = {"POOLKIT_SOURCE": str(file)}
        seen = asyncio.run(production.observed(since=100.0, environment=environment))
    shown = shown_by("07_from_production.ipynb", seen, "seen")
    for cell, words in shown.items():
        assert not MISSING.search(words), (cell, words)
    text = " ".join(shown.values()) + capsys.readouterr().out
    nothing = "Averages do not tell the throughput at each number", "No histogram of waits."
    for words in (*nothing, *told):
        assert words in text
