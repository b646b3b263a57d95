import aiohttp
import asyncpg
import httpx
import pandas
import sqlalchemy
from contextlib import aclosing
from sqlalchemy.ext.asyncio import create_async_engine


async def left_open(url):
    session = aiohttp.ClientSession()  # found
    await session.get(url)
    await session.get(url)


async def without_a_name(url):
    return await httpx.AsyncClient().get(url)  # found


async def pool_left_open(dsn):
    pool = await asyncpg.create_pool(dsn)  # found
    connection = await pool.acquire(timeout=1)
    await pool.release(connection)


class Client:
    def __init__(self):
        self.http = httpx.AsyncClient()  # found
        self.closed = httpx.AsyncClient()
        self.lent = httpx.AsyncClient()

    async def get(self, url):
        return await self.http.get(url)

    async def close(self):
        await self.closed.aclose()

    def client(self):
        return self.lent


class Child(Base):
    def __init__(self):
        self.owned_by_base = httpx.AsyncClient()


async def closed(url):
    closing = aiohttp.ClientSession()
    try:
        await closing.get(url)
        await closing.get(url)
    finally:
        await closing.close()


async def closed_by_with(url):
    later = httpx.AsyncClient()
    async with later:
        await later.get(url)
        await later.get(url)


async def closed_by_aclosing(url):
    other = httpx.AsyncClient()
    async with aclosing(other):
        await other.get(url)
        await other.get(url)


async def kept_by_others(registry):
    shared = aiohttp.ClientSession()
    registry.add(shared)


async def disposed(url):
    engine = create_async_engine(url)
    await engine.dispose()


at_the_top = httpx.AsyncClient()


async def engine_left_open(url):
    engine = create_async_engine(url)  # found
    async with engine.connect() as connection:
        await connection.execute("select 1")


def only_looked_at(url):
    engine = create_async_engine(url)
    return engine.dialect.name


class Plain:
    def name(self):
        return type(self).__name__


class Closing:
    async def close(self):
        await self.other.aclose()


class Left(Plain):
    def __init__(self):
        self.left = httpx.AsyncClient()  # found

    async def get(self, url):
        return await self.left.get(url)


class Closed(Closing):
    def __init__(self):
        self.other = httpx.AsyncClient()

    async def get(self, url):
        return await self.other.get(url)


class OfOthers(unknown.Base):
    def __init__(self):
        self.unseen = httpx.AsyncClient()


def table(url):
    engine = sqlalchemy.create_engine(url)  # found
    return pandas.read_sql("select 1", engine)
