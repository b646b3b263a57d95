import asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import create_async_engine

DSN = "postgresql://shop@pgbouncer.internal/shop"
URL = "postgresql+asyncpg://shop@db.internal:6432/shop"

a = create_async_engine(URL, pool_pre_ping=True)  # found
b = create_async_engine(URL, pool_pre_ping=True, connect_args={"statement_cache_size": 0})  # found
c = AsyncConnectionPool(DSN, open=False)  # found
d = AsyncConnectionPool(DSN, open=False, kwargs={"prepare_threshold": 0})  # found
e = create_async_engine("postgresql+psycopg://shop@pgbouncer/shop", pool_pre_ping=True)  # found

f = create_async_engine(
    f"{URL}?prepared_statement_cache_size=0",
    pool_pre_ping=True,
    connect_args={"statement_cache_size": 0},
)
g = AsyncConnectionPool(DSN, open=False, kwargs={"prepare_threshold": None})
h = AsyncConnectionPool("postgresql://shop@db/shop", open=False)


async def lifespan(app):
    async with asyncpg.create_pool(DSN) as app.state.pool:  # found
        yield


async def refused(app):
    settings = {"statement_timeout": "1000"}
    async with asyncpg.create_pool(
        DSN, statement_cache_size=0, server_settings={"application_name": "shop"}
    ) as app.state.other:
        yield
