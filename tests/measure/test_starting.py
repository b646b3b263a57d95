"""Cold starts on real servers: PostgreSQL with scram, and TLS behind a line that dials slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from poolkit.analysis.cold import Opening
from poolkit.errors import ExitCode
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
from poolkit.measure.session import Session
from poolkit.measure.sweep import TrialPlan
from poolkit.records import ColdStart, Trial
from poolkit.targets import Target
from tests.faults.proxy import FaultProxy

pytestmark = pytest.mark.lab
RATE = 60.0  # calls/s
POOLS, SIZE = 2, 3
SECONDS = 1.0  # of a trial
DIAL = 0.3  # s that a dial through the slow line takes


def cold_trials(target: Target, out: Path, *openings: Opening) -> list[Trial]:
    """A trial in service, as there is before any cold start, then these."""
    session = Session(target, out / "t.jsonl", lambda _: None, budget=60.0, deadline=120.0)

    async def steps() -> ExitCode:
        for number, cold in enumerate((None, *openings)):
            purpose: Any = "verify" if cold is None else "cold"
            size, pools = (1, 1) if cold is None else (SIZE, POOLS)
            plan = TrialPlan(
                purpose, size, 0.0, SECONDS, "a test", pools=pools, rate=RATE, cold=cold
            )
            await session.run(plan, 7 + number)
        return ExitCode.DONE

    session.carry_out(steps)
    return session.trials[1:]


def begun(target: Target, out: Path, *openings: Opening) -> list[ColdStart]:
    return [trial.cold for trial in cold_trials(target, out, *openings) if trial.cold is not None]


def opening(min_size: int, *, warm: bool = False, jitter: float = 0.0) -> Opening:
    return Opening(min_size, warm, jitter, 0.010)


def sessions(dsn: str) -> int:
    """Logins that the database has seen, this one not among them."""

    async def go() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            seen = await connection.fetchval(
                "select sessions from pg_stat_database where datname = current_database()"
            )
            return int(seen)
        finally:
            await connection.close()

    return asyncio.run(go())


def until(what: Callable[[], bool]) -> None:
    """Wait for what the server tells late."""
    ends = time.monotonic() + 10.0
    while not what():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.2)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg", "sqlalchemy"])
def test_pools_on_postgresql_begin_empty(
    driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is dialled before it is asked for; then all at once, and before the first call."""
    with PostgresServer(accounts=10) as server:
        monkeypatch.setenv("COLD_DSN", server.dsn)
        target = Target(
            name="t", driver=driver, dsn_env="COLD_DSN", statements=("select pg_sleep(0.005)",),
            target_rate=RATE, wait_p99=0.010, replicas=POOLS, max_size=16,
        )  # fmt: skip
        lazy, stormy, warm = cold_trials(
            target, tmp_path, opening(0), opening(SIZE), opening(SIZE, warm=True, jitter=0.3)
        )
        for trial in (lazy, stormy, warm):
            assert sum(trial.outcomes.values()) == round(SECONDS * RATE)
            # A call that is due in the last moment may not begin on a busy machine.
            assert trial.outcomes["ok"] >= round(SECONDS * RATE) - 2
        starts = [trial.cold for trial in (lazy, stormy, warm) if trial.cold is not None]
        assert len(starts) == 3
        assert all(1 <= s.dials <= POOLS * SIZE for s in starts)
        assert all(s.refused == s.failed == 0 for s in starts)
        assert all(s.first_reply is not None and s.wait_p99 is not None for s in starts)
        assert starts[0].dial_rate is None
        if driver != "sqlalchemy":  # which has no min_size: all that is dialled is by need
            assert [s.dials for s in starts[1:]] == [POOLS * SIZE] * 2
            assert min(s.dial_rate or 0.0 for s in starts[1:]) > 0.0
            # The first caller waits until its pool has opened.
            assert (starts[1].first_reply or 0.0) > 0.0
            before = sum(s.dials for s in starts)
            until(lambda: sessions(server.dsn) >= before)
        # They say nothing of a service that is up.
        assert all(not trial.in_use and not trial.checks for trial in (lazy, stormy, warm))


def test_a_server_without_room_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for 4 of 6 logins: some are refused, callers get nothing, and the run goes on."""
    with PostgresServer(accounts=10, max_connections=7) as server:
        monkeypatch.setenv("COLD_DSN", server.dsn)
        target = Target(
            name="t", driver="asyncpg", dsn_env="COLD_DSN", statements=("select 1",),
            target_rate=RATE, wait_p99=0.010, replicas=POOLS, max_size=4,
        )  # fmt: skip
        refused, calm = begun(target, tmp_path, opening(SIZE), opening(1))
    assert refused.refused > 0
    assert refused.ready is None
    assert not refused.holds
    assert calm.dials >= POOLS


class SlowLine(FaultProxy):
    """A line on which every new connection takes `DIAL` s before anything comes through."""

    dials = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials += 1
        await asyncio.sleep(DIAL)
        await super()._serve(reader, writer)


@pytest.mark.skipif(not can_speak_tls(), reason="trustme is not installed")
def test_slow_tls_dials_are_seen_and_a_warm_up_ends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first callers wait for the handshake; dialled before them, nobody does."""
    with (
        HttpUpstream(Workers(workers=16, service_time=0.005), tls_names=["localhost"]) as server,
        SlowLine(server.port) as line,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        target = Target(
            name="t", driver="httpx", url=f"https://localhost:{line.port}/",
            target_rate=RATE, wait_p99=0.010, replicas=POOLS, max_size=16,
        )  # fmt: skip
        before = line.dials
        lazy, warm = begun(target, tmp_path, opening(0), opening(SIZE, warm=True))
        assert lazy.wait_p99 is not None
        assert lazy.wait_p99 >= DIAL
        assert (lazy.first_reply or 0.0) >= DIAL
        assert not lazy.holds
        assert warm.wait_p99 is not None
        assert warm.wait_p99 < DIAL
        assert (warm.ready or 0.0) >= DIAL
        assert warm.dials == POOLS * SIZE
        # The first call and the trial in service dial one each.
        assert line.dials - before == lazy.dials + warm.dials + 2
