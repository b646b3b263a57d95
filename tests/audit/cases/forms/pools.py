"""Forms of the mistakes: see `tests/audit/test_forms.py`."""

import asyncio, aiohttp, asyncpg, functools, httpx, os, ssl, contextlib, time, click, typer, threading, multiprocessing
from contextlib import asynccontextmanager, contextmanager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial, lru_cache
from typing import Annotated, Optional
from fastapi import FastAPI, Depends, Request, BackgroundTasks
from fastapi.responses import StreamingResponse
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker, AsyncSession
app = FastAPI()

# form: pool per call, exitstack
async def f(dsn):
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn))  # found: pool-per-call
        return await pool.fetch("x")  # found: no-acquire-timeout

# form: pool per call, factory
def make(url):
    return create_engine(url, pool_pre_ping=True)
def f(url):
    e = make(url)  # found: never-closed, pool-per-call
    with e.connect() as c:
        return c.execute(text("x"))

# form: pool per call, self factory chained
class A:
    def _engine(self):
        return create_engine(self.url, pool_pre_ping=True)
    def f(self):
        with self._engine().connect() as c:  # found: pool-per-call
            return c.execute(text("x"))

# form: pool per call, contextmanager
@contextmanager
def db(url):
    e = create_engine(url, pool_pre_ping=True)
    try:
        yield e
    finally:
        e.dispose()
def f(url):
    with db(url) as e:  # found: pool-per-call
        with e.connect() as c:
            return c.execute(text("x"))

# form: pool per call, session contextmanager
@contextmanager
def session(url):
    e = create_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    s = sessionmaker(e)()
    try:
        yield s
    finally:
        s.close()

# form: pool per call, session contextmanager2
@contextmanager
def session(url):
    e = create_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    with Session(e) as s:
        yield s

# form: pool per call, conn contextmanager
@contextmanager
def conn(url):
    e = create_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    with e.connect() as c:
        yield c

# form: pool per call, handler nested
@app.get("/")
async def f(url: str):
    engine = create_async_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    maker = async_sessionmaker(engine)
    async with maker() as s:
        return await s.get(X, 1)

# form: pool per call, dependency
async def get_db():
    engine = create_async_engine("x", pool_pre_ping=True)  # found: never-closed, pool-per-call
    async with AsyncSession(engine) as s:
        yield s
@app.get("/")
async def f(db: AsyncSession = Depends(get_db)):
    return await db.get(X, 1)

# form: pool per call, celery
from celery import Celery
celery = Celery()
@celery.task
def f(url):
    e = create_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    with Session(e) as s:
        s.execute(text("x"))

# form: pool per call, celery run
from celery import Celery
celery = Celery()
async def g(url):
    pool = await asyncpg.create_pool(url)  # found: pool-per-call
    try:
        async with pool.acquire(timeout=1) as c:
            await c.fetch("x")
    finally:
        await pool.close()
@celery.task
def f(url):
    asyncio.run(g(url))

# form: pool per call, pandas
import pandas as pd
def f(url, q):
    e = create_engine(url, pool_pre_ping=True)  # found: never-closed, pool-per-call
    return pd.read_sql(q, e)

# form: pool per call, pandas inline
import pandas as pd
def f(url, q):
    return pd.read_sql(q, create_engine(url, pool_pre_ping=True))  # found: pool-per-call

# form: pool per call, inline session
def f(url):
    with Session(create_engine(url, pool_pre_ping=True)) as s:  # found: pool-per-call
        return s.execute(text("x"))

# form: pool per call, async with psycopg
async def f(dsn):
    async with AsyncConnectionPool(dsn) as pool:  # found: pool-per-call
        async with pool.connection() as c:
            await c.execute("x")

# form: pool per call, rtn cached ok
_e = {}
def engine(url):
    if url not in _e:
        _e[url] = create_engine(url, pool_pre_ping=True)
    return _e[url]
def f(url):
    with engine(url).connect() as c:
        return c.execute(text("x"))

# form: pool per call, lru ok
@lru_cache(maxsize=1)
def engine(url):
    return create_engine(url, pool_pre_ping=True)
def f(url):
    with engine(url).connect() as c:
        return c.execute(text("x"))

# form: pool per call, nullpool ok
from sqlalchemy.pool import NullPool
def f(url):
    e = create_engine(url, poolclass=NullPool)
    with e.connect() as c:
        return c.execute(text("x"))

# form: pool per call, walrus
def f(url):
    with (e := create_engine(url, pool_pre_ping=True)).connect() as c:  # found: pool-per-call
        return c.execute(text("x"))

# form: pool per call, begin commit
def f(url):
    e = create_engine(url, pool_pre_ping=True)  # found: pool-per-call
    conn = e.connect()
    try:
        conn.execute(text("x"))
    finally:
        conn.close()
        e.dispose()

# form: pool per call, async runner
async def f(url):
    engine = create_async_engine(url, pool_pre_ping=True)  # found: pool-per-call
    async with engine.begin() as c:
        await c.run_sync(lambda s: s)
    await engine.dispose()

# form: pool per call, partial
make = partial(create_engine, pool_pre_ping=True)
def f(url):
    e = make(url)  # found: never-closed, pool-per-call
    with e.connect() as c:
        c.execute(text("x"))

# form: pool per call, other module factory
from pkg.db import make
def f(url):
    e = make(url)  # found: never-closed, pool-per-call
    with e.connect() as c:
        c.execute(text("x"))
# module: db
def make(url):
    kw = dict(pool_pre_ping=True)
    engine = create_engine(url, **kw)
    return engine

# form: pool per call, var returned
def make(url):
    e = create_engine(url, pool_pre_ping=True)
    return e
class A:
    def f(self, url):
        e = make(url)  # found: never-closed, pool-per-call
        with e.begin() as c:
            c.execute(text("x"))

# form: never closed, local
async def f(u):
    s = aiohttp.ClientSession()  # found: never-closed, session-per-call
    r = await s.get(u)
    return await r.text()

# form: never closed, attr
class A:
    def __init__(self):
        self.c = httpx.AsyncClient()  # found: never-closed
    async def f(self, u):
        return await self.c.get(u)

# form: never closed, attr lazily
class A:
    def __init__(self):
        self._c = None
    def client(self):
        if self._c is None:
            self._c = httpx.AsyncClient()  # found: never-closed
        return self._c
    async def f(self, u):
        return await self.client().get(u)

# form: never closed, attr property
class A:
    def __init__(self):
        self._c = None
    @property
    def client(self):
        if self._c is None:
            self._c = httpx.AsyncClient()  # found: never-closed
        return self._c
    async def f(self, u):
        return await self.client.get(u)

# form: never closed, attr property closed ok
class A:
    def __init__(self):
        self._c = None
    @property
    def client(self):
        if self._c is None:
            self._c = httpx.AsyncClient()
        return self._c
    async def f(self, u):
        return await self.client.get(u)
    async def close(self):
        await self.client.aclose()

# form: never closed, entered by hand
class A:
    async def start(self):
        self.s = await aiohttp.ClientSession().__aenter__()
    async def f(self, u):
        async with self.s.get(u) as r: return await r.text()
    async def stop(self):
        await self.s.__aexit__(None, None, None)

# form: never closed, early return
async def f(u):
    c = httpx.AsyncClient()  # found: session-per-call
    r = await c.get(u)
    if r.status_code != 200:
        return None
    await c.aclose()
    return r

# form: never closed, dataclass post init
@dataclass
class A:
    url: str
    def __post_init__(self):
        self.c = httpx.AsyncClient()  # found: never-closed
    async def f(self):
        return await self.c.get(self.url)

# form: never closed, setattr super
class Base:
    def __init__(self, u):
        self.u = u
class A(Base):
    def __init__(self, u):
        super().__init__(u)
        self.c = httpx.Client()  # found: never-closed
    def f(self):
        return self.c.get(self.u)

# form: never closed, weird tuple
class A:
    def __init__(self):
        self.a, self.c = 1, httpx.Client()  # found: never-closed
    def f(self):
        return self.c.get("u")

# form: never closed, closed in exit ok
class A:
    def __init__(self):
        self.c = httpx.Client()
    def __enter__(self): return self
    def __exit__(self, *a):
        self.c.__exit__(*a)
    def f(self):
        return self.c.get("u")

# form: never closed, closed by loop ok
class A:
    def __init__(self):
        self.c = httpx.AsyncClient(); self.d = httpx.AsyncClient()
    async def close(self):
        for x in (self.c, self.d):
            await x.aclose()
    async def f(self):
        return await self.c.get("u"), await self.d.get("u")

# form: never closed, pool local
async def f(dsn, q):
    pool = await asyncpg.create_pool(dsn)  # found: never-closed, pool-per-call
    async with pool.acquire(timeout=1) as c:
        return await c.fetch(q)

# form: never closed, with closing ok
def f(u):
    with contextlib.closing(httpx.Client()) as c:  # found: session-per-call
        return c.get(u)

# form: never closed, stack callback ok
async def f(us):
    async with AsyncExitStack() as st:
        c = httpx.AsyncClient()
        st.push_async_callback(c.aclose)
        for u in us:
            await c.get(u)

# form: made twice, flag
class A:
    async def start(self):
        if not self._started:
            self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
            self._started = True
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, early return
class A:
    async def start(self):
        if self._pool is not None:
            return
        self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, early return value
class A:
    async def pool(self):
        if self._pool:
            return self._pool
        self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
        return self._pool
    async def f(self):
        p = await self.pool()
        async with p.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, flag early return
class A:
    async def start(self):
        if self._initialized:
            return
        self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
        self._initialized = True
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, global
_pool = None
async def get_pool():
    global _pool
    if _pool is None:
        _pool = await asyncpg.create_pool("x")  # found: pool-made-twice
    return _pool

# form: made twice, dict
_pools = {}
async def get_pool(k):
    if k not in _pools:
        _pools[k] = await asyncpg.create_pool(k)  # found: pool-made-twice
    return _pools[k]

# form: made twice, dict get
_pools = {}
async def get_pool(k):
    pool = _pools.get(k)
    if pool is None:
        pool = await asyncpg.create_pool(k)  # found: pool-made-twice
        _pools[k] = pool
    return pool

# form: made twice, local then self
class A:
    async def start(self):
        if self._pool is None:
            pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
            self._pool = pool
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, hasattr
class A:
    async def start(self):
        if not hasattr(self, "_pool"):
            self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, helper
class A:
    async def _make(self):
        return await asyncpg.create_pool(self.dsn)
    async def start(self):
        if not self._pool:
            self._pool = await self._make()  # found: pool-made-twice
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, helper sets
class A:
    async def _connect(self):
        self._pool = await asyncpg.create_pool(self.dsn)  # found: pool-made-twice
    async def f(self):
        if not self._pool:
            await self._connect()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, lock ok
class A:
    async def start(self):
        async with self._lock:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(self.dsn)
    async def f(self):
        await self.start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, lock outside ok
class A:
    async def _start(self):
        if self._pool is None:
            self._pool = await asyncpg.create_pool(self.dsn)
    async def f(self):
        async with self._lock:
            await self._start()
        async with self._pool.acquire(timeout=1) as c:
            return await c.fetch("x")

# form: made twice, sync ok
class A:
    async def get(self):
        if self._s is None:
            self._s = aiohttp.ClientSession()
        return self._s
    async def close(self):
        await self._s.close()

# form: made twice, after await
class A:
    async def get(self):
        if self._s is None:
            h = await self.headers()
            self._s = aiohttp.ClientSession(headers=h)  # found: pool-made-twice
        return self._s
    async def close(self):
        await self._s.close()

# form: made twice, walrus
class A:
    async def get(self):
        if (p := self._p) is None:
            p = self._p = await asyncpg.create_pool("x")  # found: pool-made-twice
        return p

# form: made twice, psycopg open
class A:
    async def get(self):
        if self._p is None:
            self._p = AsyncConnectionPool("x", open=False)
            await self._p.open()
        return self._p

# form: made twice, whoever starts the program asks ok
class A:
    async def init(self):
        if self.pool is not None:
            return
        self.pool = await asyncpg.create_pool("x")
    async def f(self):
        async with self.pool.acquire(timeout=1) as it:
            return await it.fetch("x")

# form: a context manager's exit, which a failed commit leaves early
class Transaction:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
    async def __aenter__(self):
        self.connection = await self.pool.acquire(timeout=1)  # found: not-released
        self.transaction = self.connection.transaction()
        await self.transaction.start()
        return self
    async def __aexit__(self, kind, error, trace):
        if error:
            await self.transaction.rollback()
        else:
            await self.transaction.commit()
        await self.pool.release(self.connection)

# form: a unit of work whose exit closes its session after a commit
class Unit:
    def __init__(self, sessions: async_sessionmaker):
        self.sessions = sessions
    async def __aenter__(self):
        self.session = self.sessions()  # found: not-released
        return self
    async def __aexit__(self, kind, error, trace):
        if error is None:
            await self.session.commit()
        await self.session.close()

# form: a context manager's exit that gives back in a finally
class Transaction:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
    async def __aenter__(self):
        self.connection = await self.pool.acquire(timeout=1)
        return self
    async def __aexit__(self, kind, error, trace):
        try:
            await self.connection.execute("commit")
        finally:
            await self.pool.release(self.connection)

# form: a context manager's exit that only gives back
class Lent:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
    async def __aenter__(self):
        self.connection = await self.pool.acquire(timeout=1)
        return self.connection
    async def __aexit__(self, kind, error, trace):
        await self.pool.release(self.connection)

# form: an engine of a file, whose address a function completes
def begin(folder):
    url = os.environ["DB"]
    if folder:
        url = f"sqlite:///{folder}/db"
        url = with_driver(url)
        engine = create_async_engine(url)
        asyncio.run(fill(engine))
async def fill(engine):
    async with engine.begin() as connection:
        await connection.execute(text("x"))

# form: an engine of a server, whose address a function completes
async def load(folder):
    url = "sqlite:///db"
    url = "postgresql://db/shop"
    url = with_driver(url)
    engine = create_async_engine(url, pool_pre_ping=True)  # found: pool-per-call, never-closed
    async with engine.connect() as connection:
        await connection.execute(text("x"))

# form: a connect that asks whether it is connected, and no request calls
class Store:
    def __init__(self):
        self.pool = None
    async def connect(self):
        if self.pool is None:
            self.pool = await asyncpg.create_pool("postgresql://db/shop")
    async def disconnect(self):
        await self.pool.close()

# form: a connect that asks whether it is connected, and requests call
class Store:
    def __init__(self):
        self.pool = None
    async def connect(self):
        if self.pool is None:
            self.pool = await asyncpg.create_pool("postgresql://db/shop")  # found: pool-made-twice
    async def load(self):
        await self.connect()
        async with self.pool.acquire(timeout=1) as connection:
            return await connection.fetch("x")
    async def disconnect(self):
        await self.pool.close()
