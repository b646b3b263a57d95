"""One contract for every driver that can be listened to, on real pools and real servers."""

from __future__ import annotations

import asyncio
import gc
import re
import time
import warnings
from typing import Any

import pytest

from poolkit.monitor import Shortage, Snapshot, Watch, unwatch, watch
from tests.monitor.beside import Bench, close_leak, ended, run, until

pytestmark = pytest.mark.lab


class TestContract:
    """What a watch tells, of every driver."""

    def test_a_holder_is_named_with_its_place_and_its_task(self, bench: Bench) -> None:
        """Task, file and line of whoever holds, for how long; nothing once it is back."""

        async def go() -> tuple[Snapshot, Snapshot]:
            async with bench.open(2) as pool:
                with watch(pool) as watching:
                    asyncio.current_task().set_name("reader")  # type: ignore[union-attr]
                    async with bench.hold(pool):
                        await asyncio.sleep(0.02)
                        during = watching.snapshot()
                    return during, watching.snapshot()

        during, after = run(go())
        (holder,) = during.holders
        assert holder.where.startswith("tests/monitor/test_contract.py:")
        assert holder.where.endswith(" in go")
        assert (holder.task, holder.fate) == ("reader", "held")
        assert 0.02 <= holder.seconds < 5.0
        assert (during.pool_size, during.in_use, during.waiting) == (2, 1, 0)
        assert (after.holders, after.in_use, after.waiting) == ((), 0, 0)
        (place,) = after.places
        assert (place.calls, place.second_asks) == (1, 0)
        assert place.longest >= 0.02

    def test_waiters_are_counted_exactly_and_longest_first(self, bench: Bench) -> None:
        """1 connection, 4 callers: 3 wait, each since it asked; who gives up does not."""

        async def caller(pool: Any) -> None:
            async with bench.hold(pool):
                await asyncio.sleep(10)

        async def go() -> tuple[Snapshot, Snapshot, Snapshot]:
            async with bench.open(1) as pool:
                with watch(pool) as watching:
                    tasks = []
                    for index in range(4):
                        tasks.append(asyncio.create_task(caller(pool), name=f"caller-{index}"))
                        await asyncio.sleep(0.01)
                        await until(lambda: len(watching.snapshot().holders) == 1)
                    full = watching.snapshot()
                    await ended(tasks[1])
                    fewer = watching.snapshot()
                    await ended(*tasks)
                    return full, fewer, watching.snapshot()

        full, fewer, after = run(go())
        assert [waiter.task for waiter in full.waiters] == ["caller-1", "caller-2", "caller-3"]
        assert (full.waiting, full.in_use, fewer.waiting) == (3, 1, 2)
        waits = [waiter.seconds for waiter in full.waiters]
        assert waits == sorted(waits, reverse=True)
        assert waits[0] >= 0.02
        assert full.waiters[0].where.endswith(" in caller")
        assert (after.waiting, len(after.holders)) == (0, 0)
        assert full.deadlock is None

    def test_a_pool_that_gives_up_counts_a_timeout(self, bench: Bench) -> None:
        """The pool's own limit is a timeout; a caller that cancels is not."""

        async def go() -> tuple[int, int, int]:
            async with bench.open(1, timeout=0.05) as pool:
                with watch(pool) as watching:
                    async with bench.hold(pool):
                        with pytest.raises(bench.subject.timed_out):
                            async with bench.hold(pool):
                                pytest.fail("two connections came out of a pool of one")
                        timeouts = watching.snapshot().timeouts
                        other = asyncio.create_task(bench.leak(pool))
                        await until(lambda: watching.snapshot().waiting == 1)
                        await ended(other)
                        seen = watching.snapshot()
                        return timeouts, seen.timeouts, seen.waiting

        assert run(go()) == (1, 1, 0)

    def test_calls_in_vain_are_a_finding_with_what_was_asked(self, bench: Bench) -> None:
        """1 connection, held 1.2 s; of 6 calls the limit of 1 s serves none of 4: 5 of 1."""

        async def caller(pool: Any) -> None:
            async with bench.hold(pool):
                await asyncio.sleep(1.2)

        async def go() -> tuple[Shortage | None, Snapshot, tuple[str, ...]]:
            async with bench.open(1, timeout=1.0) as pool:
                with watch(pool) as watching:
                    first = asyncio.create_task(caller(pool))
                    await until(lambda: len(watching.snapshot().holders) == 1)
                    nobody = watching.snapshot().shortage
                    more = [asyncio.create_task(caller(pool)) for _ in range(5)]
                    await until(lambda: watching.snapshot().waiting == 5)
                    await ended(more.pop())
                    await asyncio.gather(first, *more, return_exceptions=True)
                    async with bench.hold(pool):  # one that asks later is none of them
                        pass
                    return nobody, watching.snapshot(), watching.report().findings

        nobody, seen, findings = run(go())
        assert nobody is None
        short = seen.shortage
        assert short is not None
        assert (short.timeouts, short.abandoned, seen.timeouts) == (4, 1, 4)
        assert 0.9 < short.seconds < 5
        assert short.asks == 5
        assert 0.55 < (short.hold_time or 0.0) < 5  # the mean of two
        assert short.offered_load == pytest.approx(5 / short.seconds * (short.hold_time or 0.0))
        (finding,) = findings
        assert finding.startswith("4 calls timed out waiting and 1 call was cancelled while wait")
        assert "(5 in 1." in finding
        assert "connections busy, of 1 that serve at most" in finding
        assert finding.endswith("or make the pool larger")

    def test_a_connection_that_never_came_back_is_found(self, bench: Bench) -> None:
        """Dropped without a release: the place is named, whatever the library makes of it."""

        async def go() -> Snapshot:
            async with bench.open(2) as pool:
                with watch(pool) as watching:
                    await asyncio.create_task(bench.leak(pool), name="leaky")
                    gc.collect()
                    await asyncio.sleep(0.01)
                    seen = watching.snapshot()
                    (finding,) = watching.report().findings
                    assert re.search("dropped without a release|task that took it has", finding)
                    await close_leak(pool)
                    return seen

        with warnings.catch_warnings():
            # The libraries warn of it themselves, without the place.
            warnings.simplefilter("ignore")
            seen = run(go())
        (lost,) = seen.never_came_back
        assert lost.where.startswith("tests/monitor/subjects.py:")
        assert lost.where.endswith(" in leak")
        assert (lost.task, lost.fate) == ("leaky", bench.subject.fate_of_leak)
        assert seen.in_use == (0 if lost.fate == "collected" else 1)

    def test_a_connection_held_for_long_is_overdue(self, bench: Bench) -> None:
        """Held longer than the limit: reported, with what it is."""

        async def go() -> tuple[Snapshot, str]:
            async with bench.open(1) as pool:
                with watch(pool, held_longer_than=0.01) as watching:
                    async with bench.hold(pool):
                        await asyncio.sleep(0.02)
                        return watching.snapshot(), watching.report().text

        seen, text = run(go())
        (late,) = seen.never_came_back
        assert late.fate == "overdue"
        assert "1 connection is out for" in text
        assert late.where in text

    def test_a_pool_locking_deadlock_is_named_with_its_floor(self, bench: Bench) -> None:
        """2 connections, 2 tasks that hold one each and ask for another: T * (m - 1) + 1 = 3."""
        started: list[int] = []

        async def nested(pool: Any) -> None:
            async with bench.hold(pool):
                started.append(1)
                await until(lambda: len(started) == 2)
                async with bench.hold(pool):
                    pytest.fail("the pool is empty")

        async def go() -> tuple[Snapshot, str, Snapshot]:
            async with bench.open(2) as pool:
                with watch(pool) as watching:
                    tasks = [
                        asyncio.create_task(nested(pool), name=f"nested-{n}") for n in range(2)
                    ]
                    await until(lambda: watching.snapshot().waiting == 2)
                    stuck, text = watching.snapshot(), watching.report().text
                    await ended(*tasks)
                    return stuck, text, watching.snapshot()

        stuck, text, after = run(go())
        assert stuck.deadlock is not None
        assert (stuck.deadlock.tasks, stuck.deadlock.per_task) == (2, 2)
        assert stuck.deadlock.floor == 3
        assert set(stuck.deadlock.names) == {"nested-0", "nested-1"}
        assert [waiter.holds for waiter in stuck.waiters] == [1, 1]
        assert "pool-locking deadlock" in text
        assert "T * (m - 1) + 1 = 3" in text
        assert after.deadlock is None
        assert after.second_asks == 2

    def test_a_second_ask_is_told_before_it_locks(self, bench: Bench) -> None:
        """With room left there is no deadlock, but the place that asks twice is named."""

        async def go() -> tuple[Snapshot, str]:
            async with bench.open(3) as pool:
                with watch(pool) as watching:
                    async with bench.hold(pool), bench.hold(pool):
                        pass
                    async with bench.hold(pool):
                        pass
                    return watching.snapshot(), watching.report().text

        seen, text = run(go())
        assert (seen.second_asks, seen.deadlock, seen.holders) == (1, None, ())
        assert "asked for a second connection while it held one, 1 time at" in text

    def test_a_full_pool_without_nesting_is_no_deadlock(self, bench: Bench) -> None:
        """Holders that do not wait themselves will give back: waiters alone are no deadlock."""

        async def other(pool: Any) -> None:
            async with bench.hold(pool):
                pass

        async def go() -> Snapshot:
            async with bench.open(1) as pool:
                with watch(pool) as watching:
                    async with bench.hold(pool):
                        task = asyncio.create_task(other(pool))
                        await until(lambda: watching.snapshot().waiting == 1)
                        seen = watching.snapshot()
                        await ended(task)
                        return seen

        assert run(go()).deadlock is None

    def test_the_pool_works_as_before_after_unwatch(self, bench: Bench) -> None:
        """Nothing of the watch is left on the pool; ending it twice is harmless."""

        async def go() -> tuple[Any, Any, Watch]:
            async with bench.open(1) as pool:
                async with bench.hold(pool):
                    pass
                before = shape(pool)
                watching = watch(pool)
                async with bench.hold(pool):
                    pass
                watching.unwatch()
                unwatch(pool)
                async with bench.hold(pool):
                    pass
                return before, shape(pool), watching

        before, after, watching = run(go())
        assert before == after
        assert watching.snapshot().places[0].calls == 1  # the last look, not a live one

    def test_watching_twice_is_one_watch(self, bench: Bench) -> None:
        """A notebook's cell may run again; other settings are refused with the cure."""

        async def go() -> None:
            async with bench.open(1) as pool:
                first = watch(pool, name="orders")
                assert watch(pool, name="orders") is first
                with pytest.raises(ValueError, match=r"watched already, as 'orders'.*unwatch"):
                    watch(pool, held_longer_than=1.0)
                first.unwatch()
                assert watch(pool, held_longer_than=1.0) is not first
                unwatch(pool)

        run(go())

    def test_a_pool_may_close_while_it_is_watched(self, bench: Bench) -> None:
        """The watch goes on telling what it saw, and ends without a fault."""

        async def go() -> tuple[Snapshot, str]:
            async with bench.open(1) as pool:
                watching = watch(pool)
                async with bench.hold(pool):
                    pass
            seen, text = watching.snapshot(), watching.report().text
            watching.unwatch()
            return seen, text

        seen, text = run(go())
        assert (seen.in_use, seen.waiting) == (0, 0)
        if bench.subject.name in ("asyncpg", "aiohttp", "psycopg"):  # the others cannot tell
            assert seen.is_closed
            assert "is closed" in text


def shape(pool: Any) -> Any:
    """What of a pool a watch could have changed."""
    for step in ("sync_engine", "_connector", "_transport", "_pool"):
        pool = getattr(pool, step, pool)
    parts = [pool, getattr(pool, "pool", None)]
    return [(type(part), sorted(getattr(part, "__dict__", ()))) for part in parts]


def test_an_unknown_pool_is_refused_with_what_is_supported() -> None:
    """A TypeError that names the class and what can be watched; the same for `unwatch`."""
    for wrong in (object(), None, "postgresql://", time):
        with pytest.raises(TypeError, match=r"cannot listen to a .*supported are asyncpg\.Pool"):
            watch(wrong)
        with pytest.raises(TypeError, match="supported are"):
            unwatch(wrong)


def test_synchronous_clients_are_refused() -> None:
    """Pools of the same libraries that no event loop runs are not supported, and say so."""
    import httpx
    from sqlalchemy import create_engine

    with httpx.Client() as client, pytest.raises(TypeError, match="httpx"):
        watch(client)
    with pytest.raises(TypeError, match="AsyncEngine"):
        watch(create_engine("postgresql+psycopg://u@127.0.0.1/d"))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_must_be_more_than_nothing(limit: float) -> None:
    """Name, rule and value of a wrong limit."""
    with pytest.raises(ValueError, match=r"held_longer_than must be more than 0 s, got"):
        watch(object(), held_longer_than=limit)
