"""The server's side of real trials: PgBouncer's console, PostgreSQL's sessions, Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from poolkit.analysis.curve import points
from poolkit.analysis.server_side import bound_by
from poolkit.analysis.two_tiers import two_tiers
from poolkit.analysis.verdict import judge
from poolkit.errors import ExitCode
from poolkit.lab.postgres import PostgresServer
from poolkit.measure.session import Session
from poolkit.measure.sweep import TrialPlan
from poolkit.records import Purpose, ServerSide, Sweep, Trial
from tests.monitor.prometheus import Prometheus
from tests.pgbouncer import PgBouncer
from tests.recommend.examples import database_target

pytestmark = [pytest.mark.lab, pytest.mark.alone]

# One row that everybody changes, and keeps locked for 4 ms.
HOT_ROW = """with held as (
    update pgbench_branches set bbalance = bbalance + 1 where bid = 1 returning bid
) select pg_sleep(0.004) from held"""
SUM = "select sum(sqrt(i)) from generate_series(1, 30000) as i"
SLEEP = "select pg_sleep(0.01)"
ADMIN = "POOLER_DSN"


def user_of(server: PostgresServer) -> str:
    return str(urlsplit(server.dsn).username)


def measured(
    folder: Path,
    sizes: Sequence[int],
    *,
    seconds: float = 1.6,
    rate: float | None = None,
    **changes: Any,
) -> list[Trial]:
    """Closed loops of these sizes, or open ones at a rate, whatever their checks say."""
    target = database_target(**{"read_only": False, "max_size": 16} | changes)
    folder.mkdir(exist_ok=True)
    session = Session(target, folder / "t.jsonl", lambda _: None, budget=60.0, deadline=60.0)

    async def steps() -> ExitCode:
        for size in sizes:
            loop = {"callers": size} if rate is None else {"rate": rate}
            purpose: Purpose = "ramp" if rate is None else "verify"
            plan = TrialPlan(purpose, size, 0.2, seconds, "a test", **loop)
            await session.run(plan, 1)
        return ExitCode.DONE

    session.carry_out(steps)
    return [trial.model_copy(update={"checks": ()}) for trial in session.trials]


def seen(trial: Trial) -> ServerSide:
    assert trial.server_side is not None
    return trial.server_side


@pytest.mark.parametrize("driver", ["asyncpg", "sqlalchemy", "psycopg"])
def test_a_hot_row_is_named(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str
) -> None:
    """All callers but one wait for the row, whatever the library."""
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    trials = measured(tmp_path, (1, 4, 8), driver=driver, statements=(HOT_ROW,))
    found = bound_by(trials[1:])
    assert found is not None
    assert found[0] == "row locks on pgbench_branches"
    verdict = judge(Sweep(target="t", trials=tuple(trials)), points(trials))
    assert (verdict.name, verdict.by) == ("server_bound", "row locks on pgbench_branches")
    waits = seen(trials[-1]).waits
    assert waits is not None
    assert 5 <= waits.samples <= 8
    assert 4.0 < waits.sessions <= 8.0


@pytest.mark.parametrize(
    ("statement", "by"), [(SUM, "its processors"), (SLEEP, "statements that sleep (pg_sleep)")]
)
def test_what_is_no_lock_is_not_called_one(
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    statement: str,
    by: str,
) -> None:
    """Work, and waits of another kind, as many callers at once."""
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    found = bound_by(measured(tmp_path, (8,), statements=(statement,)))
    assert found is not None
    assert found[0] == by


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_pooler_that_holds_its_clients_up(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, driver: str
) -> None:
    """Two connections to a server that could serve all sixteen."""
    with PgBouncer(postgres.dsn, pool_size=2, stats_users=user_of(postgres)) as pooler:
        monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
        trials = measured(tmp_path, (1, 2, 4, 8), driver=driver, statements=(SLEEP,))
    verdict = judge(Sweep(target="t", trials=tuple(trials)), points(trials))
    assert verdict.name == "pooler_bound"
    assert "all of its 2 connections to the server are lent (default_pool_size = 2)" in (
        verdict.evidence
    )
    tier = seen(trials[-1]).pooler
    assert tier is not None
    assert tier.waiting_share > 0.9
    assert tier.clients_waiting == pytest.approx(6.0, abs=1.0)
    assert (tier.servers_most, tier.settings.mode) == (2, "transaction")
    assert (tier.settings.max_client_conn, tier.settings.pools) == (200, 1)
    begin, end = trials[-1].warm_up, trials[-1].warm_up + trials[-1].window
    assert len(tier.moments) >= 5
    assert all(begin <= moment.at <= end for moment in tier.moments)


def test_what_a_pooler_should_lend_is_enough_and_a_little_less_is_not(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The pooler's settings, read at one rate, tried on a pooler that is set so."""
    rate, hold = 150.0, 0.020
    target = database_target(target_rate=rate, wait_p99=0.020, max_size=24)

    def tried(lends: int) -> Trial:
        with PgBouncer(postgres.dsn, pool_size=lends, stats_users=user_of(postgres)) as pooler:
            monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
            folder = tmp_path / str(lends)
            statements = (f"select pg_sleep({hold})",)
            (trial,) = measured(folder, (24,), seconds=4.0, rate=rate, statements=statements)
        return trial

    found = two_tiers(tried(20), target, 8)
    assert found is not None
    # Busy are 150/s of 20 ms and what this machine adds to a call.
    assert 3 < found.servers <= 14
    assert "it is 20, more than that" in found.because
    enough = seen(tried(found.servers)).pooler
    short = seen(tried(2)).pooler
    assert enough is not None
    assert short is not None
    assert enough.clients_waiting < 1.0
    assert short.clients_waiting > 5.0


def test_a_pooler_that_lets_nobody_look_is_told_once(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The trial is as good as any; what to do stands in the remark, and no password."""
    with PgBouncer(postgres.dsn, pool_size=2, stats_users="another") as pooler:
        monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
        (trial,) = measured(tmp_path, (2,), statements=(SLEEP,), seconds=0.6)
    assert trial.outcomes["ok"] > 10
    (remark,) = seen(trial).remarks
    assert "not allowed" in remark
    assert "stats_users" in remark
    password = str(urlsplit(postgres.dsn).password)
    assert password not in (tmp_path / "t.jsonl").read_text(encoding="utf-8")


def test_another_user_may_look(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By reference to the environment, for the console and for the server behind the pooler."""
    evidence = {"pooler_dsn_env": ADMIN, "server_dsn_env": "DIRECT_DSN"}
    with PgBouncer(postgres.dsn, pool_size=2, stats_users=user_of(postgres)) as pooler:
        monkeypatch.setenv("ORDERS_DSN", pooler.dsn)
        monkeypatch.setenv(ADMIN, urlsplit(pooler.dsn)._replace(path="/pgbouncer").geturl())
        monkeypatch.setenv("DIRECT_DSN", postgres.dsn)
        (trial,) = measured(tmp_path, (4,), statements=(SLEEP,), evidence=evidence)
    side = seen(trial)
    assert side.remarks == ()
    assert side.pooler is not None
    assert side.waits is not None
    # Behind the pooler there are two sessions, whoever waits before it.
    assert side.waits.sessions == pytest.approx(2.0, abs=0.5)
    assert set(side.waits.waits) <= {"Timeout:PgSleep", "CPU", "Client:ClientRead"}


def test_a_look_that_ends_in_the_middle_leaves_the_trial_alone(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The calls themselves end the session that looks at them; the next trial has a new one."""
    end = """select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%busy as materialized%' and query not like '%terminate%'"""
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    first, second = measured(tmp_path, (1, 2), statements=(end, SLEEP), seconds=0.8)
    for trial in (first, second):
        assert trial.outcomes == {"ok": trial.outcomes["ok"]}
        assert seen(trial).remarks == ()


def test_the_last_connections_are_the_trials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Looking takes none that the measured pool needs."""
    with PostgresServer(accounts=100, max_connections=11) as server:
        monkeypatch.setenv("ORDERS_DSN", server.dsn)
        few, all_of_them = measured(tmp_path, (6, 8), statements=(SLEEP,), max_size=8, seconds=0.6)
    assert seen(few).waits is not None
    assert all_of_them.outcomes == {"ok": all_of_them.outcomes["ok"]}
    assert "needs the server's last 8 connections" in seen(all_of_them).remarks[0]


def test_nothing_is_looked_at_where_nobody_wants_it(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    (trial,) = measured(tmp_path, (2,), statements=(SLEEP,), seconds=0.6, evidence=False)
    assert trial.server_side is None


def test_a_query_is_asked_for_the_window_of_each_trial(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The largest series counts, with its labels; a query that is wrong is a remark."""
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)

    def label(text: str, value: str) -> str:
        return f'label_replace({value}, "event", "{text}", "", "")'

    with Prometheus("127.0.0.1:1") as prometheus:
        looked = [
            measured(
                tmp_path / str(number),
                (2,),
                statements=(SLEEP,),
                seconds=0.6,
                evidence={"prometheus": prometheus.url, "query": query},
            )
            for number, query in enumerate(
                (
                    f"{label('disk', 'vector(3)')} or {label('locks', 'vector(7)')}",
                    "count_over_time(vector(1)[$window:1s])",
                    "nonsense(",
                )
            )
        ]
    largest, window, wrong = (seen(trial) for (trial,) in looked)
    assert largest.gauge is not None
    assert (largest.gauge.value, largest.gauge.labels) == (7.0, {"event": "locks"})
    assert window.gauge is not None
    assert window.gauge.value in (1.0, 2.0)
    assert wrong.gauge is None
    assert "Prometheus refused the query nonsense(" in wrong.remarks[0]
