"""A limit of a real server on loopback: the session goes on, and the number is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolkit.analysis.limits import limits
from poolkit.errors import BrakeStop, ExitCode
from poolkit.measure import limit_search
from poolkit.measure.session import Session
from poolkit.measure.sweep import SweepLimits, TrialPlan
from poolkit.targets import Target
from tests.faults.driving import target_of
from tests.faults.shedding import SheddingServer

pytestmark = pytest.mark.lab
PLACES = 5
LIMITS = SweepLimits(max_size=16, budget=10.0)


def session_of(server: SheddingServer, folder: Path) -> tuple[Target, Session]:
    target = target_of("aiohttp", f"http://127.0.0.1:{server.port}/", max_size=16)
    log = folder / "faulty.trials.jsonl"
    return target, Session(target, log, lambda _event: None, budget=10.0, deadline=60.0)


def closed(size: int) -> TrialPlan:
    return TrialPlan("ramp", size, 0.2, 0.8, "a test", callers=size, gated=False)


def test_the_limit_of_a_real_server_is_found_and_kept(tmp_path: Path) -> None:
    """Refused trials end none but themselves; a resumed session asks no more of them."""
    with SheddingServer(PLACES, 0.02, 503) as server:
        target, session = session_of(server, tmp_path)

        async def steps() -> ExitCode:
            for size in (2, 4, 8):
                await session.run(closed(size), seed=size)
            while plan := limit_search.next_trial(session.trials, target, LIMITS, left=20.0):
                await session.run(plan, seed=len(session.trials))
            return ExitCode.DONE

        assert session.carry_out(steps) is ExitCode.DONE
        assert server.shed < 60
    (limit,) = limits(session.trials)
    assert (limit.kind, limit.value, limit.interval95) == ("at_once", PLACES, (PLACES, PLACES))
    assert "rejected" in {trial.stopped for trial in session.trials}
    log = tmp_path / "faulty.trials.jsonl"
    resumed = Session(target, log, lambda _event: None, budget=10.0, deadline=60.0)
    assert [t.stopped for t in resumed.trials] == [t.stopped for t in session.trials]
    assert limit_search.next_trial(resumed.trials, target, LIMITS, left=20.0) is None


def test_a_server_that_turns_everything_away_ends_the_run_by_name(tmp_path: Path) -> None:
    """The first call gets through, the load does not: no search, and the brake is named."""
    with SheddingServer(PLACES, 0.02, 429) as server:
        _, session = session_of(server, tmp_path)

        async def steps() -> ExitCode:
            server.places = 0
            await session.run(closed(4), seed=1)
            return ExitCode.DONE

        with pytest.raises(BrakeStop) as stop:
            session.carry_out(steps)
    assert stop.value.brake == "rejected"
    assert server.shed < 60
