# settings: max_connections=100 processes=8
import asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine

a = create_engine("postgresql://db/a", pool_pre_ping=True)  # found
b = create_engine("postgresql://db/b", pool_pre_ping=True, pool_size=10, max_overflow=5)  # found
c = asyncpg.create_pool("postgresql://db/c", max_size=13)  # found
d = AsyncConnectionPool("postgresql://db/d", min_size=2, max_size=20)  # found

e = create_engine("postgresql://db/e", pool_pre_ping=True, pool_size=12, max_overflow=0)
f = asyncpg.create_pool("postgresql://db/f")
g = AsyncConnectionPool("postgresql://db/g")
h = create_engine("postgresql://db/e", pool_pre_ping=True, pool_size=settings.size)
i = create_engine("sqlite:///orders.db")
j = asyncpg.create_pool("postgresql://db/f", **settings)

# Each fits, both together do not; the names of one database are known to be the same.
ORDERS = "postgresql://db/orders"
k = asyncpg.create_pool(ORDERS, max_size=8)  # found
l = create_engine("postgresql://db/orders", pool_size=4, max_overflow=1)  # found


async def one_of_both(dsn, is_large):
    if is_large:
        pool = await asyncpg.create_pool(dsn, max_size=12, timeout=1)
    else:
        pool = await asyncpg.create_pool(dsn, max_size=4, timeout=1)
    return pool

# What only begins alike may be two databases, and the same text is one.
m = asyncpg.create_pool(f"postgresql://{first}/orders", max_size=8)
n = asyncpg.create_pool(f"postgresql://{second}/stock", max_size=8)
o = asyncpg.create_pool(f"postgresql://{third}/bills", max_size=8)  # found
p = asyncpg.create_pool(f"postgresql://{third}/bills", max_size=8)  # found
