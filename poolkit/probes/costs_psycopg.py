"""psycopg_pool's pool in the settings that cost something at each checkout."""

from __future__ import annotations

import time
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool

from poolkit.drivers.postgres import APPLICATION, BACKEND_PID, DIAL_TIMEOUT, READ_ONLY
from poolkit.probes.checkouts import BASE, Checkouts, Question
from poolkit.targets.workload import SqlWork

CLOSE_TIMEOUT = 2.0  # s


class PsycopgVariants:
    """Variants of one target's pool; `look` has to be awaited first."""

    def __init__(self, dsn: str, work: SqlWork, call_timeout: float) -> None:
        self._dsn = dsn
        self._work = work
        self._call_timeout = call_timeout
        self._options: dict[str, Any] = {
            "connect_timeout": int(DIAL_TIMEOUT),
            "application_name": APPLICATION,
        }
        self.questions: tuple[Question, ...] = ()
        self.skipped: dict[str, str] = {}

    async def look(self) -> None:
        """Find out what the target allows; raises what psycopg raises."""
        connection = await AsyncConnection.connect(self._dsn, autocommit=True, **self._options)
        try:
            row = await (await connection.execute(BACKEND_PID)).fetchone()
            is_pooled = row is None or row[0] != connection.pgconn.backend_pid
        finally:
            await connection.close()
        questions = [
            Question("check", "check", BASE, note="the pool's own sign of life, one round trip"),
            Question("transaction", BASE, "autocommit", note="BEGIN and COMMIT together"),
            Question("reset callback", "reset", BASE, note="one that asks once and rolls back"),
        ]
        if is_pooled:
            self._options["prepare_threshold"] = None
            self.skipped["prepared statements"] = "behind a pooler nothing is prepared"
        else:
            questions.append(
                Question("no prepared statements", "unprepared", BASE, note="prepare_threshold")
            )
            if self._work.read_only:
                given = conninfo_to_dict(self._dsn).get("options") or ""
                self._options["options"] = f"{given} -c {READ_ONLY}=on".strip()
        self.questions = tuple(questions)

    async def open(self, variant: str, size: int) -> Checkouts:
        """The pool in one of the settings."""
        dial = dict(self._options)
        if variant == "autocommit":
            dial["autocommit"] = True
        if variant == "unprepared":
            dial["prepare_threshold"] = None
        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            self._dsn,
            kwargs=dial,
            min_size=size,
            max_size=size,
            open=False,
            check=AsyncConnectionPool.check_connection if variant == "check" else None,
            reset=_ask if variant == "reset" else None,
        )
        await pool.open(wait=True, timeout=DIAL_TIMEOUT)
        return _Checkouts(pool, self._work)


class _Checkouts:
    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], work: SqlWork) -> None:
        self._pool = pool
        self._work = work
        self._statements = [(s.named, s.names) for s in work.statements]

    async def once(self) -> tuple[float, float]:
        began = served = time.perf_counter()
        async with self._pool.connection() as connection:
            values = self._work.draw()
            for statement, names in self._statements:
                cursor = await connection.execute(statement, values if names else None)
                if cursor.pgresult is not None and cursor.pgresult.nfields:
                    await cursor.fetchall()
            served = time.perf_counter()
        ended = time.perf_counter()
        return ended - began, ended - served

    async def close(self) -> None:
        await self._pool.close(timeout=CLOSE_TIMEOUT)


async def _ask(connection: AsyncConnection[Any]) -> None:
    await connection.execute("select 1")
    await connection.rollback()
