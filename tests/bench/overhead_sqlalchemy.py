"""What measuring costs on SQLAlchemy's async engine: the instrumented loop against a bare one."""

from __future__ import annotations

from poolkit.lab.postgres import PostgresServer
from poolkit.pools.sqlalchemy import SqlalchemyPool
from tests.bench.sql_loops import ACCOUNTS, CONNECTIONS, compare, lookup


async def against_bare(dsn: str) -> None:
    """The bare loop has an engine of its own, with the library's own pool class."""
    from sqlalchemy import make_url, text
    from sqlalchemy.ext.asyncio import create_async_engine

    pool = SqlalchemyPool(dsn, lookup(), CONNECTIONS)
    await pool.open()
    engine = create_async_engine(
        make_url(dsn).set(drivername="postgresql+asyncpg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"command_timeout": 30.0},
    )
    work = lookup()
    statement = text(work.statements[0].colon)

    async def call() -> None:
        async with engine.connect() as connection:
            result = await connection.execute(statement, work.draw())
            result.all()

    await compare("SQLAlchemy", pool, call)
    await engine.dispose()
    await pool.close()


def main() -> None:
    """Run on uvloop, as the measuring child does."""
    import uvloop

    with PostgresServer(accounts=ACCOUNTS) as server:
        uvloop.run(against_bare(server.dsn))


if __name__ == "__main__":
    main()
