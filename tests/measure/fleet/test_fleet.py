"""A fleet on this machine measures what one process does, through the command line as well."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from poolkit.analysis.cold import Opening
from poolkit.analysis.replicas import LOST, Change, replica_change
from poolkit.errors import ExitCode
from poolkit.lab.models import Workers
from poolkit.lab.postgres import PostgresServer
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.together import Part
from poolkit.measure.fleet.source import FleetSource
from poolkit.measure.generating import Load, Sent
from poolkit.measure.session import Session
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Trial
from poolkit.targets import load_targets
from poolkit.targets.fleet import Fleet

pytestmark = pytest.mark.lab

SERVICE = 0.02  # s


def lost_calls(part: Part) -> int:
    return sum(segment.error_kinds.get(LOST, 0) for segment in part.measurement.segments)


@pytest.fixture(scope="module")
def upstream():
    with HttpUpstream(Workers(workers=64, service_time=SERVICE)) as one:
        yield one


@pytest.fixture
def file(upstream: HttpUpstream, tmp_path: Path) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(
        f'[fleet]\nworkers = 2\n[targets.api]\ndriver = "aiohttp"\nurl = "{upstream.url}"\n'
        "target_rate = 120\nmax_size = 16\nreplicas = 4\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.alone
def test_trials_are_divided_and_add_up(upstream: HttpUpstream, file: Path) -> None:
    """The server is asked what one process would ask, and every call is in the sum."""
    target = load_targets(file)["api"]
    closed = TrialPlan("overload", 6, 0.0, 1.5, "a test", callers=6)
    opened = TrialPlan("verify", 2, 0.4, 2.0, "a test", pools=4, rate=120.0)
    change = Change(1.2, 1.2, 2, 1, (120.0, 120.0), 0.010)
    lost = TrialPlan("lost_replica", 8, 0.4, 2.4, "a test", pools=2, rate=120.0, change=change)

    async def both() -> list[Sent]:
        fleet = FleetSource(Fleet(workers=2), file, lambda _: None)
        try:
            seen = []
            for plan in (closed, opened, lost):
                before = upstream.stats()["served"]
                sent = await fleet.send(target, Load(plan, 3, 5.0, 10_000), lambda *_: None)
                # Calls that are lost with their replica are not always served to the end.
                missing = 0 if plan.change is None else sum(map(lost_calls, sent.parts.values()))
                assert 0 <= fleet.calls - (upstream.stats()["served"] - before) <= missing
                seen.append(sent)
            return seen
        finally:
            await fleet.close()

    before = upstream.stats()["served"]
    first, second, third = asyncio.run(both())
    # Two generators looked whether the target answers, and the rest is of the trials.
    told = sum(part.calls for sent in (first, second, third) for part in sent.parts.values())
    gone = sum(map(lost_calls, third.parts.values()))
    assert told + 2 - gone <= upstream.stats()["served"] - before <= told + 2
    assert list(first.parts) == ["generator 1", "generator 2"]
    assert [part.measurement.callers for part in first.parts.values()] == [3, 3]
    assert (first.measurement.pool_size, first.measurement.callers) == (6, 6)
    assert max(s.in_use.mean for s in first.measurement.segments) > 3.5  # more than one has
    assert [part.pools for part in second.parts.values()] == [2, 2]
    assert sum(s.outcomes["ok"] for s in second.measurement.segments) == pytest.approx(240, abs=3)
    # The second generator is a replica that goes; the first has all of the load from then on.
    assert [part.measurement.arrival_rate for part in third.parts.values()] == pytest.approx(
        [(60.0 * 0.8 + 120.0 * 1.2) / 2.0, 60.0 * 0.8 / 2.0]
    )
    stays, goes = (part.measurement for part in third.parts.values())
    bins = round((1.2 + 2 * SERVICE) / goes.bin_seconds)
    assert goes.completions[:bins].sum() > 60
    assert goes.completions[bins:].sum() == 0
    assert stays.completions[bins:].sum() == pytest.approx(1.2 * 120, abs=15)
    found = replica_change("lost_replica", third.measurement, change, 0.4)
    assert (found.pools_before, found.pools_after, found.refused) == (2, 1, 0)
    assert found.lost == gone


def test_a_sweep_of_two_generators_and_its_file(file: Path, tmp_path: Path) -> None:
    """`[fleet]` alone is enough; each trial on disk names who sent it."""
    words = ["sweep", "api", "--targets", str(file), "--out", str(tmp_path), "--events"]
    ran = subprocess.run(
        [sys.executable, "-m", "poolkit", *words, "--sizes", "1,4", "--budget", "6"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    steps = [json.loads(line) for line in ran.stdout.splitlines()]
    assert any("starting 2 generators" in step.get("what", "") for step in steps)
    lines = (tmp_path / "api.trials.jsonl").read_text(encoding="utf-8").splitlines()
    by_size = {trial.pool_size: trial for trial in map(Trial.model_validate_json, lines)}
    assert [one.name for one in by_size[1].generators] == ["generator 1"]
    assert [one.pool_size for one in by_size[4].generators] == [2, 2]
    assert sum(one.throughput for one in by_size[4].generators) == pytest.approx(
        by_size[4].throughput, rel=0.05
    )


# One row that everybody changes, and keeps locked for 4 ms.
HOT_ROW = """with held as (
    update pgbench_branches set bbalance = bbalance + 1 where bid = 1 returning bid
) select pg_sleep(0.004) from held"""
# Generators on a machine whose clock is an hour ahead, where the evidence's DSN is not known.
ELSEWHERE = """
import datetime, os, sys
class Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(hours=1)
if "poolkit.measure.fleet.process" in sys.orig_argv:
    datetime.datetime = Ahead
    del os.environ["EVIDENCE_DSN"]
"""


def test_a_database_sees_replicas_begin_and_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its evidence is on this machine's clock; a start of two processes is one storm of dials.

    All of the server's connections are asked for: none of ours counts as one in use.
    """
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    path = tmp_path / "targets.toml"
    with PostgresServer(accounts=10, max_connections=20) as server:
        monkeypatch.setenv("FLEET_DSN", server.dsn)
        monkeypatch.setenv("EVIDENCE_DSN", server.dsn)
        path.write_text(
            '[targets.db]\ndriver = "asyncpg"\ndsn_env = "FLEET_DSN"\ntarget_rate = 60\n'
            f"statements = [{json.dumps(HOT_ROW)}]\nread_only = false\nreplicas = 2\n"
            "max_size = 17\n"  # and 3 are reserved
            'evidence = { server_dsn_env = "EVIDENCE_DSN" }\n'
        )
        session = Session(
            load_targets(path)["db"], tmp_path / "db.jsonl", lambda _: None, budget=60.0,
            deadline=120.0, source=FleetSource(Fleet(workers=2), path, lambda _: None),
        )  # fmt: skip

        async def steps() -> ExitCode:
            await session.run(TrialPlan("overload", 6, 0.2, 1.6, "a test", callers=6), 1)
            for opening in (Opening(3, False, 0.0, 1.0), Opening(3, True, 0.2, 1.0)):
                plan = TrialPlan("cold", 3, 0.0, 1.0, "a test", pools=2, rate=60.0, cold=opening)
                await session.run(plan, 2)
            return ExitCode.DONE

        session.carry_out(steps)
    busy, *starts = session.trials
    assert busy.server_side is not None
    assert busy.server_side.remarks == ()
    assert busy.server_side.waits is not None
    assert 3 <= busy.server_side.waits.samples <= 8
    assert busy.server_side.waits.sessions == pytest.approx(6.0, abs=2.0)  # of both generators
    for trial in starts:
        assert [one.pools for one in trial.generators] == [1, 1]
        assert sum(trial.outcomes.values()) == pytest.approx(60, abs=2)
        assert trial.cold is not None
        assert (trial.cold.dials, trial.cold.generators) == (6, 2)
        assert sum(trial.cold.dials_by_slice) == 6
        assert trial.cold.dial_rate is not None
        assert trial.cold.wait_p99 is not None
        assert trial.checks == ()
