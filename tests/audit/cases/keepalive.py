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
h = asyncpg.create_pool("postgresql://db/a", min_size=0, max_inactive_connection_lifetime=4)
i = AsyncConnectionPool("postgresql://db/a", open=False, min_size=0, max_size=4, max_idle=3)
j = aiohttp.TCPConnector(keepalive_timeout=settings.keepalive)
k = aiohttp.TCPConnector(**settings)

# The database is patient for longer than the HTTP server.
l = asyncpg.create_pool("postgresql://db/a", min_size=0, max_inactive_connection_lifetime=50)
m = AsyncConnectionPool("postgresql://db/a", open=False, kwargs={"keepalives_idle": 30})
n = create_async_engine("postgresql+asyncpg://db/a")  # found
o = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=60)  # found
p = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=-1, pool_pre_ping=False)  # found
q = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=50)
r = create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True)  # found
s = create_async_engine("postgresql+asyncpg://db/a", pool_recycle=settings.age)
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


# Connections up to min_size are left alone, however short the limit; a ping waits on a silent drop.
BRIEF = 30
SOCKET = {"keepalives_idle": 30}
aa = asyncpg.create_pool("postgresql://db/a", max_inactive_connection_lifetime=BRIEF)  # found
ab = asyncpg.create_pool("postgresql://db/a", min_size=2, max_inactive_connection_lifetime=4)  # found
ac = AsyncConnectionPool("postgresql://db/a", open=False, min_size=4, max_idle=30)  # found
ad = AsyncConnectionPool("postgresql://db/a", open=False, max_idle=9, check=checked)  # found
ae = create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True, pool_recycle=90)  # found
af = aiohttp.TCPConnector(keepalive_timeout=None)  # found
ag = httpx.Limits(keepalive_expiry=None)  # found

ah = create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True, pool_recycle=BRIEF)
ai = AsyncConnectionPool("postgresql://db/a?keepalives_idle=20", open=False)
aj = AsyncConnectionPool("postgresql://db/a", open=False, kwargs=SOCKET)
ak = create_async_engine("postgresql+psycopg://db/a", connect_args=SOCKET, pool_pre_ping=True)
al = asyncpg.create_pool("postgresql://db/a", server_settings={"tcp_keepalives_idle": "30"})
am = AsyncConnectionPool("postgresql://db/a", open=False, kwargs={"keepalives_idle": 600})  # found
