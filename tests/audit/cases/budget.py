# settings: max_connections=100 processes=8
import asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine

a = create_engine("postgresql://db/a", pool_pre_ping=True)  # found
b = create_engine("postgresql://db/a", pool_pre_ping=True, pool_size=10, max_overflow=5)  # found
c = asyncpg.create_pool("postgresql://db/a", max_size=13)  # found
d = AsyncConnectionPool("postgresql://db/a", min_size=2, max_size=20)  # found

e = create_engine("postgresql://db/a", pool_pre_ping=True, pool_size=12, max_overflow=0)
f = asyncpg.create_pool("postgresql://db/a")
g = AsyncConnectionPool("postgresql://db/a")
h = create_engine("postgresql://db/a", pool_pre_ping=True, pool_size=settings.size)
i = create_engine("sqlite:///orders.db")
j = asyncpg.create_pool("postgresql://db/a", **settings)
