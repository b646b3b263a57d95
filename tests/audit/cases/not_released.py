import asyncpg
from psycopg_pool import ConnectionPool

pool = ConnectionPool("postgresql://db/orders", open=False)


def orders():
    connection = pool.getconn()  # found
    rows = connection.execute("select 1").fetchall()
    pool.putconn(connection)
    return rows


async def acquired(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)  # found
    row = await connection.fetchrow("select 1")
    await pool.release(connection)
    return row


async def never(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)  # found
    return await connection.fetchval("select 1")


async def in_finally(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)
    try:
        return await connection.fetchval("select 1")
    finally:
        await pool.release(connection)


async def entered(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)
    async with connection:
        return await connection.fetchval("select 1")


async def given_out(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)
    return connection


class Kept:
    async def open(self, pool: asyncpg.Pool):
        connection = await pool.acquire(timeout=1)
        self.connection = connection


async def in_an_object(pool: asyncpg.Pool):
    connection = await pool.acquire(timeout=1)
    return Batch(connection, size=10)


def dependency():
    with pool.connection() as connection:
        yield connection


def by_hand():
    waiting = dependency()
    connection = next(waiting)
    connection.execute("select 1")
