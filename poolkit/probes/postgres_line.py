"""A PostgreSQL session that is logged in and left alone, in or outside a transaction."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from poolkit.drivers import postgres
from poolkit.drivers.asyncpg import session_options
from poolkit.probes.line import NoLine, Use

CLOSE_TIMEOUT = 0.5  # s
DIAL_TIMEOUT = 10.0  # s


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
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
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
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
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
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise NoLine(postgres.unreachable(error).cause) from None
        self._options = options | {"statement_cache_size": 0}

    async def __call__(self) -> PostgresLine:
        """Log in; `NoLine` says why that did not work."""
        if not self._options:
            await self.look()
        try:
            connection = await asyncpg.connect(self._dsn, **self._options)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise NoLine(postgres.unreachable(error).cause) from None
        return PostgresLine(connection, in_transaction=self._in_transaction)
