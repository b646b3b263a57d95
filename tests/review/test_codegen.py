"""pools.py: valid names, tidy code, no secret, and pools that really serve calls."""

from __future__ import annotations

import asyncio
import importlib.util
import keyword
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolkit.drivers.parameters import with_start
from poolkit.drivers.parameters.findings import Findings, IdleLimit
from poolkit.lab.postgres import PostgresServer
from poolkit.recommend import recommend, unreachable
from poolkit.records import ColdAdvice, Recommendation
from poolkit.review import codegen
from poolkit.review.codegen import LONGEST, identifiers
from poolkit.targets import Target
from tests.recommend.examples import (
    database_target,
    http_target,
    redis_target,
    sizing,
    times,
    verification,
    verifying_trial,
)

# What targets.toml lets a target be called.
TARGET_NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", fullmatch=True)


COLD = ColdAdvice(
    pools=4,
    pool_size=14,
    min_size=7,
    warm_up=True,
    jitter=0.8,
    login_rate=70.0,
    holds=True,
    because="with empty pools the first second's callers waited 281 ms (p99) for a connection",
    starts=(),
)


def recommended(
    target: Target, size: int = 14, *, probe: Findings | None = None, **changes: Any
) -> Recommendation:
    trial = verifying_trial(pool_size=size, **changes)
    return recommend(target, sizing(size=size), verification(), [trial], "done", 30.0, probe=probe)


def imported(source: str, folder: Path) -> ModuleType:
    """The generated module as a service would import it."""
    path = folder / "pools.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"pools_{folder.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up by name.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["orders-api"], ["orders_api"]),
        (["Orders.API"], ["orders_api"]),
        (["class"], ["pool_class"]),  # a keyword
        (["404"], ["pool_404"]),  # a leading digit
        (["___"], ["pool"]),  # nothing left
        (["__x"], ["x"]),  # would be mangled in a class
        (["a-b", "a_b", "a.b"], ["a_b", "a_b_2", "a_b_3"]),  # fall together
        (["a", "A", "a_2"], ["a", "a_2", "a_2_2"]),  # the suffix falls on another name
        (["x" * 100], ["x" * 40]),  # lines stay short
    ],
)
def test_names(names: list[str], expected: list[str]) -> None:
    """Target names become Python names that a reader recognises."""
    assert list(identifiers(names).values()) == expected


@given(st.lists(TARGET_NAMES, unique=True, max_size=12))
def test_any_target_names_give_distinct_python_names(names: list[str]) -> None:
    """Valid, lower case, short, no keyword, no private name, no two the same; in the same order."""
    found = identifiers(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for name in found.values():
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert not name.startswith("_")
        assert name == name.lower()
        assert len(name) <= LONGEST


@given(st.lists(TARGET_NAMES, unique=True, min_size=1, max_size=4))
def test_any_target_names_give_code_that_compiles(names: list[str]) -> None:
    """Names from targets.toml cannot break the file, nor write code into it."""
    targets = [http_target(name=name) for name in names]
    source = codegen.render([recommended(target) for target in targets], targets)
    compile(source, "pools.py", "exec")
    assert max(len(line) for line in source.splitlines()) <= 100


def variants() -> list[tuple[str, list[Recommendation], list[Target]]]:
    http, database = http_target(), database_target()
    httpx = http_target(name="orders-httpx", driver="httpx")
    fork = http_target(name="orders-fork", driver="httpx", library="httpx2")
    awkward = [
        http_target(name="x" * 100, url="http://127.0.0.1:8080/" + "p" * 60),
        http_target(name="y" * 100, url="http://127.0.0.1:8080/a\"b'c?q=1"),
        http_target(name="z" * 90, url="http://127.0.0.1:8080/" + "p" * 200),
        http_target(name="class", url="http://[::1]:8080/%C3%A9"),
        http_target(name="w" * 100, url="http://127.0.0.1:8080/" + "p" * 200, driver="httpx"),
        database_target(name="d" * 100),
        database_target(name="404", dsn_env="A" * 60),
        database_target(name="e" * 100, driver="sqlalchemy", dsn_env="A" * 60),
        database_target(name="f" * 100, driver="psycopg", dsn_env="A" * 60),
    ]
    sql = {
        driver: database_target(name=f"orders-{driver}", driver=driver)
        for driver in ("sqlalchemy", "psycopg")
    }
    dead = unreachable(http_target(name="dead"), 'refused: """ # \\ \n it', "start it")
    return [
        ("both", [recommended(http), recommended(database)], [http, database]),
        ("http alone", [recommended(http)], [http]),
        ("httpx alone", [recommended(httpx)], [httpx]),
        ("httpx2 alone", [recommended(fork)], [fork]),
        ("httpx and its fork", [recommended(httpx), recommended(fork)], [httpx, fork]),
        ("two that share the gate", [recommended(http), recommended(httpx)], [http, httpx]),
        ("database alone", [recommended(database)], [database]),
        ("no target known", [recommended(http), recommended(database)], []),
        ("one dead", [recommended(http), dead], [http]),
        ("all dead", [dead], [http]),
        ("nothing", [], []),
        *((driver, [recommended(sql[driver])], [sql[driver]]) for driver in sql),
        ("every database driver", [recommended(target) for target in sql.values()], []),
        (
            "gated databases",
            [
                recommended(database_target(name=f"{driver}-{'g' * 30}", driver=driver, gate=True))
                for driver in ("asyncpg", "sqlalchemy", "psycopg")
            ],
            [],
        ),
        (
            "targets that may share a session",
            [
                recommended(target)
                for target in (http, http_target(name="b" * 100), http_target(name="c" * 100))
            ],
            [http],
        ),
        (
            "targets that may share a client",
            [recommended(httpx), recommended(http_target(name="h" * 100, driver="httpx"))],
            [httpx],
        ),
        (
            "a probed database",
            [
                recommended(
                    sql["psycopg"],
                    probe=Findings(
                        IdleLimit(kind="closed", timeout=5.0, bounds=(4.9, 5.1), cap=75.0, seen="x")
                    ),
                )
            ],
            [sql["psycopg"]],
        ),
        *(
            (
                f"{driver} behind a pooler",
                [recommended(database_target(name=f"{driver}-db", driver=driver), pooler=mode)],
                [],
            )
            for driver in ("asyncpg", "sqlalchemy", "psycopg")
            for mode in ("transaction", "session", "unknown")
        ),
        ("awkward", [recommended(target) for target in awkward], awkward),
        (
            "replicas that begin cold",
            [
                r.model_copy(update={"parameters": with_start(target, r.parameters, COLD)})
                for target in (http, httpx, fork, redis_target(), database, *sql.values())
                for r in (recommended(target),)
            ],
            [http, httpx, fork],
        ),
    ]


@pytest.mark.parametrize(("recommendations", "targets"), [v[1:] for v in variants()])
def test_code_is_formatted_and_linted(
    recommendations: Sequence[Recommendation], targets: Sequence[Target], tmp_path: Path
) -> None:
    """`ruff format` at 100 columns leaves the file as it is, and lint finds nothing unused."""
    path = tmp_path / "pools.py"
    source = codegen.render(recommendations, targets, "2026-11-21T00:00:00Z")
    path.write_text(source, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "100", str(path)]
    tidy = subprocess.run(
        [*ruff, "format", "--diff", *options], capture_output=True, text=True, check=False
    )
    assert tidy.stdout == ""
    lint = subprocess.run(
        [
            *ruff,
            "check",
            "--no-cache",
            "--select",
            "B,D1,E4,E7,E9,F,I,SIM,UP",
            *options,
            "--ignore=D107",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_code_is_strictly_typed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`mypy --strict` with no configuration accepts every variant."""
    files = []
    for number, (_, recommendations, targets) in enumerate(variants()):
        path = tmp_path / f"pools_{number}.py"
        path.write_text(codegen.render(recommendations, targets), encoding="utf-8")
        files.append(str(path))
    # Kept between runs: without it aiohttp itself is checked each time.
    assert request.config.cache is not None
    cache = request.config.cache.mkdir("mypy_of_generated_code")
    command = ["-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", *files]
    found = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert found.returncode == 0, found.stdout


def test_reasons_stand_beside_the_values() -> None:
    """Each value is under a comment that says where it comes from."""
    source = codegen.render([recommended(http_target())], [http_target()])
    assert (
        "        # aiohttp counts the wait for the pool and the dial together: 1 s + 5 s\n"
        "        connect=6.0,\n"
    ) in source


@pytest.mark.parametrize(
    ("driver", "setting"),
    [
        ("asyncpg", "statement_cache_size=0"),
        ("sqlalchemy", "prepared_statement_cache_size=0"),
        ("psycopg", "prepare_threshold=None"),
    ],
)
def test_what_an_old_pgbouncer_wants_is_told(driver: str, setting: str) -> None:
    """Behind a pooler poolkit measures without prepared statements, so the code says how."""
    target = database_target(driver=driver)
    source = codegen.render([recommended(target)], [target])
    assert setting in " ".join(source.replace("#", " ").split())


def test_no_secret_in_the_code() -> None:
    """A DSN is read from the environment; a URL comes without user, password and query."""
    http = http_target(url="http://mary:hunter2@127.0.0.1:8080/orders?token=s3cr3t")
    inline = database_target(dsn="postgresql://mary:hunter2@127.0.0.1/orders", dsn_env=None)
    # `dsn_env=None` counts as not given only when it is left out.
    source = codegen.render([recommended(http), recommended(inline)], [http, inline])
    for secret in ("hunter2", "s3cr3t", "mary", "token"):
        assert secret not in source
    assert 'ORDERS_API_URL = "http://127.0.0.1:8080/orders"\n' in source
    assert 'os.environ["ORDERS_DB_DSN"]' in source


def test_a_target_without_a_size_gets_no_pool_but_a_reason() -> None:
    """The file says which target is missing, and why."""
    dead = unreachable(http_target(name="dead"), "connection refused", "start it")
    source = codegen.render([recommended(http_target()), dead], [http_target()])
    assert "# No pool for dead: connection refused\n" in source
    assert "dead_pool" not in source


class Upstream:
    """An HTTP server on a free port that counts calls under way; `hold` is its service time (s)."""

    def __init__(self, hold: float) -> None:
        self.hold = hold
        self.busiest = 0
        self.served = 0
        self._busy = 0
        self.url = ""

    async def __aenter__(self) -> Upstream:
        from aiohttp import web

        async def serve(_request: web.Request) -> web.Response:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
            await asyncio.sleep(self.hold)
            self._busy -= 1
            self.served += 1
            return web.Response(text="ok")

        application = web.Application()
        application.router.add_get("/orders", serve)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/orders"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()


def test_the_http_pool_runs(tmp_path: Path) -> None:
    """40 callers over a pool of 5: all are served, never more than 5 at once, settings as given."""

    async def scenario() -> None:
        async with Upstream(hold=0.005) as upstream:
            target = http_target(url=upstream.url)
            module = imported(codegen.render([recommended(target, size=5)], [target]), tmp_path)
            assert upstream.url == module.ORDERS_API_URL
            async with module.lifespan(object()) as state:
                pool = state["pools"].orders_api

                async def call() -> str:
                    async with pool.request("GET", module.ORDERS_API_URL) as response:
                        return str(await response.text())

                answers = await asyncio.gather(*(call() for _ in range(40)))
                connector = pool.session.connector
                assert (connector.limit, connector.limit_per_host) == (5, 5)
                assert pool.session.timeout.sock_read == 1.0
                assert pool.session.timeout.total == 7.0
            assert answers == ["ok"] * 40
            assert (upstream.served, upstream.busiest) == (40, 5)
            assert pool.session.closed

    asyncio.run(scenario())


def test_fastapi_finds_the_pool_in_its_requests(tmp_path: Path) -> None:
    """The lifespan in a real FastAPI application: a handler calls through `request.state.pools`."""
    fastapi = pytest.importorskip("fastapi")

    async def scenario() -> None:
        async with Upstream(hold=0.001) as upstream:
            target = http_target(url=upstream.url)
            module = imported(codegen.render([recommended(target, size=2)], [target]), tmp_path)
            app = fastapi.FastAPI(lifespan=module.lifespan)
            opened = []

            async def orders(request: Any) -> Any:
                pool = request.state.pools.orders_api
                opened.append(pool)
                async with pool.request("GET", module.ORDERS_API_URL) as response:
                    return fastapi.responses.PlainTextResponse(await response.text())

            app.add_route("/", orders)
            assert await served(app, "/") == (200, b"ok")
            assert upstream.served == 1
            assert opened[0].session.closed

    asyncio.run(scenario())


async def served(app: Any, path: str) -> tuple[int, bytes]:
    """One GET through an ASGI application, between its start-up and its shutdown."""
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}
    life = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, events.get, said.put)
    )
    async with asyncio.timeout(10.0):
        await events.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "state": dict(state),
        }
        sent: list[dict[str, Any]] = []

        async def request() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, request, send)
        await events.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await life
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_httpx_pool_runs(tmp_path: Path, library: str) -> None:
    """40 callers over a pool of 5: all are served over 5 connections, settings as given."""

    async def scenario() -> None:
        async with Upstream(hold=0.005) as upstream:
            target = http_target(url=upstream.url, driver="httpx", library=library)
            module = imported(codegen.render([recommended(target, size=5)], [target]), tmp_path)
            async with module.lifespan(object()) as state:
                pool = state["pools"].orders_api
                assert type(pool.client).__module__.partition(".")[0] == library

                async def call() -> str:
                    return str((await pool.request("GET", module.ORDERS_API_URL)).text)

                answers = await asyncio.gather(*(call() for _ in range(39)))
                async with pool.stream("GET", module.ORDERS_API_URL) as response:
                    answers.append((await response.aread()).decode())
                connections = pool.client._transport._pool
                assert (connections._max_connections, len(connections.connections)) == (5, 5)
                assert connections._max_keepalive_connections == 5
                timeout = pool.client.timeout
                assert (timeout.connect, timeout.read, timeout.write) == (5.0, 1.0, 1.0)
                assert (timeout.pool, pool.total) == (1.0, 12.0)
            assert answers == ["ok"] * 40
            assert (upstream.served, upstream.busiest) == (40, 5)
            assert pool.client.is_closed

    asyncio.run(scenario())


def test_an_httpx_call_ends_in_time_and_frees_its_place(tmp_path: Path) -> None:
    """`total` cuts off what takes too long, and the next call passes the gate."""

    async def scenario() -> None:
        async with Upstream(hold=0.2) as upstream:
            target = http_target(url=upstream.url, driver="httpx")
            module = imported(codegen.render([recommended(target, size=1)], [target]), tmp_path)
            async with module.orders_api_pool() as pool:
                hasty = module.HttpxPool(pool.client, pool.gate, total=0.05)
                with pytest.raises(TimeoutError):
                    await hasty.request("GET", upstream.url)
                assert (await pool.request("GET", upstream.url)).text == "ok"
                assert pool.gate.waiting == 0

    asyncio.run(scenario())


def test_the_gate_turns_callers_away_in_time(tmp_path: Path) -> None:
    """No place in time: GateTimeout. A call that ends in an error frees its place."""

    async def scenario() -> None:
        # 10 times a response target of 2 ms: callers are told no after 20 ms.
        target = http_target(response_p99=0.002)
        module = imported(codegen.render([recommended(target, size=1)], [target]), tmp_path)
        async with module.orders_api_pool() as pool:
            with pytest.raises(ZeroDivisionError):
                async with pool.gate.slot():
                    raise ZeroDivisionError
            async with pool.gate.slot():
                with pytest.raises(module.GateTimeout, match=r"no free place within 0\.02 s"):
                    async with pool.gate.slot():
                        pytest.fail("two callers passed a gate of one")
            assert pool.gate.waiting == 0
            async with pool.gate.slot():
                pass

    asyncio.run(scenario())


@pytest.mark.lab
def test_the_database_pool_runs(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pool, limits and shutdown work on a real PostgreSQL; the server's own limit ends first."""
    pytest.importorskip("asyncpg")
    import asyncpg

    async def scenario() -> None:
        target = database_target(response_p99=0.005)  # acquire_timeout: 50 ms
        measured = recommended(target, size=2, hold_time=times(0.01, 0.02))
        module = imported(codegen.render([measured], [target]), tmp_path)
        async with module.open_pools() as pools:
            database = pools.orders_db
            async with database.acquire() as first, database.acquire() as second:
                assert await first.fetchval("select 1") == 1
                assert await first.fetchval("show statement_timeout") == "1s"
                assert (database.pool.get_size(), database.pool.get_max_size()) == (2, 2)
                with pytest.raises(TimeoutError):
                    async with database.acquire():
                        pytest.fail("a third connection came out of a pool of two")
                with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
                    await second.execute("select pg_sleep(5)")
                assert await second.fetchval("select 2") == 2  # the connection lives on
        assert database.pool._closed

    monkeypatch.setenv("ORDERS_DSN", postgres.dsn)
    asyncio.run(scenario())
