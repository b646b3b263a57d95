"""What measuring costs on asyncpg's pool: the instrumented loop against a bare one."""

from __future__ import annotations

from poolkit.lab.postgres import PostgresServer
from poolkit.pools.asyncpg import AsyncpgPool
from tests.bench.sql_loops import ACCOUNTS, CONNECTIONS, compare, lookup

GOAL = 0.95


async def against_bare(dsn: str) -> None:
    """The bare loop has a pool of its own, without hooks."""
    import asyncpg

    pool = AsyncpgPool(dsn, lookup(), CONNECTIONS)
    await pool.open()
    work = lookup()
    (statement,) = work.statements
    text = statement.numbered
    async with asyncpg.create_pool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, command_timeout=30.0
    ) as own:

        async def call() -> None:
            async with own.acquire() as connection:
                await connection.fetch(text, *statement.arguments(work.draw()))

        await compare("asyncpg", pool, call, goal=GOAL)
    await pool.close()


def main() -> None:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    with PostgresServer(accounts=ACCOUNTS) as server:
        uvloop.run(against_bare(server.dsn))


if __name__ == "__main__":
    main()
