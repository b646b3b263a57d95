import asyncio

import aiohttp
import asyncpg
import httpx
from sqlalchemy.ext.asyncio import create_async_engine


async def waits(pool: asyncpg.Pool):
    async with pool.acquire() as connection:  # found
        await connection.fetch("select 1")
    connection = await pool.acquire(timeout=None)  # found


async def ends(pool: asyncpg.Pool, settings):
    async with pool.acquire(timeout=1.0) as connection:
        await connection.fetch("select 1")
    await asyncio.wait_for(pool.acquire(), 1.0)
    async with asyncio.timeout(1.0):
        async with pool.acquire() as connection:
            await connection.fetch("select 1")
    async with pool.acquire(**settings) as connection:
        await connection.fetch("select 1")


def make():
    return (
        httpx.AsyncClient(timeout=None),  # found
        httpx.AsyncClient(timeout=5.0),
        httpx.AsyncClient(),
        create_async_engine("postgresql+asyncpg://db/a", pool_pre_ping=True, pool_timeout=None),  # found
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)),  # found
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=1.0)),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=5.0)),  # found
    )


async def another_lock(lock):
    await lock.acquire()
