# settings: server_keepalive=5 db_idle=60
import aiohttp
import asyncpg
import httpx
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import create_async_engine

a = aiohttp.TCPConnector(limit=10)  # found
b = aiohttp.TCPConnector(keepalive_timeout=5.0)  # found
c = httpx.Limits(max_connections=10, max_keepalive_connections=10, keepalive_expiry=60)  # found
d = asyncpg.create_pool("postgresql://db/a", max_inactive_connection_lifetime=0)  # found
e = AsyncConnectionPool("postgresql://db/a", open=False)  # found

f = aiohttp.TCPConnector(keepalive_timeout=4.0)
g = httpx.Limits(keepalive_expiry=2.5)
h = asyncpg.create_pool("postgresql://db/a", max_inactive_connection_lifetime=4)
i = AsyncConnectionPool("postgresql://db/a", open=False, max_idle=3)
j = aiohttp.TCPConnector(keepalive_timeout=settings.keepalive)
k = aiohttp.TCPConnector(**settings)

# The database is patient for longer than the HTTP server.
l = asyncpg.create_pool("postgresql://db/a", max_inactive_connection_lifetime=50)
m = AsyncConnectionPool("postgresql://db/a", open=False, check=AsyncConnectionPool.check_connection)
n = create_async_engine("postgresql+asyncpg://db/a")  # found
o = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=60)  # found
p = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=-1, pool_pre_ping=False)  # found
q = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=50)
r = create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True)
s = create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=settings.ping)
t = create_async_engine("sqlite+aiosqlite:///a.db")

# The default counts where nothing is written.
u = aiohttp.ClientSession()  # found
v = httpx.AsyncClient(timeout=5)  # found
w = aiohttp.ClientSession(connector=f)
x = httpx.AsyncClient(limits=g)
y = httpx.AsyncClient(**settings)
z = aiohttp.TCPConnector(force_close=True)


async def once(url):
    async with aiohttp.ClientSession() as session:
        return await session.get(url)


async def closed_in_the_end(url):
    session = aiohttp.ClientSession()
    try:
        return await session.get(url)
    finally:
        await session.close()


async def main(url):
    async with aiohttp.ClientSession() as session:  # found
        await serve(session, url)
