"""A monitor that is left on for days must not grow, and must never hurt the service."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from types import CodeType
from typing import Any, cast

import aiohttp
import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy.util import greenlet_spawn

from poolkit.drivers.hooks import Hook, PoolState
from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import instrument, names, watch
from poolkit.monitor.calls import Sites
from poolkit.monitor.exposition import parse
from poolkit.monitor.tap import Tap
from tests.monitor.beside import run
from tests.monitor.subjects import Sqlalchemy


class Nobody:
    """A hook of no pool."""

    driver = "none"

    def state(self) -> PoolState:
        return PoolState(1, 0, 0)

    def forgotten(self) -> set[int]:
        return set()


def tap() -> Tap:
    return Tap(cast("Hook", Nobody()), Sites(()))


def test_an_outage_leaves_nothing_behind() -> None:
    """Every call fails for hours, and nobody reads the watch: what is over is counted away."""

    async def go() -> Tap:
        books = tap()
        for _ in range(5000):
            books.failed(books.ask(sys._getframe()), is_timeout=True, is_cancelled=False)
        return books

    books = run(go())
    assert len(books._over) < 1000
    books.fold()
    assert (books.asks, books.timeouts, books.wait_time.count) == (5000, 5000, 5000)
    assert (books.waiting, books.held) == ({}, {})


def test_hand_over_hand_leaves_nothing_behind() -> None:
    """A task that takes the next connection before it gives back the last one, for hours."""

    async def go() -> tuple[Tap, int]:
        books, deepest = tap(), 0
        for number in range(2000):
            call = books.ask(sys._getframe())
            books.got(call, number)
            deepest = max(deepest, call.depth)
            if number:
                books.back(number - 1)
        books.lose(1999)
        return books, deepest

    books, deepest = run(go())
    assert (deepest, books.deepest, books._nested, books.holding) == (2, 2, 0, {})


def test_one_that_is_lost_is_no_connection_of_its_task_any_more() -> None:
    """What is lost must not count when its task's other one comes back: others still nest."""

    async def go() -> tuple[Tap, int]:
        books = tap()

        async def takes_two(first: int) -> None:
            for key in (first, first + 1):
                books.got(books.ask(sys._getframe()), key)

        await takes_two(1)
        await asyncio.create_task(takes_two(3))
        books.lose(2)
        books.back(1)
        nested = books._nested
        books.back(3)
        return books, nested

    books, nested = run(go())
    assert (nested, books._nested, list(books.held)) == (1, 0, [4, -1])
    assert list(books.holding.values()) == [books.held[4]]


def test_code_made_on_the_fly_does_not_pile_up() -> None:
    """Places beyond the first ten thousand are one place: a maker of code is no leak."""
    sites = Sites(())
    for number in range(11_000):
        code: CodeType = compile(f"x = {number}", f"<made {number}>", "exec")
        sites.at(code, 0).calls += 1
    assert len(list(sites)) <= 10_001
    assert sum(site.calls for site in sites) == 11_000


def test_a_place_can_be_told_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service may outlive the folder that it was started in."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Sites(()).at(sys._getframe().f_code, 0).where.startswith("monitor/test_faults.py:")


@pytest.mark.lab
def test_an_engine_that_is_disposed_of_while_it_is_in_use(postgres: PostgresServer) -> None:
    """The old pool's connections come back to the old pool, and the books know it."""

    async def go() -> None:
        subject = Sqlalchemy()
        async with subject.open(postgres.dsn, 2) as engine:
            with watch(engine) as watching:
                old = engine.sync_engine.pool
                async with subject.hold(engine, ""):
                    await engine.dispose()
                    async with subject.hold(engine, ""):
                        assert len(watching.snapshot().holders) == 2
                await greenlet_spawn(old.dispose)  # nobody else closes what came back to it
                seen = watching.snapshot()
                assert (seen.holders, [place.calls for place in seen.places]) == ((), [1, 1])
            assert "_do_get" not in vars(engine.sync_engine.pool)

    run(go())


def test_what_cannot_be_instrumented_leaves_the_registry_as_it_was() -> None:
    """Nothing is registered for it, and the first pool that can be still chooses the names."""
    registry = CollectorRegistry()
    with pytest.raises(TypeError):
        instrument(object(), name="x", registry=registry)
    assert generate_latest(registry) == b""

    async def go() -> bytes:
        async with aiohttp.ClientSession() as session:
            with instrument(session, name="x", registry=registry, opentelemetry=False):
                return generate_latest(registry)

    text = run(go())
    assert b"poolkit_pool_size" in text
    assert b"http_client_open_connections" not in text


def test_a_registry_that_knows_the_names_already_leaves_the_pool_alone() -> None:
    """Another library's metric of the same name: refused, and the pool is not listened to."""
    registry = CollectorRegistry()
    Gauge(names.WAITING.name, "another", registry=registry)

    async def go() -> None:
        async with aiohttp.ClientSession() as session:
            before = dict(vars(session.connector))
            for _ in range(2):
                with pytest.raises(ValueError, match="Duplicated"):
                    instrument(session, name="x", registry=registry)
            assert vars(session.connector) == before

    run(go())


def test_a_pool_that_cannot_be_read_does_not_take_the_other_metrics_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its own figures are missing from /metrics, once a line in the log says why."""

    async def go() -> set[str]:
        registry = CollectorRegistry()
        async with aiohttp.ClientSession() as good, aiohttp.ClientSession() as bad:
            with (
                instrument(good, name="good", registry=registry),
                instrument(bad, name="bad", registry=registry),
            ):
                kept = bad.connector._acquired  # type: ignore[union-attr]
                del bad.connector._acquired  # type: ignore[union-attr]
                for _ in range(2):
                    seen = set(parse(generate_latest(registry).decode(), "it"))
                bad.connector._acquired = kept  # type: ignore[union-attr]
                return seen

    with caplog.at_level(logging.WARNING, logger="poolkit.monitor"):
        assert run(go()) == {"good"}
    (line,) = [record.getMessage() for record in caplog.records]
    assert "pool bad cannot be read" in line


def test_calls_outside_asyncio_are_no_fault() -> None:
    """httpx runs on other event loops too: there the books do without tasks."""
    answers = httpx.MockTransport(lambda _request: httpx.Response(200))

    class Pooled(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            books = self._pool._poolkit_tap  # type: ignore[attr-defined]
            call = books.ask(sys._getframe())
            books.got(call, 1)
            books.back(1)
            return await answers.handle_async_request(request)

    async def go() -> Any:
        client = httpx.AsyncClient(transport=Pooled())
        with watch(client) as watching:
            await client.get("http://127.0.0.1/")
            return watching.snapshot()

    work = go()
    with pytest.raises(StopIteration) as ended:
        work.send(None)  # as a loop that is not asyncio's would
    assert [place.calls for place in ended.value.value.places] == [1]
