"""PostgreSQL as the probes speak it: sessions that are left alone, in or outside a transaction.

And those that a pooler such as PgBouncer keeps to its server: its clients are not told when they
end, but the first calls of the next rush wait for the pooler's dials. Clients may read
`pg_stat_activity`, where their own user's sessions stand with the moment they fell idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from poolkit.drivers import postgres
from poolkit.drivers.asyncpg import bounded, session_options
from poolkit.drivers.parameters.findings import IdleLimit
from poolkit.drivers.table import MAX_REPLY
from poolkit.probes.line import ANSWER, Dial, NoLine, OnStep, Upstream, Use, quiet
from poolkit.probes.reading import Silence, read_silences
from poolkit.probes.relay import moved
from poolkit.targets import Target
from poolkit.targets.workload import SqlWork, sql_work

# SSLRequest: length 8, code 80877103; the answer is S or N (protocol 3, 55.2.11).
TLS_REQUEST = struct.pack("!ii", 8, 80877103)
CLOSE_TIMEOUT = 0.5  # s
DIAL_TIMEOUT = 10.0  # s
SESSIONS = 4  # of the pooler, which are made and then left alone
EVERY = 0.25  # s between two looks at them
_HOLD = 0.2  # s that each is held, so that the pooler needs one for each
_OWN = f"select pg_backend_pid() as pid, pg_sleep({_HOLD})"
_IDLE = """
select pid, extract(epoch from clock_timestamp() - state_change)::float8 as idle
from pg_stat_activity
where usename = current_user and datname = current_database() and pid <> pg_backend_pid()
"""
_VERIFYING = ("verify-ca", "verify-full")
_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class PostgresLine:
    """One session; every use is `select 1`.

    Args:
        in_transaction: leave it idle within a transaction, which each use ends and begins anew.
    """

    will_close = False

    def __init__(self, connection: Any, *, in_transaction: bool) -> None:
        self._connection = connection
        self._in_transaction = in_transaction
        self._ended = asyncio.Event()
        connection.add_termination_listener(lambda _: self._ended.set())

    async def use(self, timeout: float) -> Use:
        """Run one statement."""
        connection = self._connection
        try:
            async with asyncio.timeout(timeout):
                if self._in_transaction and connection.is_in_transaction():
                    await connection.execute("rollback")
                if self._in_transaction:
                    await connection.execute("begin")
                await connection.fetchval("select 1")
        except TimeoutError:
            return "silent"
        except _ERRORS:
            return "closed_on_use"
        return "alive"

    async def ask(self, statement: str, timeout: float) -> list[Any]:
        """The rows of a statement; raises what asyncpg raises, and TimeoutError."""
        return list(await self._connection.fetch(statement, timeout=timeout))

    async def wait_closed(self) -> None:
        """Return when the server has ended the session."""
        await self._ended.wait()

    async def close(self) -> None:
        """Say goodbye; a server that does not answer is left."""
        if not self._connection.is_closed():
            with contextlib.suppress(*_ERRORS):
                await self._connection.close(timeout=CLOSE_TIMEOUT)


class PostgresDialer:
    """Opens sessions as the adapters do; `is_pooled` is known after `look`.

    State: the options that the first session found to be right.
    """

    def __init__(self, dsn: str, *, in_transaction: bool = False) -> None:
        self._dsn = dsn.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._in_transaction = in_transaction
        self._options: dict[str, Any] = {}
        self.is_pooled = False

    async def look(self) -> None:
        """Find out whether a pooler stands before the server; `NoLine` when there is none."""
        try:
            self.is_pooled, options = await session_options(
                self._dsn, read_only=True, call_timeout=DIAL_TIMEOUT
            )
        except _ERRORS as error:
            raise NoLine(postgres.unreachable(error).cause) from None
        self._options = options | {"statement_cache_size": 0}

    async def __call__(self) -> PostgresLine:
        """Log in; `NoLine` says why that did not work."""
        if not self._options:
            await self.look()
        try:
            connection = await asyncpg.connect(self._dsn, **self._options)
        except _ERRORS as error:
            raise NoLine(postgres.unreachable(error).cause) from None
        bounded(connection, MAX_REPLY)
        return PostgresLine(connection, in_transaction=self._in_transaction)


async def dialer(target: Target) -> Dial:
    """Opens sessions of the target; `NoLine` says why the first did not work."""
    made = PostgresDialer(target.resolved_dsn())
    await made.look()
    return made


def upstream(target: Target) -> Upstream | str:
    """Where a relay in front of the target leads; a text: why there can be none."""
    parts = urlsplit(target.resolved_dsn())
    options = dict(parse_qsl(parts.query))
    if options.get("sslmode") in _VERIFYING:
        return "the DSN's sslmode ties TLS to the server's name"
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the DSN names several hosts"
    if not host or not port:
        return "the DSN names no host"
    if target.host.startswith("/"):
        return Upstream("", port, path=str(Path(target.host) / f".s.PGSQL.{port}"))
    return Upstream(host, port)


def work(target: Target, port: int | None) -> tuple[Any, ...]:
    """The DSN and the statements for the adapter; through `port` here, None: straight.

    `select 1` stands in the place of a function of the user's.
    """
    dsn = target.resolved_dsn()
    if port is not None:
        dsn = moved(dsn, port)
    return dsn, SqlWork(["select 1"]) if target.work is not None else sql_work(target, 1)


async def find_pooler_limit(
    dial: PostgresDialer,
    *,
    cap: float,
    on_step: OnStep = quiet,
    stop: asyncio.Event | None = None,
) -> IdleLimit | None:
    """Make a few sessions behind the pooler, leave them, and watch them go; None: it has but one.

    Raises:
        NoLine: no connection could be made.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    on_step("watching the pooler's sessions", cap)
    watcher = await dial()
    try:
        left = await _sessions(dial)
        silences: list[Silence] = []
        ages: dict[int, float] = {}
        # The watcher's own questions keep one of them alive.
        while loop.time() - began < cap:
            idle = {row["pid"]: row["idle"] for row in await watcher.ask(_IDLE, ANSWER)}
            for pid in left & ages.keys() - idle.keys():
                silences.append(Silence(0.0, ages[pid] + EVERY / 2, "closed"))
                left.discard(pid)
            ages |= {pid: seconds for pid, seconds in idle.items() if seconds is not None}
            if (silences and len(left) <= 1) or (stop is not None and stop.is_set()):
                break
            await asyncio.sleep(EVERY)
    except _ERRORS:  # TimeoutError is an OSError
        return None
    finally:
        await watcher.close()
    alive = [Silence(0.0, ages[pid], "alive") for pid in left & ages.keys()]
    if not silences and not alive:
        return None
    limit = read_silences(silences or alive, cap=cap, session="behind_pooler")
    return limit.model_copy(update={"connections": SESSIONS, "seconds": loop.time() - began})


async def _sessions(dial: PostgresDialer) -> set[int]:
    """The server processes of a few sessions that the pooler had to open side by side."""
    lines: list[PostgresLine] = []
    try:
        while len(lines) < SESSIONS:
            lines.append(await dial())
        rows = await asyncio.gather(*(line.ask(_OWN, ANSWER + _HOLD) for line in lines))
        return {row[0]["pid"] for row in rows}
    finally:
        for line in lines:
            await line.close()
