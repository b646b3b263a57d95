"""Replicas that go or come in the midst of a trial: when, how, and what is said of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from poolkit.analysis.replicas import Change, change_checks, holds, replica_change, what_came
from poolkit.drivers.fleet import FleetPool
from poolkit.errors import CallRejected, Unreachable
from poolkit.events import Event, Recommended
from poolkit.lab.models import Workers
from poolkit.lab.upstream import HttpUpstream
from poolkit.load.generator import Generator
from poolkit.load.timer import Timer
from poolkit.measure import changing, measure
from poolkit.measure.child import Order
from poolkit.measure.generating import Load, Sent
from poolkit.measure.replicas import kinds, next_trial, reserve, room
from poolkit.measure.run import Run
from poolkit.measure.sweep import TrialPlan
from poolkit.records import ReplicaChange, Trial
from poolkit.targets import Target
from poolkit.targets.objective import Objective
from tests.load.test_together import OK, recorded
from tests.memory_pool import MemoryPool
from tests.recommend.examples import check, http_target, times, verifying_trial
from tests.virtual_clock import run_virtual

SIZE, HOLD = 6, 0.02
QUICK = {"response_time": times(0.02, 0.05)}
FOUR = Objective(target_rate=500.0, wait_p99=0.010, replicas=4, surge=1, max_connections=100)


def seen(**changes: Any) -> ReplicaChange:
    """A lost replica that nobody noticed."""
    settings: dict[str, Any] = {
        "kind": "lost_replica",
        "pools_before": 4,
        "pools_after": 3,
        "wait_limit": 0.010,
        "wait_p99_before": 0.001,
        "wait_p99_after": 0.004,
        "late": 0.0,
        "steady": 0.0,
        "dials": 2,
        "refused": 0,
        "lost": 1,
    }
    return ReplicaChange(**(settings | changes))


def changed(purpose: str = "lost_replica", *, doubtful: bool = False, **changes: Any) -> Trial:
    return verifying_trial(
        purpose=purpose,
        pool_size=SIZE,
        pools=4,
        change=seen(**({"kind": purpose} | changes)),
        checks=(check("lag", passed=not doubtful),),
    )


def verified(**changes: Any) -> Trial:
    return verifying_trial(**({"pool_size": SIZE, "pools": 3} | QUICK | changes))


# -- what to try ----------------------------------------------------------------------------------


def test_the_loss_first_then_the_deploy_each_at_the_target_rate() -> None:
    """Neither sends more than the target rate, nor opens more than it may."""
    trials, left = [verified()], 20.0
    plans: list[TrialPlan] = []
    while plan := next_trial(trials, FOUR, SIZE, left=left):
        plans.append(plan)
        left -= plan.seconds
        trials.append(changed(plan.purpose))
    assert [plan.purpose for plan in plans] == ["lost_replica", "surge"]
    assert [(plan.pools, plan.pool_size) for plan in plans] == [(4, SIZE), (5, SIZE)]
    moves = [plan.change for plan in plans]
    assert [(one.before, one.after) for one in moves if one] == [(4, 3), (4, 5)]
    assert all(one is not None and one.rates == (500.0, 500.0) for one in moves)
    assert 20.0 - left == pytest.approx(reserve(1000.0, FOUR), abs=0.6), "what is kept is enough"


@pytest.mark.parametrize(
    ("asked", "trials", "left"),
    [
        (Objective(target_rate=500.0, wait_p99=0.01), [verified()], 60.0),  # one replica
        (FOUR.but(lost_replicas=0, surge=0), [verified()], 60.0),
        (FOUR, [], 60.0),  # no size was verified
        (FOUR, [verified(wait_time=times(0.1, 0.5), outcomes={"pool_timeout": 900})], 60.0),
        (FOUR, [verified()], 3.0),  # no time
        (FOUR.but(target_rate=2.0), [verified()], 60.0),  # too few calls in a few seconds
        (FOUR.but(max_size=20), [verified()], 60.0),  # not even the four of them have room
    ],
)
def test_no_change_without_a_size_that_holds_or_room(
    asked: Objective, trials: list[Trial], left: float
) -> None:
    """A size that fails by itself needs no further load to show it."""
    assert next_trial(trials, asked, SIZE, left=left) is None


def test_a_deploy_without_room_is_not_tried_and_it_is_said() -> None:
    """Five pools of six are 30 connections; the loss needs 24."""
    tight = FOUR.but(max_size=24)
    assert kinds(tight) == ["lost_replica", "surge"]
    assert next_trial([verified(), changed()], tight, SIZE, left=60.0) is None
    assert room("lost_replica", tight, SIZE) == ""
    assert "30 connections, and max_size = 24" in room("surge", tight, SIZE)
    assert "the server has 25 left" in room("surge", FOUR.but(max_connections=25), SIZE)


@pytest.mark.parametrize(
    ("before", "again"),
    [
        ([changed(doubtful=True, steady=None)], True),
        ([changed(doubtful=True, steady=None)] * 2, False),
        ([changed(doubtful=True)], False),  # it held all the same
        ([changed(steady=None)], False),  # that is the answer
    ],
)
def test_once_more_where_this_machine_was_late(before: list[Trial], again: bool) -> None:
    """And not a third time."""
    plan = next_trial([verified(), *before], FOUR.but(surge=0), SIZE, left=60.0)
    assert (plan is not None) is again


def test_slow_calls_get_time_so_that_few_are_lost() -> None:
    """Those under way in a pool that goes stay below the brake on failed calls."""
    slow = verified(response_time=times(0.2, 0.3))
    plan = next_trial([slow], FOUR, SIZE, left=60.0)
    assert plan is not None
    assert plan.change is not None
    under_way = 500.0 * 0.2 / 4
    assert under_way < 0.02 * 500.0 * plan.change.at


# -- how it goes ----------------------------------------------------------------------------------


def carried_out(
    monkeypatch: pytest.MonkeyPatch, purpose: str, rate: float, pool: type[MemoryPool] = MemoryPool
) -> tuple[ReplicaChange, changing.ChangingService]:
    """The change of a service of 2 pools whose calls take 20 ms, on a virtual clock."""
    asked = http_target(target_rate=rate, replicas=2, surge=1, max_connections=60, gate=False)
    only = asked.but(surge=0) if purpose == "lost_replica" else asked.but(lost_replicas=0)
    plan = next_trial([verified(pool_size=4, arrival_rate=rate)], only, 4, left=60.0)
    assert plan is not None
    assert plan.change is not None
    monkeypatch.setattr(
        changing, "make_pool", lambda _, size, seed: pool(size, iter(lambda: HOLD, None))
    )
    service = changing.ChangingService(asked, plan, seed=5)
    load = Load(plan, 5, 5.0, 100_000)

    async def go() -> Any:
        await service.open()
        generator = Generator(service, load.as_plan, Timer(asyncio.get_running_loop()))
        service.begin(0.0)
        try:
            return await generator.run()
        finally:
            await service.close()

    measured = run_virtual(go())
    sent = sum(segment.outcomes.total() for segment in measured.segments)
    assert sent == pytest.approx(rate * measured.seconds, rel=0.02), "never above the target rate"
    kind: Any = purpose
    return replica_change(kind, measured, plan.change, plan.warm_up), service


def test_the_others_take_over_where_they_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pools of 4 at a quarter of what they carry: the one that is left waits a little more."""
    change, service = carried_out(monkeypatch, "lost_replica", 100.0)
    assert holds(change)
    assert (change.pools_before, change.pools_after, change.refused) == (2, 1, 0)
    assert change.lost <= 4, "what was under way in one pool"
    gone, kept = (member.statistics() for member in reversed(service._members))
    assert (gone.in_use, gone.idle) == (0, 0), "its connections went"
    assert gone.connections_opened > 0, "and its dials still count"
    assert kept.connections_opened > 0


def test_a_size_that_fails_when_a_replica_is_lost_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pool of 4 carries 200/s; at 190/s the one that is left never catches up."""
    change, _ = carried_out(monkeypatch, "lost_replica", 190.0)
    assert change.steady is None
    assert (change.wait_p99_before or 1.0) < HOLD < (change.wait_p99_after or 0.0)
    (found,) = change_checks([changed(**change.model_dump())], SIZE)
    assert (found.name, found.passed) == ("lost_replica", False)
    assert "2 to 1 pool" in found.seen
    assert "headroom" in found.next


def test_pools_of_a_deploy_come_beside_those_that_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third gets its share only after it had time to open, and nobody is lost."""
    change, service = carried_out(monkeypatch, "surge", 150.0)
    assert holds(change)
    assert (change.pools_before, change.pools_after, change.lost) == (2, 3, 0)
    assert change.dials > 0
    assert service._members[2].statistics().connections_opened > 0


class Crowded(MemoryPool):
    """A pool of a server that has room for two of them."""

    opened = 0

    async def open(self) -> None:
        Crowded.opened += 1
        if Crowded.opened > 2:
            refused = CallRejected("too_many_connections")
            raise Unreachable("no room", "make some") from refused


def test_a_server_without_room_for_a_deploy_is_seen_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The calls of the pool that could not open are turned away, and the brake ends the trial."""
    Crowded.opened = 0
    change, _ = carried_out(monkeypatch, "surge", 150.0, Crowded)
    assert change.refused > 0
    assert not holds(change)
    (found,) = change_checks([changed("surge", **change.model_dump(exclude={"kind"}))], SIZE)
    assert "max_connections" in found.next


@pytest.mark.parametrize(("until", "steady"), [(1.0, 0.0), (1.5, 0.6), (2.0, None)])
def test_waits_are_steady_from_the_slice_after_the_last_late_one(
    until: float, steady: float | None
) -> None:
    """Calls every 10 ms wait 1 ms, and 50 ms from 1 s, the change, until `until`."""
    calls = [
        (at, 0.0, 0.05 if 1.0 <= at < until else 0.001, 0.01, OK)
        for at in (number / 100 for number in range(200))
    ]
    move = Change(1.0, 1.0, 4, 3, (100.0, 100.0), 0.010)
    change = replica_change("lost_replica", recorded(calls, 16).measurement, move, 0.4)
    assert change.steady == pytest.approx(steady)
    assert change.late == pytest.approx(until - 1.0)
    assert change.wait_p99_before == pytest.approx(0.001, rel=0.02)


# -- within a size ------------------------------------------------------------------------------


class InMemory:
    """A source whose pools are in memory and whose seconds are virtual."""

    def __init__(self) -> None:
        self.calls = 0
        self.sent: list[TrialPlan] = []

    async def send(self, target: Target, load: Load, _progress: Any) -> Sent:
        self.sent.append(load.plan)
        return await asyncio.to_thread(run_virtual, self._send(target, load))

    async def _send(self, target: Target, load: Load) -> Sent:
        plan = load.plan
        if plan.change is not None:
            service: Any = changing.ChangingService(target, plan, load.seed)
        else:
            pools = [changing.make_pool(target, plan.pool_size) for _ in range(plan.pools)]
            service = FleetPool(pools, load.seed)
        await service.open()
        generator = Generator(service, load.as_plan, Timer(asyncio.get_running_loop()))
        if plan.change is not None:
            service.begin(0.0)
        measured = await generator.run()
        await service.close()
        return Sent(measured, generator.stopped)

    def cancel(self) -> None:
        """It is over at once."""

    async def close(self) -> None:
        """Nothing is left."""


@pytest.mark.lab
def test_a_size_of_two_replicas_says_what_the_loss_of_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a check and in the result, never above the target rate, and once: a second run resumes."""
    source = InMemory()
    monkeypatch.setattr(Run, "_source", lambda *_: source)
    monkeypatch.setattr(
        changing, "make_pool", lambda _, size, seed=0: MemoryPool(size, iter(lambda: HOLD, None))
    )
    with HttpUpstream(Workers(workers=2, service_time=0.001)) as server:
        target = http_target(
            url=server.url, target_rate=100.0, wait_p99=0.02, replicas=2, max_size=32, push=False,
            surge=1, max_connections=100, gate=False,
        )  # fmt: skip
        order = Order("size", target.name, tmp_path / "targets.toml", tmp_path, budget=60.0)
        table = f'[targets.orders-api]\ndriver = "aiohttp"\nurl = "{server.url}"\n'
        order.targets.write_text(table)
        found: list[Event] = []
        measure(target, order, found.append, lambda _: None)
        said = found[-1]
        assert isinstance(said, Recommended)
        told = said.recommendation
        assert [one.kind for one in told.replica_changes] == ["lost_replica", "surge"]
        names = {check.name: check.passed for check in told.checks}
        assert names["lost_replica"]
        assert names["surge"]
        size = told.recommended_size or 0
        moved = [plan for plan in source.sent if plan.change is not None]
        assert [(plan.pools, plan.pool_size) for plan in moved] == [(2, size), (3, size)]
        assert max(plan.rate or 0.0 for plan in source.sent) <= 100.0
        sent = len(source.sent)
        measure(target, order, found.append, lambda _: None)
        assert len(source.sent) == sent
        assert isinstance(found[-1], Recommended)
        assert found[-1].recommendation.replica_changes == told.replica_changes


# -- what is said ---------------------------------------------------------------------------------


def test_the_remedy_is_of_what_was_seen() -> None:
    """Refused: room at the server; late by ourselves: again; else: more room in each pool."""
    told = {
        "max_connections": changed("surge", refused=3, doubtful=True),
        "quiet": changed(steady=None, doubtful=True),
        "min_size": changed(steady=1.5),
        "one after the other": changed("surge", steady=None),
        "nothing": changed(steady=0.8),
    }
    for words, trial in told.items():
        (found,) = change_checks([trial, changed().model_copy(update={"pool_size": 9})], SIZE)
        assert words in found.next
        assert found.passed is (words == "nothing")
    said = what_came(seen(kind="surge", refused=3, steady=None), "rejected")
    assert "3 calls refused" in said
    assert "stopped by the rejected brake" in said
