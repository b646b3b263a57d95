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
from poolkit.events import Event, Recommended
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream, can_speak_tls
from poolkit.measure import cold, measure
from poolkit.measure.child import Order
from poolkit.measure.session import Session
from poolkit.measure.store import TrialLog
from poolkit.measure.sweep import TrialPlan, spent
from poolkit.records import ColdStart, Trial
from poolkit.targets import Target
from tests.analysis.synthetic import drawn_sweep, drawn_trial, workers_curve
from tests.faults.proxy import FaultProxy
from tests.measure.test_verify import waits

pytestmark = pytest.mark.lab
RATE = 60.0  # calls/s
POOLS, SIZE = 2, 3
SECONDS = 1.0  # of a trial
DIAL = 0.3  # s that a dial through the slow line takes


def cold_trials(target: Target, out: Path, *openings: Opening) -> list[Trial]:
    """A trial in service, as there is before any cold start, then these."""
    session = Session(target, out / "t.jsonl", lambda _: None, budget=60.0, deadline=120.0)

    async def steps() -> ExitCode:
        for number, one in enumerate((None, *openings)):
            purpose: Any = "verify" if one is None else "cold"
            size, pools = (1, 1) if one is None else (SIZE, POOLS)
            plan = TrialPlan(
                purpose, size, 0.0, SECONDS, "a test", pools=pools, rate=RATE, cold=one
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


@pytest.mark.parametrize("driver", ["asyncpg", "sqlalchemy"])
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


def test_a_size_with_cold_starts_keeps_its_budget_and_resumes(tmp_path: Path) -> None:
    """What is left is spent on them, never above the target rate; the size and its trials stay."""
    with HttpUpstream(Workers(workers=16, service_time=0.02)) as server:
        target = Target(
            name="t", driver="aiohttp", url=server.url, target_rate=RATE, wait_p99=0.02,
            max_size=16, push=False,
        )  # fmt: skip
        in_service = {"purpose": "verify", "loop": "open", "arrival_rate": RATE, "callers": None}
        verified = drawn_trial(4, RATE, hold=0.02).model_copy(
            update={**in_service, "wait_time": waits(0)}
        )
        curve = drawn_sweep(workers_curve(16, 0.02), [1, 2, 4, 8, 16], repeats=2).trials
        before = [
            trial.model_copy(update={"fingerprint": target.fingerprint, "target": "t"})
            for trial in (*curve, verified, verified)
        ]
        log = TrialLog(tmp_path / "t.trials.jsonl")
        for trial in before:
            log.append(trial)
        budget = spent(before) + 3 * cold.SECONDS + 0.5
        file = tmp_path / "targets.toml"
        file.write_text(f'[targets.t]\ndriver = "aiohttp"\nurl = "{server.url}"\n')
        order = Order("size", "t", file, tmp_path, budget=budget, cold=True)
        found: list[Event] = []
        measure(target, order, found.append, lambda _: None)
        advice = found[-1]
        assert isinstance(advice, Recommended)
        assert advice.recommendation.recommended_size == 4
        assert advice.recommendation.cold is not None
        assert advice.recommendation.seconds <= budget
        after = log.read()
        sent = after[len(before) :]
        assert {trial.purpose for trial in sent} <= {"approach", "cold"}
        assert all((trial.arrival_rate or 0.0) <= RATE for trial in sent)
        assert advice.recommendation.cold.starts == tuple(t.cold for t in sent if t.cold)
        # Once more: all of it is there, and nothing is sent.
        measure(target, order, found.append, lambda _: None)
        assert isinstance(found[-1], Recommended)
        assert found[-1].recommendation.cold == advice.recommendation.cold
        assert len(log.read()) == len(after)
