# settings: server_keepalive=5
import aiohttp
import asyncpg
import httpx
from psycopg_pool import AsyncConnectionPool

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
