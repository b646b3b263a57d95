import asyncio

import asyncpg
import httpx

_pool = None
lock = asyncio.Lock()


async def get_pool():
    global _pool
    if _pool is None:
        _pool = await asyncpg.create_pool("postgresql://db/orders")  # found
    return _pool


class Database:
    def __init__(self):
        self.pool = None
        self.client = None

    async def connect(self):
        if not self.pool:
            self.pool = await asyncpg.create_pool("postgresql://db/orders")  # found
        return self.pool

    async def locked(self):
        if self.pool is None:
            async with lock:
                if self.pool is None:
                    self.pool = await asyncpg.create_pool("postgresql://db/orders")
        return self.pool

    async def at_once(self):
        if self.client is None:
            self.client = httpx.AsyncClient()
        return self.client

    async def local(self, pool):
        if pool is None:
            pool = await asyncpg.create_pool("postgresql://db/orders")
        return pool

    async def close(self):
        await self.client.aclose()
