"""What the lesson on a database's budget tries, and what it does where it cannot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from poolkit.errors import PoolkitError
from poolkit.lab.running import Lab
from poolkit.panels import FileSource, Findings, RecordedSource
from poolkit.panels.what_if import planner_of
from poolkit.workbook import budget, budget_shown, lessons
from poolkit.workbook.fleet import Fleet
from poolkit.workbook.serving import Serving, decider
from tests.pgbouncer import require_pgbouncer
from tests.recommend.examples import database_target

SETTINGS = {"default_pool_size": 10, "reserve_pool_size": 6, "max_client_conn": 159}


def fleet(replicas: int, workers: int = 1, room: int = 77) -> Fleet:
    return Fleet(replicas, workers, room, 0, 0)


@pytest.mark.parametrize(
    ("replicas", "workers", "pools", "processes"),
    [(3, 1, [3, 2], [3, 2]), (2, 2, [4, 2], [2, 1]), (1, 4, [4], [1]), (12, 2, [24, 22], [4, 4])],
)
def test_a_replica_is_a_process_and_one_is_lost(
    database: Findings, replicas: int, workers: int, pools: list[int], processes: list[int]
) -> None:
    """The same rate on all and on one less; no more processes than this machine should start."""
    orders = budget.replicas(database, fleet(replicas, workers), 3)
    assert [order.pools for order in orders] == pools
    assert [order.processes for order in orders] == processes
    assert {order.rate for order in orders} == {database.objective.rate}


def test_ones_own_target_keeps_to_its_max_size(
    tmp_path: Path, database: Findings, source: RecordedSource
) -> None:
    """All pools together; the lab has the room that the fleet has, and each pool at least one."""
    file = tmp_path / "targets.toml"
    file.write_text('[targets.db]\ndriver = "asyncpg"\n', encoding="utf-8")
    own = FileSource(file)
    assert database.objective.max_size == 32
    assert budget.tried_size(database, fleet(3), source, 11) == 11
    assert budget.tried_size(database, fleet(3), own, 11) == 10
    assert budget.tried_size(database, fleet(3), own, None) == lessons.roomy(database, 3)
    assert budget.tried_size(database, fleet(40), own, 11) == 1


def test_the_settings_grow_with_what_they_are_for(database: Findings) -> None:
    """The pool is that of the whole rate, the reserve that of the growth, clients the fleet's."""
    planner = planner_of(database)
    found = budget.pooler_settings(database, planner, fleet(3), 11, 1.2, 4)
    assert found["max_client_conn"] == 159  # 4 x 3 pools of 11, and 20 %
    assert lessons.offered_load(database) < found["default_pool_size"] < 33
    faster = budget.pooler_settings(database, planner, fleet(3), 11, 1.0, 4)
    assert faster == found | {"reserve_pool_size": 1}


@pytest.mark.parametrize("is_behind", [False, True])
def test_where_no_pooler_can_be_tried_the_recording_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Findings, is_behind: bool
) -> None:
    """PgBouncer is missing, or one is there already: said, with what to do about it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("poolkit.lab.pgbouncer.ELSEWHERE", str(tmp_path))
    if is_behind:
        *others, last = database.trials
        last = last.model_copy(update={"pooler": "transaction"})
        database = replace(database, trials=(*others, last))
    file = tmp_path / "targets.toml"
    file.write_text('[targets.lab-db]\ndriver = "asyncpg"\n', encoding="utf-8")
    tried = asyncio.run(budget.behind_pooler(database, fleet(3), FileSource(file), 10, SETTINGS))
    (notice,) = tried.notices
    assert "What follows is the recording of the lab." in notice.words
    said = "behind a pooler already" if is_behind else "apt-get install pgbouncer"
    assert said in notice.words
    assert tried.tier.samples > 0
    assert tried.lent_too_few.points


def test_each_order_decides_its_trials(database: Findings) -> None:
    """A service is one trial, a cold start begins with empty pools, a sweep has just its sizes."""
    target = database_target(target_rate=330.0, wait_p99=0.01, replicas=3, max_size=64)
    first, _ = budget.replicas(database, fleet(3), 10)
    plan = decider(first, target)(())
    assert plan is not None
    assert (plan.pools, plan.pool_size, plan.rate, plan.cold) == (3, 10, 330.0, None)
    assert decider(first, target)(lessons.recorded(["replicas"])) is None
    (cold,) = budget.cold_starts(database, fleet(3), 10)
    plan = decider(cold, target)(())
    assert plan is not None
    assert plan.cold is not None
    assert (plan.pools, plan.cold.min_size, plan.cold.is_warm) == (3, 0, False)
    _, small = budget.through_pooler(database, fleet(3), 10, SETTINGS)
    tried = lessons.recorded(["small-pooler"])
    assert {trial.pool_size for trial in tried} == set(small.sizes)
    assert decider(small, target)(tried) is None


@pytest.mark.lab
def test_settings_are_tried_through_a_real_pooler(tmp_path: Path) -> None:
    """Set up as ordered, its own figures read meanwhile, and gone with the process."""
    require_pgbouncer()
    with Lab(["lab-db"]) as lab, lab.in_environment():
        file = lab.write_targets(tmp_path / "targets.toml")
        order = Serving(
            label="one", target="lab-db", pool_size=3, pools=2, rate=60.0, seconds=1.0,
            pooler={"default_pool_size": 2, "max_client_conn": 20},
        )  # fmt: skip
        (trial,) = asyncio.run(lessons.measured_now((order,), file, tmp_path))
    tier = trial.pooler_tier
    assert tier is not None
    assert (trial.pooler, trial.pools, trial.pool_size) == ("transaction", 2, 3)
    assert (tier.settings.pool_size, tier.settings.max_client_conn) == (2, 20)
    assert 1 <= tier.servers_most <= 2
    assert trial.outcomes["ok"] > 0


def test_a_recording_that_is_missing_is_no_notice(
    database: Findings, source: RecordedSource
) -> None:
    """On `recorded` nothing stands in: other settings than the recorded ones are an error."""
    with pytest.raises(PoolkitError, match="pooler is not recorded"):
        asyncio.run(budget.behind_pooler(database, fleet(3), source, 10, SETTINGS))


def test_a_pooler_that_was_not_seen_shows_no_figures() -> None:
    """Its console was out of reach: a dash, and never a 0 that nobody saw."""
    trial, *_ = lessons.recorded(["pooler"])
    blind = trial.model_copy(update={"server_side": None})
    small = budget.BehindPooler(blind, None)  # type: ignore[arg-type]
    shown = budget_shown.set_up(SETTINGS, small, None)
    assert shown["used at most"].isna().all()
    assert shown["computed from the curve"].tolist() == [10, 6, 159]
    hop = budget_shown.hop(trial, small)
    assert hop.loc["through PgBouncer"].isna().sum() == 3
    assert "out of reach" in budget_shown.asked_by(None)
