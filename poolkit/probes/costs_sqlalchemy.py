"""SQLAlchemy's engine in the settings that cost something at each checkout."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from poolkit.drivers.asyncpg import session_options
from poolkit.probes.checkouts import BASE, Checkouts, Question
from poolkit.targets.workload import SqlWork


class SqlalchemyVariants:
    """Variants of one target's engine; `look` has to be awaited first."""

    def __init__(self, dsn: str, work: SqlWork, call_timeout: float) -> None:
        self._dsn = dsn.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._work = work
        self._call_timeout = call_timeout
        self._is_pooled = False
        self._options: dict[str, Any] = {}
        self.questions: tuple[Question, ...] = ()
        self.skipped: dict[str, str] = {}

    async def look(self) -> None:
        """Find out what the target allows; raises what asyncpg raises."""
        self._is_pooled, self._options = await session_options(
            self._dsn, read_only=self._work.read_only, call_timeout=self._call_timeout
        )
        questions = [
            Question("pool_pre_ping", "ping", BASE, note="BEGIN, the ping, ROLLBACK"),
            Question(
                "rollback on checkin",
                BASE,
                "autocommit",
                part="release",
                note="AUTOCOMMIT for reads saves it",
            ),
            Question("transaction", BASE, "autocommit", note="BEGIN and ROLLBACK together"),
            Question("checkout callback", "callback", BASE, note="one that asks the server once"),
        ]
        if self._is_pooled:
            self.skipped["prepared statements"] = "behind a pooler nothing is prepared"
        else:
            questions.append(
                Question(
                    "no prepared-statement cache", "no cache", BASE, note="one more round trip"
                )
            )
        self.questions = tuple(questions)

    async def open(self, variant: str, size: int) -> Checkouts:
        """The engine in one of the settings."""
        arguments: dict[str, Any] = {"async_creator_fn": self._dial}
        if self._is_pooled or variant == "no cache":
            arguments["prepared_statement_cache_size"] = 0
        if self._is_pooled:
            arguments["prepared_statement_name_func"] = lambda: ""
        options: dict[str, Any] = {}
        if variant == "autocommit":
            options["isolation_level"] = "AUTOCOMMIT"
        engine = create_async_engine(
            "postgresql+asyncpg://",
            pool_size=size,
            max_overflow=0,
            pool_pre_ping=variant == "ping",
            hide_parameters=True,
            connect_args=arguments,
            **options,
        )
        if variant == "callback":
            event.listen(engine.sync_engine.pool, "checkout", _ask)
        checkouts = _Checkouts(engine, self._work)
        await checkouts.once()
        await asyncio.gather(*(checkouts.once() for _ in range(size)))
        return checkouts

    async def _dial(self, **_options: Any) -> Any:
        return await asyncpg.connect(self._dsn, **self._options)


class _Checkouts:
    def __init__(self, engine: AsyncEngine, work: SqlWork) -> None:
        self._engine = engine
        self._work = work
        self._statements = [(text(s.colon), s.names) for s in work.statements]

    async def once(self) -> tuple[float, float]:
        began = served = time.perf_counter()
        async with self._engine.connect() as connection:
            values = self._work.draw()
            for statement, names in self._statements:
                result = await connection.execute(statement, values if names else None)
                if result.returns_rows:
                    result.all()
            served = time.perf_counter()
        ended = time.perf_counter()
        return ended - began, ended - served

    async def close(self) -> None:
        await self._engine.dispose()


def _ask(connection: Any, _entry: Any, _proxy: Any) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute("select 1")
    finally:
        cursor.close()
