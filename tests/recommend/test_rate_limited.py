"""The whole command on a server that answers 429 above a rate: no pool is the answer to that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recommend.quota import Quota

pytestmark = pytest.mark.lab

QUOTA = 250.0  # calls/s


def sized(quota: Quota, target_rate: float, folder: Path) -> tuple[int, dict[str, Any]]:
    """The exit code of `poolkit size` and what recommended.json says."""
    targets = folder / "targets.toml"
    targets.write_text(
        f'[targets.quota]\ndriver = "aiohttp"\nurl = "{quota.url}"\n'
        f"target_rate = {target_rate}\nwait_p99 = 0.020\nmax_size = 32\n"
    )
    out = folder / "out"
    command = ["size", "quota", "--targets", str(targets), "--out", str(out), "--budget", "12"]
    done = subprocess.run(
        [sys.executable, "-m", "poolkit", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    content = json.loads((out / "recommended.json").read_text(encoding="utf-8"))
    return done.returncode, content["targets"][0]


def test_more_than_the_quota_is_out_of_reach_whatever_the_pool(tmp_path: Path) -> None:
    """Asked for twice the quota: no size, verdict rate_limited, and the way out is no pool."""
    with Quota(QUOTA, 0.02) as quota:
        code, found = sized(quota, 2 * QUOTA, tmp_path)
    assert quota.refused > 0
    assert found["verdict"] == "rate_limited"
    assert found["recommended_size"] is None
    assert found["parameters"] == []
    assert code in (3, 4)
    # A bucket adds an eighth of a second's worth to a trial, and short trials tell no better.
    assert found["reachable_rate"] is None or found["reachable_rate"] < 1.25 * QUOTA
    told = " ".join(check["seen"] + check["next"] for check in found["checks"])
    assert "429" in told
    assert "larger pool" in told
    assert "quota" in told
