import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

URL = "postgresql+asyncpg://db/orders"

a = create_async_engine("postgresql+asyncpg://db/orders")  # found
b = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=False, pool_size=5)  # found
c = sa.create_engine("mysql://db/orders", pool_recycle=24 * 3600)  # found
d = sa.create_engine("mysql://db/orders", pool_recycle=-1)  # found

e = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=True)
f = create_async_engine("postgresql+asyncpg://db/orders", pool_recycle=240)
g = create_async_engine("postgresql+asyncpg://db/orders", pool_recycle=30 * 60)
h = create_async_engine("sqlite+aiosqlite:///orders.db")
i = create_async_engine("postgresql+asyncpg://db/orders", poolclass=NullPool)
j = create_async_engine("postgresql+asyncpg://db/orders", **settings)
k = create_async_engine(URL)
l = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=settings.ping)
