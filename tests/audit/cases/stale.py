import os
from os import environ

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
k = create_async_engine(URL)  # found
l = create_async_engine("postgresql+asyncpg://db/orders", pool_pre_ping=settings.ping)

FILE = "sqlite+aiosqlite:///orders.db"
HOST = environ["DB_HOST"]
TWICE = "postgresql+asyncpg://db/orders"
TWICE = FILE

m = create_async_engine(os.environ["ORDERS_DSN"])  # found
n = sa.create_engine(os.getenv("ORDERS_DSN"))  # found
o = sa.create_engine(f"postgresql://{HOST}/orders")  # found
p = sa.create_engine("postgresql://%s/orders" % HOST)  # found
q = sa.create_engine(sa.URL.create("postgresql", host=HOST))  # found
r = create_async_engine(settings.database_url)  # found
s = sa.create_engine(url=URL)  # found

t = create_async_engine(FILE)
u = create_async_engine(os.environ.get("ORDERS_DSN", "sqlite+aiosqlite:///orders.db"))
v = sa.create_engine(settings.database_url)  # found
w = sa.create_engine(TWICE)
x = sa.create_engine(sa.URL.create("sqlite", database="orders.db"))
y = create_async_engine(f"{FILE}?cache=shared")
z = create_async_engine(os.environ["ORDERS_DSN"], pool_recycle=240)


def made(URL):
    return sa.create_engine(URL)  # found


def read():
    dsn = os.environ["ORDERS_DSN"]
    return sa.create_engine(dsn)  # found


def of_a_file(path):
    address = f"sqlite:///{path}" if path else "sqlite://"
    return sa.create_engine(address)


def given_up(url):
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        return connection.scalar("select 1")


def of_a_queue(url):
    return sa.create_engine(url, poolclass=sa.QueuePool)  # found


def at_once(url):
    return sa.create_engine(url).raw_connection()


def by_name(url):
    return import_optional("sqlalchemy").create_engine(url)  # found
