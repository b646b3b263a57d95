"""Whose a connection is: the task that asks may be one that only asks, and ends at once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from poolkit.monitor import Snapshot, watch
from tests.monitor.beside import Bench, ended, run, until

pytestmark = pytest.mark.lab


class InTime:
    """A connection of `bench`, asked for with a limit of the caller's own."""

    def __init__(self, bench: Bench, pool: Any) -> None:
        self._held = bench.hold(pool)

    async def __aenter__(self) -> None:
        # Before Python 3.12 in a task of its own.
        await asyncio.wait_for(self._held.__aenter__(), 5.0)

    async def __aexit__(self, *error: Any) -> None:
        await self._held.__aexit__(*error)


def test_a_connection_asked_for_with_wait_for_is_its_callers(bench: Bench) -> None:
    """Nothing is reported as left; task and place are those that wait for it."""

    async def reader(pool: Any, end: asyncio.Event) -> None:
        async with InTime(bench, pool):
            await end.wait()

    async def go() -> tuple[Snapshot, Snapshot]:
        end = asyncio.Event()
        async with bench.open(2) as pool:
            with watch(pool) as watching:
                task = asyncio.create_task(reader(pool, end), name="reader")
                await until(lambda: bool(watching.snapshot().holders))
                await asyncio.sleep(0.02)
                during = watching.snapshot()
                assert watching.report().findings == ()
                end.set()
                await task
                return during, watching.snapshot()

    during, after = run(go())
    (holder,) = during.holders
    assert (holder.task, holder.fate, during.never_came_back) == ("reader", "held", ())
    assert holder.where.startswith("tests/monitor/test_owners.py:")
    assert holder.where.endswith(" in __aenter__")
    assert (after.holders, [place.calls for place in after.places]) == ((), [1])


def test_a_deadlock_through_wait_for_is_seen(bench: Bench) -> None:
    """Two tasks hold one each and ask for another, each time with a limit of their own."""
    started: list[int] = []

    async def nested(pool: Any) -> None:
        async with InTime(bench, pool):
            started.append(1)
            await until(lambda: len(started) == 2)
            async with InTime(bench, pool):
                pytest.fail("the pool is empty")

    async def go() -> Snapshot:
        async with bench.open(2) as pool:
            with watch(pool) as watching:
                tasks = [asyncio.create_task(nested(pool), name=f"nested-{n}") for n in range(2)]
                await until(lambda: watching.snapshot().waiting == 2)
                seen = watching.snapshot()
                await ended(*tasks)
                return seen

    seen = run(go())
    assert seen.deadlock is not None
    assert seen.deadlock.floor == 3
    assert set(seen.deadlock.names) == {"nested-0", "nested-1"}
    assert [waiter.holds for waiter in seen.waiters] == [1, 1]


def test_a_connection_may_be_handed_from_task_to_task(bench: Bench) -> None:
    """The task that asked has ended, and the program still knows the connection: no leak."""

    async def go() -> Snapshot:
        async with bench.open(2) as pool:
            with watch(pool) as watching:
                held = bench.hold(pool)
                connection = await asyncio.create_task(held.__aenter__(), name="asks")
                seen = watching.snapshot()
                del connection
                await held.__aexit__(None, None, None)
                return seen

    seen = run(go())
    (holder,) = seen.holders
    assert (holder.fate, seen.never_came_back) == ("held", ())


def test_the_place_of_calls_that_are_gathered_is_who_gathers_them(bench: Bench) -> None:
    """Tasks without code of the program's own: never the line that runs the event loop."""

    async def gathers(pool: Any) -> None:
        held = [bench.hold(pool) for _ in range(2)]
        await asyncio.gather(*(one.__aenter__() for one in held))
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in held))

    async def go() -> Snapshot:
        async with bench.open(2) as pool:
            with watch(pool) as watching:
                await gathers(pool)
                return watching.snapshot()

    seen = run(go())
    (place,) = seen.places
    assert place.where.endswith(" in gathers")
    assert (place.calls, seen.second_asks) == (2, 0)


@pytest.mark.parametrize("is_awaited", [True, False])
def test_the_place_of_a_task_of_the_librarys_own_code_is_the_line_that_made_it(
    bench: Bench, is_awaited: bool
) -> None:
    """`create_task(pool.acquire())` and its like, whether somebody waits for it or not."""

    async def makes(pool: Any) -> tuple[Any, asyncio.Task[Any]]:
        held = bench.hold(pool)
        return held, asyncio.create_task(held.__aenter__(), name="made")

    async def go() -> tuple[Snapshot, Any]:
        async with bench.open(2) as pool:
            with watch(pool) as watching:
                held, task = await makes(pool)
                if is_awaited:
                    await task
                await until(lambda: bool(watching.snapshot().holders) and task.done())
                seen = watching.snapshot()
                await task
                await held.__aexit__(None, None, None)
            return seen, asyncio.get_running_loop().get_task_factory()

    seen, factory = run(go())
    (holder,) = seen.holders
    assert holder.where.endswith(" in makes")
    assert holder.task == "made"
    assert factory is None


def test_a_task_factory_that_was_there_goes_on_making_tasks() -> None:
    """The program's own factory is asked, and it is back when the last watch has ended."""
    made: list[str] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def go() -> list[Any]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        async with aiohttp.ClientSession() as one, aiohttp.ClientSession() as other:
            first, second = watch(one), watch(other)
            await asyncio.create_task(asyncio.sleep(0))
            during = loop.get_task_factory()
            first.unwatch()
            between = loop.get_task_factory()
            second.unwatch()
            return [during, between, loop.get_task_factory()]

    during, between, after = run(go())
    assert "sleep" in made
    assert during is between is not factory
    assert after is factory


def test_a_connection_that_nobody_can_trace_is_left_when_its_task_ends() -> None:
    """A WebSocket has no response on its way: all that is known of it is who asked."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.receive()
        return response

    async def go() -> list[str]:
        application = web.Application()
        application.router.add_get("/", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession() as session:
            with watch(session) as watching:
                address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
                inside: list[str] = []

                async def asks() -> aiohttp.ClientWebSocketResponse:
                    socket = await session.ws_connect(address)
                    inside.extend(holder.fate for holder in watching.snapshot().holders)
                    return socket

                socket = await asyncio.create_task(asks())
                inside.extend(holder.fate for holder in watching.snapshot().holders)
                await socket.close()
        await runner.cleanup()
        return inside

    assert run(go()) == ["held", "left"]
