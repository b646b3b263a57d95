"""What cold starts ask for becomes parameters and code, and nothing where none were tried."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from poolkit.drivers.parameters.findings import Findings, IdleLimit
from poolkit.recommend import recommend
from poolkit.records import ColdStart, Recommendation
from poolkit.review import codegen
from poolkit.targets import Target
from tests.analysis.test_cold import start
from tests.recommend.examples import (
    database_target,
    http_target,
    sizing,
    verification,
    verifying_trial,
)
from tests.review.test_codegen import Upstream, imported

SIZE = 6
LAZY = start()
WARM = start(min_size=3, is_warm=True, wait_p99=0.002, dial_rate=20.0)
SPREAD = start(min_size=3, is_warm=True, wait_p99=0.002, jitter=0.8)


def begun(target: Target, *starts: ColdStart, **more: Any) -> Recommendation:
    trials = [verifying_trial(pool_size=SIZE)] + [
        verifying_trial(purpose="cold", pool_size=SIZE, pools=target.pools, cold=cold, checks=())
        for cold in starts
    ]
    made = sizing(size=SIZE)
    return recommend(target, made, verification(), trials, "done", 30.0, size=SIZE, **more)


def values(found: Recommendation) -> dict[str, Any]:
    return {row.name: row.value for row in found.parameters}


def test_a_library_with_a_min_size_gets_it() -> None:
    """asyncpg and psycopg dial it as their pool opens, which the lifespan waits for."""
    for driver in ("asyncpg", "psycopg"):
        found = begun(database_target(driver=driver, replicas=4), LAZY, WARM, SPREAD)
        assert values(found)["min_size"] == 3
        assert values(found)["start_jitter"] == 0.8
        assert found.cold is not None
        assert found.cold.login_rate == 20.0
        row = next(row for row in found.parameters if row.name == "min_size")
        assert "50 ms (p99)" in row.because
        assert row.source == "measured"


def test_what_others_decided_stays() -> None:
    """A min_size of targets.toml; 0 where a probe saw the server close idle ones; none tried."""
    set_by_hand = begun(database_target(min_size=2), LAZY, WARM)
    assert values(set_by_hand)["min_size"] == 2
    closes = IdleLimit(kind="closed", timeout=5.0, bounds=(4.9, 5.1), cap=75.0, seen="x")
    assert values(begun(database_target(), LAZY, WARM, probe=Findings(closes)))["min_size"] == 0
    plain = begun(database_target(replicas=4))
    assert plain.cold is None
    assert "start_jitter" not in values(plain)
    in_time = begun(database_target(), start(wait_p99=0.001))
    assert values(in_time)["min_size"] == SIZE


@pytest.mark.parametrize("driver", ["aiohttp", "httpx"])
def test_an_http_service_dials_before_it_is_ready(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of pools.py on a real server: connections are up when the lifespan yields."""
    drawn: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda *ends: drawn.append(ends) or 0.0)

    async def scenario() -> None:
        async with Upstream(hold=0.05) as upstream:
            target = http_target(driver=driver, url=upstream.url, replicas=4)
            found = begun(target, LAZY, WARM, SPREAD)
            assert values(found)["warm_up"] == 3
            module = imported(codegen.render([found], [target]), tmp_path)
            async with module.lifespan(object()) as state:
                assert state["pools"].orders_api is not None
                assert upstream.busiest == 3
            assert drawn == [(0.0, 0.8)]

    asyncio.run(scenario())


def test_cold_starts_are_no_doubt_of_the_size() -> None:
    """Their dials are slow on purpose: checks and verification are those of the others."""
    with_them, without = begun(database_target(), LAZY, WARM), begun(database_target())
    assert with_them.checks == without.checks
    assert with_them.verification == without.verification
