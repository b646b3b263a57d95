"""`poolkit size` on a server with a limit and a target below it: a size, and no push."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.trials import run_command
from tests.real_servers import most_allowed, most_in_window, uvicorn

RATE = 350.0


@pytest.mark.alone
@pytest.mark.lab
def test_a_target_below_the_limit_gets_its_size_without_pushing(tmp_path: Path) -> None:
    """uvicorn takes 11 connections with a limit of 12; 350 calls/s of 18 ms need 10 of them."""
    path = tmp_path / "targets.toml"
    with uvicorn(limit_concurrency=12) as server:
        path.write_text(
            f'[targets.api]\ndriver = "aiohttp"\nurl = "{server.address}"\npush = false\n'
            f"target_rate = {RATE}\nwait_p99 = 0.01\n"
        )
        ran = run_command("size", "api", path, os.environ)
        statuses, arrivals = server.statuses(), server.arrivals()
    found = ran.recommendation
    assert found is not None
    assert ran.exit_code == 0
    assert found.recommended_size in (9, 10, 11)
    assert found.verification is not None
    assert not found.push
    assert most_in_window(arrivals, 5.0) <= most_allowed(RATE, 5.0)
    assert statuses[503] <= 0.05 * statuses[200]
