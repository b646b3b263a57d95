import asyncpg
import psycopg_pool
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

app = FastAPI()


@app.get("/orders")
async def orders():
    engine = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)  # found
    async with engine.connect() as connection:
        return await connection.execute("select 1")
    await engine.dispose()


async def connection():
    async with asyncpg.create_pool("postgresql://db/orders") as pool:  # found
        yield pool


@app.get("/items")
async def items(connection=Depends(connection)):
    return []


async def load(identity):
    pool = await asyncpg.create_pool("postgresql://db/orders")  # found
    async with pool.acquire(timeout=1) as connection:
        row = await connection.fetchrow("select $1", identity)
    await pool.close()
    return row


@app.get("/kept")
async def kept(request):
    request.app.state.pool = await asyncpg.create_pool("postgresql://db/orders")
    return "it is stored for the next request"


async def main():
    async with asyncpg.create_pool("postgresql://db/orders") as pool:
        await pool.fetch("select 1")


async def make(dsn):
    pool = psycopg_pool.AsyncConnectionPool(dsn, open=False)
    await pool.open()
    return pool


async def without_a_pool(url):
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        return await connection.execute("select 1")


async def once(url):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        return await connection.execute("select 1")
    await engine.dispose()


asyncio.run(once("sqlite+aiosqlite://"))
