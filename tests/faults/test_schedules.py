"""Arrivals of the reader's own, sent to a real server from Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from poolkit.errors import BadInput, BrakeStop
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.arrivals import ramp, replay
from poolkit.measure import measure_arrivals
from poolkit.measure.store import TrialLog
from poolkit.targets import Target

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def upstream() -> Iterator[HttpUpstream]:
    with HttpUpstream(Workers(workers=16, service_time=0.005)) as server:
        yield server


def target(upstream: HttpUpstream, **more: float) -> Target:
    return Target(name="t", driver="aiohttp", url=upstream.url, target_rate=50.0, **more)


def test_a_ramp_and_a_replay_are_trials(tmp_path: Path, upstream: HttpUpstream) -> None:
    """Every call of the schedule has its outcome, and both trials are on disk."""
    recorded = [1000.0 + 0.05 * n for n in range(20)]
    first = measure_arrivals(
        target(upstream), ramp(0.0, 100.0, 1.0, seed=3), pool_size=4, seconds=1.0, out=tmp_path
    )
    second = measure_arrivals(
        target(upstream), replay(recorded, speed=2.0), pool_size=4, seconds=0.5, out=tmp_path
    )
    assert first.outcomes == {"ok": len(list(ramp(0.0, 100.0, 1.0, seed=3)))}
    assert second.outcomes == {"ok": 20}
    assert TrialLog(tmp_path / "t.arrivals.jsonl").read() == [first, second]


def test_a_schedule_keeps_to_the_targets_caps(tmp_path: Path, upstream: HttpUpstream) -> None:
    """It may neither be faster than max_rate nor use more connections than max_size."""
    held = target(upstream, max_rate=60.0, max_size=4)
    with pytest.raises(BrakeStop, match="the schedule asked for more than max_rate = 60"):
        measure_arrivals(held, replay([0.0] * 80), pool_size=4, seconds=1.0, out=tmp_path)
    with pytest.raises(BadInput, match="max_size = 4, got 5"):
        measure_arrivals(held, [], pool_size=5, seconds=1.0, out=tmp_path)
