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


async def kept_by_name(pool: asyncpg.Pool):
    a = await pool.acquire(timeout=1)
    b = await pool.acquire(timeout=1)  # found
    await a.fetch("select 1")
    await pool.release(a)
    await pool.fetch("select 1")  # found
    await pool.release(b)
    await pool.fetch("select 1")


async def kept_in_try(pool: asyncpg.Pool):
    a = await pool.acquire(timeout=1)
    try:
        await pool.fetch("select 1")  # found
    finally:
        await pool.release(a)
    await pool.fetch("select 1")


async def given_back(pool: asyncpg.Pool):
    a = await pool.acquire(timeout=1)
    await a.fetch("select 1")
    await pool.release(a)
    b = await pool.acquire(timeout=1)
    try:
        await b.fetch("select 1")
        await pool.release(b)
    except OSError:
        await pool.fetch("select 1")


async def engine_by_name():
    a = await engine.connect()
    await log("connected")  # found
    await a.close()
    await log("closed")


async def not_entered(pool: asyncpg.Pool):
    entering = pool.acquire(timeout=1)
    await pool.fetch("select 1")
    async with entering as connection:
        await connection.fetch("select 1")


async def in_one_branch(pool: asyncpg.Pool, is_new):
    if is_new:
        a = await pool.acquire(timeout=1)
    else:
        a = await pool.acquire(timeout=1)
    await pool.release(a)


async def under_the_same_name(db: AsyncEngine):
    async with db.connect() as db:
        async with db.begin():
            await db.execute("select 1")


class Blocklist:
    def __init__(self, db=None):
        self.db = db

    async def revoke(self):
        if self.db is not None:
            await self.db.execute("select 1")
        else:
            async with engine.begin() as connection:
                await connection.execute("select 1")


async def with_what_is_there():
    async with engine.begin() as connection:
        await connection.execute("select 1")
        await Blocklist(connection).revoke()
