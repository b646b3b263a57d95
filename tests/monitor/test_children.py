"""Tasks that hold and wait for tasks of their own, which wait for the same pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import Snapshot, Watch, watch
from tests.monitor.beside import Bench, ended, run, until
from tests.monitor.subjects import Asyncpg

pytestmark = pytest.mark.lab

Ask = Callable[[], Awaitable[None]]


async def gathers(ask: Ask) -> None:
    await asyncio.gather(ask(), ask())


async def groups(ask: Ask) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        group.create_task(ask())


async def groups_of_anyio(ask: Ask) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)


async def waits(ask: Ask) -> None:
    await asyncio.wait({asyncio.ensure_future(ask()) for _ in range(2)})


async def takes_as_they_come(ask: Ask) -> None:
    for one in asyncio.as_completed([ask(), ask()]):
        await one


async def awaits_in_time(ask: Ask) -> None:
    await asyncio.wait_for(asyncio.gather(ask(), asyncio.shield(asyncio.ensure_future(ask()))), 60)


async def nests(ask: Ask) -> None:
    await asyncio.gather(gathers(ask))


WAYS = (gathers, groups, groups_of_anyio, waits, takes_as_they_come, awaits_in_time, nests)


async def two_parents(
    pool: Any, hold: Callable[[], Any], way: Callable[[Ask], Awaitable[None]], children: int
) -> tuple[Snapshot, str, Snapshot]:
    """The pool once two tasks hold one each and all their children wait, and when all is over."""
    started: list[int] = []

    async def child() -> None:
        async with hold():
            pytest.fail("the pool is empty")

    async def parent() -> None:
        async with hold():
            started.append(1)
            await until(lambda: len(started) == 2)
            await way(child)

    with watch(pool) as watching:
        tasks = [asyncio.create_task(parent(), name=f"parent-{n}") for n in range(2)]
        await until(lambda: watching.snapshot().waiting == children)
        stuck, text = watching.snapshot(), watching.report().text
        await ended(*tasks)
        return stuck, text, watching.snapshot()


def check(stuck: Snapshot, text: str, after: Snapshot) -> None:
    assert stuck.deadlock is not None
    assert (stuck.deadlock.tasks, stuck.deadlock.per_task, stuck.deadlock.floor) == (2, 2, 3)
    assert set(stuck.deadlock.names) == {"parent-0", "parent-1"}
    assert {waiter.behind for waiter in stuck.waiters} == {"parent-0", "parent-1"}
    assert {waiter.holds for waiter in stuck.waiters} == {1}
    assert "wait for another one, themselves or through tasks that they wait for" in text
    assert "which waits for it, holds 1, from tests/monitor/test_children.py" in text
    assert after.deadlock is None


def test_a_deadlock_through_gathered_children_is_named_with_its_floor(bench: Bench) -> None:
    """2 connections, 2 parents with 2 children each: 2 families of 2 need 3."""

    async def go() -> tuple[Snapshot, str, Snapshot]:
        async with bench.open(2) as pool:
            return await two_parents(pool, lambda: bench.hold(pool), gathers, 4)

    check(*run(go()))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_every_way_to_wait_for_children_is_known(
    postgres: PostgresServer, way: Callable[[Ask], Awaitable[None]]
) -> None:
    """asyncio's and anyio's, and children's children."""

    async def go() -> tuple[Snapshot, str, Snapshot]:
        subject = Asyncpg()
        async with subject.open(postgres.dsn, 2) as pool:
            return await two_parents(pool, lambda: subject.hold(pool, ""), way, 4)

    check(*run(go()))


def test_children_that_hold_count_with_their_parent(postgres: PostgresServer) -> None:
    """Parent and child hold one each, the child asks for a third: one family, a pool of 3."""

    async def go() -> Snapshot:
        subject = Asyncpg()
        async with subject.open(postgres.dsn, 2) as pool:

            async def child() -> None:
                async with subject.hold(pool, ""), subject.hold(pool, ""):
                    pytest.fail("the pool is empty")

            async def parent() -> None:
                async with subject.hold(pool, ""):
                    await asyncio.gather(child())

            with watch(pool) as watching:
                task = asyncio.create_task(parent(), name="parent")
                await until(lambda: watching.snapshot().waiting == 1)
                seen = watching.snapshot()
                await ended(task)
                return seen

    lock = run(go()).deadlock
    assert lock is not None
    assert (lock.tasks, lock.per_task, lock.floor) == (1, 3, 3)


async def leaves_alone(ask: Ask, end: asyncio.Event) -> None:
    task = asyncio.ensure_future(ask())
    await end.wait()
    task.cancel()


async def is_still_in_the_block(ask: Ask, end: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask())
        await end.wait()
        task.cancel()


async def takes_the_first(ask: Ask, end: asyncio.Event) -> None:
    both = {asyncio.ensure_future(ask()), asyncio.ensure_future(end.wait())}
    _, late = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()


@pytest.mark.parametrize("way", [leaves_alone, is_still_in_the_block, takes_the_first])
def test_a_parent_that_can_go_on_is_no_deadlock(postgres: PostgresServer, way: Any) -> None:
    """Its child waits for the pool, but it does not wait for its child."""

    async def go() -> Snapshot:
        subject, end = Asyncpg(), asyncio.Event()
        async with subject.open(postgres.dsn, 1) as pool:

            async def child() -> None:
                async with subject.hold(pool, ""):
                    pass

            async def parent(watching: Watch) -> None:
                async with subject.hold(pool, ""):
                    await way(child, end)

            with watch(pool) as watching:
                task = asyncio.create_task(parent(watching))
                await until(lambda: watching.snapshot().waiting == 1)
                seen = watching.snapshot()
                end.set()
                await task
                return seen

    assert run(go()).deadlock is None
