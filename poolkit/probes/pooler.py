"""Finds how long a pooler such as PgBouncer keeps its own idle connections to PostgreSQL.

Its clients are not told: the first calls of the next rush wait for the pooler's dials. But they may
read `pg_stat_activity`, where their own user's sessions stand with the moment they fell idle.
"""

from __future__ import annotations

import asyncio

import asyncpg

from poolkit.probes.idle import ANSWER, Tell, quiet
from poolkit.probes.postgres_line import PostgresDialer, PostgresLine
from poolkit.probes.reading import Silence, read_silences
from poolkit.probes.records import IdleLimit

SESSIONS = 4  # of the pooler, which are made and then left alone
EVERY = 0.25  # s between two looks
_HOLD = 0.2  # s that each is held, so that the pooler needs one for each
_OWN = f"select pg_backend_pid() as pid, pg_sleep({_HOLD})"
_IDLE = """
select pid, extract(epoch from clock_timestamp() - state_change)::float8 as idle
from pg_stat_activity
where usename = current_user and datname = current_database() and pid <> pg_backend_pid()
"""


async def find_pooler_limit(
    dial: PostgresDialer,
    *,
    cap: float,
    tell: Tell = quiet,
    stop: asyncio.Event | None = None,
) -> IdleLimit | None:
    """Make a few sessions behind the pooler, leave them, and watch them go; None: it has but one.

    Raises:
        NoLine: no connection could be made.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    watcher = await dial()
    try:
        left = await _sessions(dial)
        silences: list[Silence] = []
        ages: dict[int, float] = {}
        # The watcher's own questions keep one of them alive.
        while (now := loop.time() - began) < cap:
            tell("watching the pooler's sessions", now, cap)
            seen = {row["pid"]: row["idle"] for row in await watcher.ask(_IDLE, ANSWER)}
            for pid in left & ages.keys() - seen.keys():
                silences.append(Silence(0.0, ages[pid] + EVERY / 2, "closed"))
                left.discard(pid)
            ages |= {pid: idle for pid, idle in seen.items() if idle is not None}
            if (len(silences) and len(left) <= 1) or (stop is not None and stop.is_set()):
                break
            await asyncio.sleep(EVERY)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return None
    finally:
        await watcher.close()
    alive = [Silence(0.0, ages[pid], "alive") for pid in left & ages.keys()]
    if not silences and not alive:
        return None
    return read_silences(
        silences or alive,
        cap=cap,
        session="behind_pooler",
        connections=SESSIONS,
        seconds=loop.time() - began,
    )


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
