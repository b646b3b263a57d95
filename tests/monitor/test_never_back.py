"""Connections that do not come back: of tasks that have ended, and of nobody at all."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy.util import greenlet_spawn

from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import Snapshot, watch
from tests.monitor.beside import Bench, close_leak, ended, run, until
from tests.monitor.subjects import Httpx, Sqlalchemy, half_server

pytestmark = pytest.mark.lab


def test_a_holder_whose_task_has_ended_is_named_so(bench: Bench) -> None:
    """A cancelled task leaves its connection out: not named as if the task still lived."""

    async def go() -> tuple[Snapshot, Snapshot, str]:
        kept: list[Any] = []

        async def taker(pool: Any) -> None:
            held = bench.hold(pool)
            kept.extend((held, await held.__aenter__()))
            await asyncio.sleep(60)

        async with bench.open(2) as pool:
            with watch(pool, held_longer_than=0.2) as watching:
                task = asyncio.create_task(taker(pool), name="taker")
                await until(lambda: bool(kept))
                lives = watching.snapshot()
                await ended(task)
                await asyncio.sleep(0.25)
                left, text = watching.snapshot(), watching.report().text
                await kept[0].__aexit__(None, None, None)
                await close_leak(pool)
                return lives, left, text

    lives, left, text = run(go())
    assert not lives.holders[0].has_ended
    (holder,) = left.never_came_back
    assert (holder.fate, holder.has_ended, holder.task) == ("left", True, "taker")
    assert "1 connection is held by a task that has ended (taker), taken at tests/" in text
    assert "by taker" not in text
    assert "its task has ended" in text


def test_httpx_loses_connections_of_cancelled_calls() -> None:
    """In use, and no call has them: a finding of its own, and no other count says otherwise."""

    async def go() -> tuple[Snapshot, tuple[str, ...], Snapshot]:
        subject = Httpx()
        async with half_server() as url, subject.open(url, 1, timeout=0.05) as client:
            with watch(client) as watching:
                first = await client.send(client.build_request("GET", url), stream=True)
                task = asyncio.create_task(client.get(f"{url}/whole"), name="next")
                await until(lambda: watching.snapshot().waiting == 1)
                before = watching.snapshot()
                # httpcore hands the slot on at once; the call is cancelled before it runs again.
                await first.aclose()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                with pytest.raises(httpx.PoolTimeout):
                    await client.get(f"{url}/whole")
                return before, watching.report().findings, watching.snapshot()

    before, findings, after = run(go())
    assert (before.in_use, before.unheld, len(before.holders)) == (1, 0, 1)
    assert (after.in_use, after.unheld, after.holders) == (1, 1, ())
    assert findings[0].startswith("1 connection is in use that no call has")
    assert findings[1].endswith("some of which do not come back: mend that first")


def test_a_stream_whose_reader_was_dropped_is_back_once() -> None:
    """httpcore closes it by itself then: never "0 in use" beside connections that are out."""

    async def go() -> tuple[Snapshot, Snapshot]:
        subject = Httpx()
        async with half_server() as url, subject.open(url, 4) as client:
            kept = []

            async def first_part() -> None:
                response = await client.send(client.build_request("GET", url), stream=True)
                kept.append(response)
                async for _ in response.aiter_raw():
                    return

            with watch(client) as watching:
                responses = [
                    await client.send(client.build_request("GET", url), stream=True)
                    for _ in range(2)
                ]
                for _ in range(2):
                    await asyncio.create_task(first_part())
                await until(lambda: watching.snapshot().in_use == 2)
                seen = watching.snapshot()
                for response in (*responses, *kept):
                    await response.aclose()
                return seen, watching.snapshot()

    seen, after = run(go())
    assert (seen.in_use, seen.unheld, len(seen.holders)) == (2, 0, 2)
    assert (after.in_use, after.holders) == (0, ())
    assert sum(place.calls for place in after.places) == 4


def test_what_a_disposed_engine_has_out_is_told(postgres: PostgresServer) -> None:
    """The new pool has none in use; the headline names the one that is still out."""

    async def go() -> str:
        subject = Sqlalchemy()
        async with subject.open(postgres.dsn, 2) as engine:
            with watch(engine) as watching:
                old = engine.sync_engine.pool
                async with subject.hold(engine, ""):
                    await engine.dispose()
                    text = watching.report().text
                await greenlet_spawn(old.dispose)  # nobody else closes what came back to it
                return text

    assert "0 in use (1 more out that the pool has given up), 0 idle" in run(go())
