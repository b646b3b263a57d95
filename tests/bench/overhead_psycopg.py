"""What measuring costs on psycopg's pool: the instrumented loop against a bare one."""

from __future__ import annotations

from poolkit.lab.postgres import PostgresServer
from poolkit.pools.psycopg import PsycopgPool
from tests.bench.sql_loops import ACCOUNTS, CONNECTIONS, compare, lookup


async def against_bare(dsn: str) -> None:
    """The bare loop has a pool of its own."""
    from psycopg_pool import AsyncConnectionPool

    pool = PsycopgPool(dsn, lookup(), CONNECTIONS)
    await pool.open()
    work = lookup()
    statement = work.statements[0].named
    async with AsyncConnectionPool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False
    ) as own:
        await own.wait()

        async def call() -> None:
            async with own.connection() as connection:
                cursor = await connection.execute(statement, work.draw())
                await cursor.fetchall()

        await compare("psycopg", pool, call)
    await pool.close()


def main() -> None:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    with PostgresServer(accounts=ACCOUNTS) as server:
        uvloop.run(against_bare(server.dsn))


if __name__ == "__main__":
    main()
