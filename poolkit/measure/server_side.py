"""What is looked at beside a trial: the pooler, the server's own sessions, a Prometheus query.

A look takes a millisecond, five times a second, over connections of its own that are no part of
the measured pool. What the server does not show is left out with a remark, and nothing that goes
wrong here reaches the trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from pydantic import SecretStr

from poolkit.analysis.server_side import TierSample, WaitSample, tier, waits
from poolkit.drivers.pooler import Console
from poolkit.drivers.postgres import (
    ALL_WAITS,
    OWN_WAITS,
    SPARE_CONNECTIONS,
    PostgresPool,
    unreachable,
)
from poolkit.drivers.registry import driver_module, make_pool
from poolkit.errors import PoolkitError
from poolkit.load.measurement import Measurement
from poolkit.records import Gauge, Pooler, PoolerSettings, ServerSide, Trial
from poolkit.targets import Target
from poolkit.targets.evidence import WINDOW
from poolkit.targets.postgres_uri import read_postgres_uri
from poolkit.targets.production import RateQuery, largest

BETWEEN_LOOKS = 0.2  # s
PATIENCE = 2.0  # s for a login, a look, or Prometheus's answer
MOST_FAILURES = 3  # of Prometheus in a row, before it is left alone
_CONSOLE = "pgbouncer"  # the database that its admin console answers as

# One look, whose sample its source keeps.
Look = Callable[[], Awaitable[None]]


class _RefusedError(Exception):
    """Why a source cannot be looked at, in words for the reader."""


class _Tier:
    """A pooler's own figures (`SHOW POOLS`); state: the samples of the trial under way."""

    name = "the pooler"

    def __init__(self, target: Target) -> None:
        self._target = target
        self._settings = PoolerSettings()
        self.samples: list[TierSample] = []

    async def open(self, stack: AsyncExitStack, needed: int) -> Look:
        """Log in to the admin console."""
        self.samples = []
        variable = self._target.evidence.pooler_dsn_env
        if importlib.util.find_spec("psycopg") is None:
            raise _RefusedError("its console needs psycopg: pip install 'poolkit[drivers]'")
        module = driver_module("psycopg")
        own = self._target.resolved_dsn()
        dsn = own if variable is None else os.environ[variable]
        try:
            dialled = module.console(dsn, _CONSOLE if variable is None else None)
            ask: Console = await stack.enter_async_context(dialled)
            uri = read_postgres_uri(own, os.environ)
            database, user = uri.database, unquote(uri.user)
            self._settings = await _settings(ask, database)
        except module.psycopg.Error as error:
            raise _RefusedError(
                f"{unreachable(error).cause}; name the user in its stats_users, or say evidence = "
                '{ pooler_dsn_env = "..." }'
            ) from None

        async def look() -> None:
            row = _row(await ask("SHOW POOLS"), database, user)
            self.samples.append(_tier_sample(time.time(), row))

        return look

    def seen(self, origin: float, begin: float, end: float) -> Any:
        """The samples of a window, its trial having begun at `origin` (Unix time, s)."""
        samples = [one._replace(at=one.at - origin) for one in self.samples]
        return tier(samples, begin, end, self._settings)


class _Sessions:
    """A PostgreSQL's sessions, our own or the pooler's; state: the samples of the trial under way.

    Args:
        target: with the DSN of the server itself.
        is_shared: whether the trial's connections are sessions there; else a pooler's are.
    """

    name = "the server's sessions"

    def __init__(self, target: Target, *, is_shared: bool) -> None:
        self._target = target
        self._is_shared = is_shared
        self._pool: PostgresPool | None = None
        self.samples: list[WaitSample] = []

    async def open(self, stack: AsyncExitStack, needed: int) -> Look:
        """Log in beside the pool, where that takes no connection which the trial needs."""
        self.samples = []
        if self._pool is None:
            self._pool = cast(PostgresPool, make_pool(self._target, 1))
        pool = self._pool
        statement = OWN_WAITS if self._is_shared else ALL_WAITS
        expected: tuple[type[Exception], ...] = (*pool.errors, OSError)
        try:
            await pool.look()
            ask = await stack.enter_async_context(pool.aside())
            spare = int(await ask(SPARE_CONNECTIONS))
            await ask(statement)
        except expected as error:
            raise _RefusedError(unreachable(error).cause) from None
        if self._is_shared and spare < needed:
            raise _RefusedError(f"the trial needs the server's last {needed} connections")

        async def look() -> None:
            found = json.loads(await ask(statement))
            sample = WaitSample(time.time(), found["waits"] or {}, found["locks"] or {})
            self.samples.append(sample)

        return look

    def seen(self, origin: float, begin: float, end: float) -> Any:
        """The samples of a window, its trial having begun at `origin` (Unix time, s)."""
        samples = [one._replace(at=one.at - origin) for one in self.samples]
        return waits(samples, begin, end)


class ServerWatch:
    """Looks at the server's side of one target while its trials run.

    Args:
        pooler: what stands before a PostgreSQL, as the first call saw it.

    State: the sources, those that are out of reach (name -> why), failures of Prometheus in a row.
    """

    def __init__(self, target: Target, pooler: Pooler | None) -> None:
        self._query = target.evidence.query
        self._sources: dict[str, _Tier | _Sessions] = {}
        self._out: dict[str, str] = {}
        self._failures = 0
        if not target.evidence.is_wanted or target.kind != "postgres":
            return
        variable = target.evidence.server_dsn_env
        if pooler is not None:
            self._sources["pooler"] = _Tier(target)
        if variable is not None:
            direct = {"dsn": SecretStr(os.environ[variable]), "dsn_env": None}
            server = target.model_copy(update=direct)
            self._sources["waits"] = _Sessions(server, is_shared=pooler is None)
        elif pooler is None:
            self._sources["waits"] = _Sessions(target, is_shared=True)

    @asynccontextmanager
    async def beside(self, needed: int) -> AsyncIterator[None]:
        """Look until the end of the block, in which a trial of so many connections runs."""
        stack = AsyncExitStack()
        looks = []
        try:
            for key, source in self._sources.items():
                look = None if key in self._out else await self._opened(stack, key, source, needed)
                if look is not None:
                    looks.append(asyncio.create_task(_looked(look)))
            yield
        finally:
            for task in looks:
                task.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(PATIENCE):
                    await stack.aclose()

    async def seen(self, measured: Measurement, trial: Trial) -> ServerSide | None:
        """What was seen in the window of a trial that has just ended; None: nothing was asked."""
        if not self._sources and self._query is None:
            return None
        origin = datetime.fromisoformat(measured.started).timestamp() + measured.begins
        begin, end = trial.warm_up, trial.warm_up + trial.window
        found = {key: one.seen(origin, begin, end) for key, one in self._sources.items()}
        remarks = [f"{self._sources[key].name}: {why}" for key, why in self._out.items()]
        gauge = None
        if self._query is not None and self._failures < MOST_FAILURES:
            try:
                gauge = await asyncio.to_thread(_gauge, self._query, origin + end, trial.window)
                self._failures = 0
            except PoolkitError as error:
                self._failures += 1
                remarks.append(f"Prometheus: {error.cause}")
        return ServerSide(**found, gauge=gauge, remarks=tuple(remarks))

    async def _opened(
        self, stack: AsyncExitStack, key: str, source: _Tier | _Sessions, needed: int
    ) -> Look | None:
        """The look at a source that lets us in; else it is out of reach from here on."""
        own = await stack.enter_async_context(AsyncExitStack())
        try:
            async with asyncio.timeout(PATIENCE):
                return await source.open(own, needed)
        except _RefusedError as why:
            self._out[key] = str(why)
        except TimeoutError:
            self._out[key] = f"no answer within {PATIENCE:g} s"
        except Exception as error:  # whatever a stranger answers: the trial goes on without
            self._out[key] = f"its answer is none ({type(error).__name__})"
        with contextlib.suppress(Exception):
            await own.aclose()
        return None


async def _looked(look: Look) -> None:
    """Look again and again; a source that fails in the middle of a trial is left until its end."""
    with contextlib.suppress(Exception):
        while True:
            async with asyncio.timeout(PATIENCE):
                await look()
            await asyncio.sleep(BETWEEN_LOOKS)


def _gauge(query: RateQuery, at: float, window: float) -> Gauge:
    """What a query gives for a window (s) that ended at `at` (Unix time, s)."""
    asked = replace(query, query=query.query.replace(WINDOW, f"{max(1, round(window))}s"))
    value, labels = largest(asked, at, timeout=PATIENCE)
    return Gauge(query=query.query, value=value, labels=labels)


async def _settings(ask: Console, database: str) -> PoolerSettings:
    """How the pooler is set up for a database."""
    pools = await ask("SHOW POOLS")
    databases = await ask("SHOW DATABASES")
    config = {str(row.get("key")): row.get("value") for row in await ask("SHOW CONFIG")}
    own: Mapping[str, Any] = next((row for row in databases if row.get("name") == database), {})
    return PoolerSettings(
        mode=own.get("pool_mode") or config.get("pool_mode"),
        pool_size=_count(own.get("pool_size", config.get("default_pool_size"))),
        reserve_pool_size=_count(own.get("reserve_pool", config.get("reserve_pool_size"))),
        max_db_connections=_count(own.get("max_connections", config.get("max_db_connections"))),
        max_client_conn=_count(config.get("max_client_conn")),
        pools=sum(row.get("database") != _CONSOLE for row in pools),
    )


def _row(rows: Sequence[Mapping[str, Any]], database: str, user: str) -> Mapping[str, Any]:
    """The row of a database and user; of another user where the pooler logs in as that one."""
    mine = [row for row in rows if row.get("database") == database]
    return next((row for row in mine if row.get("user") == user), mine[0] if mine else {})


def _tier_sample(at: float, row: Mapping[str, Any]) -> TierSample:
    counts = {key: _count(value) or 0 for key, value in row.items()}

    def total(*columns: str) -> int:
        return sum(counts.get(column, 0) for column in columns)

    return TierSample(
        at,
        clients_active=total("cl_active"),
        clients_waiting=total("cl_waiting"),
        servers_active=total("sv_active"),
        servers_idle=total("sv_idle", "sv_used", "sv_tested"),
        longest_wait=total("maxwait") + total("maxwait_us") / 1e6,
    )


def _count(value: Any) -> int | None:
    """A count as a pooler tells it; None: it tells none."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= 15 else None
