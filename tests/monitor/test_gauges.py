"""The gauges that a service exports, and the dashboard that draws them."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import warnings
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from poolkit.errors import BadInput
from poolkit.lab.postgres import PostgresServer
from poolkit.monitor import instrument, names, watch
from poolkit.monitor.dashboard import dashboard
from poolkit.monitor.exposition import PoolFigures, parse, quantile
from poolkit.monitor.tap import BOUNDS, Buckets
from tests.monitor.beside import Bench, close_leak, run
from tests.monitor.exporting import ExportingService
from tests.monitor.prometheus import Prometheus
from tests.monitor.subjects import Asyncpg


def read(registry: CollectorRegistry) -> dict[str, PoolFigures]:
    return parse(generate_latest(registry).decode(), "the registry")


@pytest.mark.lab
def test_every_driver_exports_every_figure(bench: Bench) -> None:
    """Size 2, 2 held, 3 waiting: exact in every gauge; afterwards the histograms hold 5 calls."""
    subject, registry = bench.subject, CollectorRegistry()

    async def caller(pool: Any, end: asyncio.Event) -> None:
        async with bench.hold(pool):
            await end.wait()

    async def go() -> tuple[PoolFigures, PoolFigures]:
        end = asyncio.Event()
        async with bench.open(2) as pool:
            with instrument(pool, name="p", registry=registry):
                tasks = [asyncio.create_task(caller(pool, end)) for _ in range(5)]
                for _ in range(1000):
                    seen = read(registry)["p"]
                    # psycopg's own figures tell of a wait before the call is in its queue.
                    if seen.values[names.OLDEST_HOLD.name] and seen.values[names.WAITING.name] == 3:
                        break
                    await asyncio.sleep(0.005)
                busy = read(registry)["p"]
                end.set()
                await asyncio.gather(*tasks)
                return busy, read(registry)["p"]

    busy, after = run(go())
    assert busy.driver == subject.name
    expected = {names.SIZE: 2, names.IN_USE: 2, names.AVAILABLE: 0, names.WAITING: 3}
    assert {metric.name: busy.values[metric.name] for metric in expected} == {
        metric.name: value for metric, value in expected.items()
    }
    # All five arrived, whether served or not.
    assert busy.values[names.ASKS.name] == 5
    assert busy.times[names.WAIT.name].count <= 2
    assert time.time() - 60 < busy.values[names.START.name] <= time.time()
    known = set(after.values) | set(after.times) | set(after.states)
    assert known == {metric.name for metric in names.METRICS}
    assert after.times[names.WAIT.name].count == 5
    assert after.times[names.HOLD.name].count == 5
    assert after.times[names.HOLD.name].total > 0
    assert (after.values[names.IN_USE.name], after.values[names.WAITING.name]) == (0, 0)
    if subject.is_http:  # the databases' pools dialled before anybody listened
        assert after.values[names.DIALS.name] >= 2


@pytest.mark.lab
def test_a_dropped_connection_is_counted_once(bench: Bench) -> None:
    """Whatever the library makes of it, and however often somebody looks."""

    async def go() -> list[float]:
        registry = CollectorRegistry()
        async with bench.open(2) as pool:
            with instrument(pool, name="p", registry=registry), watch(pool) as watching:
                async with bench.hold(pool):
                    counts = [read(registry)["p"].values[names.NEVER_RETURNED.name]]
                await asyncio.create_task(bench.leak(pool))
                gc.collect()
                await asyncio.sleep(0.01)
                for _ in range(2):
                    watching.snapshot()
                    counts.append(read(registry)["p"].values[names.NEVER_RETURNED.name])
                await close_leak(pool)
                return counts

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries warn of it themselves
        assert run(go()) == [0, 1, 1]


@pytest.mark.lab
def test_opentelemetrys_names_tell_the_same(service: ExportingService) -> None:
    """Each mapped metric exists for the database under both names, with equal figures."""
    with urllib.request.urlopen(service.metrics, timeout=5.0) as response:
        text = response.read().decode()
    pid = f'worker="{os.getpid()}"'
    labels = 'db_client_connection_pool_name="orders-db"'
    for metric in names.METRICS:
        if not metric.otel:
            continue
        end = {"counter": "_total", "histogram": "_count"}.get(metric.kind, "")
        state = "".join(f',{key}="{value}"' for key, value in metric.otel_labels)
        of = rf"driver=\"asyncpg\",pool=\"orders-db\",{pid}}}"
        other = rf"{metric.otel_name}{end}{{{labels}{state},{of}"
        own = rf"{metric.name}{end}{{{of}"
        values = [re.search(rf"^{name} (\S+)$", text, re.MULTILINE) for name in (own, other)]
        assert all(values), metric.name
        if metric.kind != "gauge":
            assert values[0][1] == values[1][1]  # type: ignore[index]
    assert 'http_client_open_connections{driver="aiohttp",http_connection_state="idle"' in text
    assert not re.search(r"db_client\w+{[^}]*aiohttp", text)


@pytest.mark.lab
def test_a_name_is_taken_once_and_free_again(postgres: PostgresServer) -> None:
    """Two pools of one name are refused; after `close` nothing is left, and it may be used anew."""

    async def go() -> None:
        subject, registry = Asyncpg(), CollectorRegistry()
        async with subject.open(postgres.dsn, 1) as pool:
            first = instrument(pool, name="orders", registry=registry)
            with pytest.raises(ValueError, match=r"'orders' is exported already.*close\(\)"):
                instrument(pool, name="orders", registry=registry)
            with pytest.raises(ValueError, match="name must not be empty"):
                instrument(pool, name="", registry=registry)
            with pytest.raises(TypeError, match="name must be text, got 3"):
                instrument(pool, name=cast("str", 3), registry=registry)
            with watch(pool) as watching:
                first.close()
                first.close()
                assert generate_latest(registry) == b""
                # The watch listens on: each reader leaves by itself.
                async with subject.hold(pool, ""):
                    assert len(watching.snapshot().holders) == 1
            with instrument(pool, name="orders", registry=registry, opentelemetry=False):
                assert list(read(registry)) == ["orders"]
                assert b"db_client" not in generate_latest(registry)

    run(go())


@pytest.mark.lab
def test_a_closed_pool_is_still_exported(postgres: PostgresServer) -> None:
    """A scrape during shutdown finds zeros, and no fault."""

    async def go() -> PoolFigures:
        subject, registry = Asyncpg(), CollectorRegistry()
        async with subject.open(postgres.dsn, 1) as pool:
            instrument(pool, name="orders", registry=registry)
        return read(registry)["orders"]

    seen = run(go())
    assert (seen.values[names.IN_USE.name], seen.values[names.IDLE.name]) == (0, 0)


def test_unknown_objects_are_refused() -> None:
    """The same TypeError as `watch`."""
    with pytest.raises(TypeError, match="supported are"):
        instrument(object(), name="x", registry=CollectorRegistry())


def test_the_monitor_is_light() -> None:
    """A watch loads no library at all; gauges load prometheus-client only."""
    code = "import sys, poolkit.monitor; print(*sys.modules)"
    more = code.replace("; print", "; poolkit.monitor.instrument; print")
    for line, also in ((code, False), (more, True)):
        done = subprocess.run(
            [sys.executable, "-c", line], capture_output=True, text=True, check=True
        )
        loaded = {name.partition(".")[0] for name in done.stdout.split()}
        assert ("prometheus_client" in loaded) is also
        assert not loaded & {"numpy", "pydantic", "asyncpg", "aiohttp", "httpx", "sqlalchemy"}


@pytest.mark.parametrize("driver", ["aiohttp", "asyncpg", "httpx", "psycopg", "sqlalchemy"])
def test_a_hook_loads_its_own_library_only(driver: str) -> None:
    """A service that is watched gets neither another driver's library nor the load generator."""
    code = f"import sys, poolkit.monitor, poolkit.drivers.{driver}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    libraries = {"aiohttp", "asyncpg", "httpx", "psycopg", "sqlalchemy"} - {driver}
    assert not {name.partition(".")[0] for name in loaded} & {*libraries, "numpy", "pydantic"}
    own = {name.split(".")[1] for name in loaded if name.startswith("poolkit.")}
    assert own == {"errors", "drivers", "monitor"}


@given(st.lists(st.floats(0, 20), min_size=1))
def test_buckets_count_what_lies_below_their_bounds(values: list[float]) -> None:
    """The count at each bound is the number of values up to it, as Prometheus defines it."""
    buckets = Buckets()
    for value in values:
        buckets.add(value)
    counts = list(buckets.cumulative())
    for bound, count in counts[:-1]:
        assert count == sum(value <= float(bound) for value in values)
    assert counts[-1] == ("+Inf", len(values))
    assert buckets.count == len(values)
    assert buckets.total == pytest.approx(sum(values))
    assert [float(bound) for bound, _ in counts[:-1]] == list(BOUNDS)


@pytest.mark.parametrize(
    ("cumulative", "share", "value"),
    [
        ([], 0.99, None),
        ([(1.0, 0), (float("inf"), 0)], 0.99, None),
        ([(1.0, 100), (float("inf"), 100)], 0.5, 0.5),  # linear within the first bucket
        ([(1.0, 50), (2.0, 100), (float("inf"), 100)], 0.75, 1.5),
        ([(1.0, 50), (2.0, 50), (float("inf"), 100)], 0.99, 2.0),  # beyond the last bound
        ([(1.0, 0), (2.0, 100), (float("inf"), 100)], 0.01, 1.01),
    ],
)
def test_quantiles_are_those_of_prometheus(
    cumulative: list[tuple[float, float]], share: float, value: float | None
) -> None:
    """Linear within a bucket, the largest finite bound beyond it, nothing without values."""
    assert quantile(cumulative, share) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("text", ["<html>", "poolkit_pool_size{", "poolkit_pool_size 3\n"])
def test_what_is_no_exposition_is_refused(text: str) -> None:
    """A page of another kind, or figures without their labels: named, with the cure."""
    with pytest.raises(BadInput, match="is not an exposition"):
        parse(text, "http://127.0.0.1/metrics")


def expressions(model: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in model["panels"] for target in panel["targets"]]
    for old, new in (
        ("$__rate_interval", "3s"),
        ("$__range", "3s"),
        ("$job", ".*"),
        ("$pool", ".*"),
    ):
        found = [expression.replace(old, new) for expression in found]
    return found


@pytest.mark.lab
def test_the_dashboard_draws_what_is_exported(
    service: ExportingService, prometheus: Prometheus
) -> None:
    """Each expression names exported metrics only, and a real Prometheus answers it with data."""
    with urllib.request.urlopen(service.metrics, timeout=5.0) as response:
        exported = set(re.findall(r"^(\w+)", response.read().decode(), re.MULTILINE))
    model = dashboard()
    assert len(expressions(model)) >= len(model["panels"])
    for expression in expressions(model):
        used = set(re.findall(r"\b(?:poolkit|db_client|http_client)_\w+", expression))
        assert used, expression
        assert used <= exported, expression
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{prometheus.url}/api/v1/query?{query}", timeout=5.0) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success"
        assert {series["metric"]["pool"] for series in answer["data"]["result"]} == {
            "orders-api",
            "orders-db",
        }, expression


def test_the_dashboard_is_whole() -> None:
    """Ids are unique, panels lie on Grafana's grid of 24 without overlap, titles say something."""
    model = dashboard()
    panels = model["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert all(panel["title"] and panel["description"] for panel in panels)
    used = {
        name
        for text in expressions(model)
        for name in re.findall(r"poolkit_pool_[a-z_]+?(?=_bucket|_sum|_count|_total|\{)", text)
    }
    assert used == {metric.name for metric in names.METRICS}, "a figure that no panel draws"


@pytest.mark.lab
def test_calls_are_counted_whatever_became_of_them(postgres: PostgresServer) -> None:
    """Of 700 calls, with a scrape in between from another thread, none is lost or counted twice."""

    async def go() -> PoolFigures:
        subject, registry = Asyncpg(), CollectorRegistry()
        async with subject.open(postgres.dsn, 2) as pool:
            with instrument(pool, name="p", registry=registry):
                scrapes = asyncio.create_task(asyncio.to_thread(scrape_often, registry))

                async def caller() -> None:
                    for _ in range(100):
                        async with subject.hold(pool, ""):
                            pass

                await asyncio.gather(*(caller() for _ in range(7)))
                await scrapes
                return read(registry)["p"]

    seen = run(go())
    assert seen.times[names.WAIT.name].count == 700
    assert seen.times[names.HOLD.name].count == 700


def scrape_often(registry: CollectorRegistry) -> None:
    for _ in range(50):
        read(registry)


@pytest.mark.lab
def test_a_failed_dial_is_a_call_too() -> None:
    """Nobody listens: the arrival is counted, the slot was held for the dial, nothing is left."""

    async def go() -> PoolFigures:
        import aiohttp

        registry = CollectorRegistry()
        async with aiohttp.ClientSession() as session:
            with instrument(session, name="p", registry=registry):
                with pytest.raises(aiohttp.ClientConnectionError):
                    await session.get("http://127.0.0.1:1/")
                return read(registry)["p"]

    seen = run(go())
    assert seen.times[names.WAIT.name].count == seen.times[names.HOLD.name].count == 1
    assert (seen.values[names.WAITING.name], seen.values[names.DIALS.name]) == (0, 0)
