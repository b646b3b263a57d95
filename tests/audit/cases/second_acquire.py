import asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)


async def nested(pool: asyncpg.Pool):
    async with pool.acquire(timeout=1) as first:
        async with pool.acquire(timeout=1) as second:  # found
            await second.fetch("select 1")
        await pool.fetch("select 2")  # found
        await first.fetch("select 3")


async def in_one_statement(pool: "asyncpg.Pool | None"):
    async with pool.acquire(timeout=1) as a, pool.acquire(timeout=1) as b:  # found
        await a.fetch("select 1")


async def log(message):
    async with engine.begin() as connection:
        await connection.execute(message)


async def one_call_away():
    async with engine.begin() as connection:
        await connection.execute("update orders set n = 1")
        await log("done")  # found


class Store:
    def __init__(self, dsn):
        self.pool = AsyncConnectionPool(dsn, open=False)

    async def audit(self, text):
        async with self.pool.connection() as connection:
            await connection.execute(text)

    async def save(self):
        async with self.pool.connection() as connection:
            await self.audit("saving")  # found
        await self.audit("saved")

    async def close(self):
        await self.pool.close()


async def two_pools(reads: asyncpg.Pool, writes: asyncpg.Pool):
    async with reads.acquire(timeout=1) as one:
        async with writes.acquire(timeout=1) as other:
            await other.copy(one)


async def one_after_the_other(pool: asyncpg.Pool):
    async with pool.acquire(timeout=1) as first:
        await first.fetch("select 1")
    async with pool.acquire(timeout=1) as second:
        await second.fetch("select 1")


async def only_defined(pool: asyncpg.Pool):
    async with pool.acquire(timeout=1) as first:
        async def later():
            await pool.fetch("select 1")
        callbacks.append(later)


async def unknown(thing):
    async with thing.acquire() as first:
        await thing.fetch("select 1")
