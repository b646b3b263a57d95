"""asyncpg's pool in the settings that cost something at each checkout."""

from __future__ import annotations

import time
from typing import Any

import asyncpg

from poolkit.drivers.asyncpg import session_options
from poolkit.probes.checkouts import BASE, Checkouts, Question
from poolkit.targets.workload import SqlWork

CLOSE_TIMEOUT = 2.0  # s


class AsyncpgVariants:
    """Variants of one target's pool; `look` has to be awaited first."""

    def __init__(self, dsn: str, work: SqlWork, call_timeout: float) -> None:
        self._dsn = dsn
        self._work = work
        self._call_timeout = call_timeout
        self._options: dict[str, Any] = {}
        self.questions: tuple[Question, ...] = ()
        self.skipped = {"pre_ping": "asyncpg has none; a setup callback that asks costs the same"}

    async def look(self) -> None:
        """Find out what the target allows; raises what asyncpg raises."""
        is_pooled, self._options = await session_options(
            self._dsn, read_only=self._work.read_only, call_timeout=self._call_timeout
        )
        questions = [
            Question("reset on release", BASE, "no reset", note="one round trip: reset="),
            Question("setup callback", "setup", BASE, note="one that asks the server once"),
        ]
        if is_pooled:
            self.skipped["prepared statements"] = "behind a pooler nothing is prepared"
        else:
            questions.append(
                Question(
                    "no prepared-statement cache", "no cache", BASE, note="one more round trip"
                )
            )
        self.questions = tuple(questions)

    async def open(self, variant: str, size: int) -> Checkouts:
        """The pool in one of the settings."""
        options = dict(self._options)
        if variant == "no reset":
            options["reset"] = _nothing
        elif variant == "setup":
            options["setup"] = _ask
        elif variant == "no cache":
            options["statement_cache_size"] = 0
        pool = await asyncpg.create_pool(self._dsn, min_size=size, max_size=size, **options)
        return _Checkouts(pool, self._work)


class _Checkouts:
    def __init__(self, pool: Any, work: SqlWork) -> None:
        self._pool = pool
        self._work = work
        self._statements = [(s.numbered, s.names) for s in work.statements]

    async def once(self) -> tuple[float, float]:
        began = time.perf_counter()
        connection = await self._pool.acquire()
        try:
            values = self._work.draw()
            for text, names in self._statements:
                await connection.fetch(text, *(values[name] for name in names))
        finally:
            served = time.perf_counter()
            await self._pool.release(connection)
        ended = time.perf_counter()
        return ended - began, ended - served

    async def close(self) -> None:
        self._pool.terminate()


async def _nothing(_connection: Any) -> None:
    """In place of the reset query."""


async def _ask(connection: Any) -> None:
    await connection.fetchval("select 1")
