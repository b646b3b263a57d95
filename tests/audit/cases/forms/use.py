"""Forms of the mistakes: see `tests/audit/test_forms.py`."""

import asyncio, aiohttp, asyncpg, functools, httpx, ssl, contextlib, time, click, typer, threading, multiprocessing
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

# form: second connection, method chain
pool = AsyncConnectionPool("x", open=False)
async def f():
    async with pool.connection() as c:
        await g()  # found: second-acquire
async def g():
    async with pool.connection() as c:
        await c.execute("x")

# form: second connection, class repos
class Repo:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
    async def a(self):
        async with self.pool.acquire(timeout=1) as c:
            await c.fetch("x")
            await self.b()  # found: second-acquire
    async def b(self):
        async with self.pool.acquire(timeout=1) as c:
            await c.fetch("x")

# form: second connection, inherited
class Base:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
    async def b(self):
        async with self.pool.acquire(timeout=1) as c:
            await c.fetch("x")
class Repo(Base):
    async def a(self):
        async with self.pool.acquire(timeout=1) as c:
            await c.fetch("x")
            await self.b()  # found: second-acquire

# form: second connection, ctx method
class Db:
    def __init__(self):
        self.engine = create_async_engine("postgresql://a", pool_pre_ping=True)
        self.maker = async_sessionmaker(self.engine)
    @asynccontextmanager
    async def session(self):
        async with self.maker() as s:
            yield s
class Svc:
    def __init__(self, db: Db):
        self.db = db
    async def a(self):
        async with self.db.session() as s:
            await s.get(X, 1)
            await self.b()  # found: second-acquire
    async def b(self):
        async with self.db.session() as s:
            await s.get(X, 1)

# form: second connection, dataclass db
@dataclass
class Deps:
    pool: asyncpg.Pool
async def a(d: Deps):
    async with d.pool.acquire(timeout=1) as c:
        await c.fetch("x")
        await b(d)  # found: second-acquire
async def b(d: Deps):
    async with d.pool.acquire(timeout=1) as c:
        await c.fetch("x")

# form: second connection, global getter
_p: asyncpg.Pool | None = None
def pool():
    assert _p
    return _p
async def a():
    async with pool().acquire(timeout=1) as c:
        await c.fetch("x")
        await b()  # found: second-acquire
async def b():
    async with pool().acquire(timeout=1) as c:
        await c.fetch("x")

# form: second connection, gather
pool = AsyncConnectionPool("x", open=False)
async def a():
    async with pool.connection() as c:
        await asyncio.gather(b(), b())  # found: second-acquire
async def b():
    async with pool.connection() as c:
        await c.execute("x")

# form: second connection, depends
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
Db = Annotated[AsyncSession, Depends(get_db)]
@app.get("/")
async def h(db: Db):
    await db.get(X, 1)
    await log()  # found: second-acquire
async def log():
    async with S() as s:
        await s.get(X, 1)

# form: second connection, depends two
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
async def user():
    async with S() as s:
        return await s.get(X, 1)
@app.get("/")
async def h(db: AsyncSession = Depends(get_db), u=Depends(user)):
    return await db.get(X, 1)

# form: second connection, try acquire
pool = AsyncConnectionPool("x", open=False)
async def a():
    c = await pool.getconn()
    try:
        await c.execute("x")
        await b()  # found: second-acquire
    finally:
        await pool.putconn(c)
async def b():
    async with pool.connection() as c:
        await c.execute("x")

# form: second connection, app state
@app.get("/")
async def h(request: Request):
    async with request.app.state.pool.acquire(timeout=1) as c:
        await c.fetch("x")
        await g(request.app)  # found: second-acquire
async def g(app):
    async with app.state.pool.acquire(timeout=1) as c:
        await c.fetch("x")
@asynccontextmanager
async def lifespan(app):
    app.state.pool = await asyncpg.create_pool("x")
    yield
    await app.state.pool.close()

# form: second connection, factory super
class Base:
    def __init__(self, dsn):
        self.pool = AsyncConnectionPool(dsn, open=False)
    def conn(self):
        return self.pool.connection()
class A(Base):
    def __init__(self, dsn):
        super().__init__(dsn)
    async def a(self):
        async with self.conn() as c:
            await c.execute("x")
            async with self.conn() as d:  # found: second-acquire
                await d.execute("x")

# form: second connection, optional conn ok
pool = AsyncConnectionPool("x", open=False)
async def b(c=None):
    if c is None:
        async with pool.connection() as c:
            return await c.execute("x")
    return await c.execute("x")
async def a():
    async with pool.connection() as c:
        await b(c)

# form: held across a call, llm
from openai import AsyncOpenAI
client = AsyncOpenAI()
pool = AsyncConnectionPool("x", open=False)
async def a():
    async with pool.connection() as c:
        await c.execute("x")
        await client.chat.completions.create()  # found: held-across-call

# form: held across a call, self llm
from openai import AsyncOpenAI
class A:
    def __init__(self, pool: asyncpg.Pool):
        self.pool = pool
        self.client = AsyncOpenAI()
    async def a(self):
        async with self.pool.acquire(timeout=1) as c:
            await c.fetch("x")
            await self.embed("x")  # found: held-across-call
    async def embed(self, t):
        return await self.client.embeddings.create(input=t)

# form: held across a call, annotated llm
from openai import AsyncOpenAI
async def a(pool: asyncpg.Pool, llm: AsyncOpenAI):
    async with pool.acquire(timeout=1) as c:
        await c.fetch("x")
        await llm.embeddings.create(input="x")  # found: held-across-call

# form: held across a call, getter llm
from openai import AsyncOpenAI
def get():
    return AsyncOpenAI()
async def a(pool: asyncpg.Pool):
    llm = get()
    async with pool.acquire(timeout=1) as c:
        await c.fetch("x")
        await llm.embeddings.create(input="x")  # found: held-across-call

# form: held across a call, requests session
import requests
http = requests.Session()
engine = create_engine("x", pool_pre_ping=True)
def a():
    with engine.connect() as c:
        c.execute(text("x"))
        http.get("y")  # found: held-across-call

# form: held across a call, sleep
pool = AsyncConnectionPool("x", open=False)
async def a():
    async with pool.connection() as c:
        await c.execute("x")
        await asyncio.sleep(5)

# form: held across a call, self client
class A:
    def __init__(self):
        self.http = httpx.AsyncClient()
        self.engine = create_async_engine("postgresql://", pool_pre_ping=True)
    async def close(self): await self.http.aclose()
    async def a(self):
        async with AsyncSession(self.engine) as s:
            u = await s.get(X, 1)
            await self.http.post("y")  # found: held-across-call
            await s.commit()

# form: held across a call, commit first ok
class A:
    def __init__(self):
        self.http = httpx.AsyncClient()
        self.engine = create_async_engine("postgresql://", pool_pre_ping=True)
    async def close(self): await self.http.aclose()
    async def a(self):
        async with AsyncSession(self.engine) as s:
            u = await s.get(X, 1)
            await s.commit()
            await self.http.post("y")

# form: held across a call, depends
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
async def charge():
    async with httpx.AsyncClient() as c:  # found: session-per-call
        return await c.post("y")
@app.post("/")
async def h(db: AsyncSession = Depends(get_db)):
    await db.get(X, 1)
    await charge()  # found: held-across-call

# form: held across a call, smtp boto
import boto3
s3 = boto3.client("s3")
engine = create_engine("x", pool_pre_ping=True)
def a():
    with engine.begin() as c:
        c.execute(text("x"))
        s3.put_object(Bucket="x")  # found: held-across-call

# form: stream, gen
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
@app.get("/")
async def h():
    async def gen():
        async with S() as s:  # found: held-while-streaming
            async for r in await s.stream(text("x")):
                yield r
    return StreamingResponse(gen())

# form: stream, gen method
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
class Svc:
    async def rows(self):
        async with S() as s:  # found: held-while-streaming
            async for r in await s.stream(text("x")):
                yield r
@app.get("/")
async def h(svc: Svc = Depends()):
    return StreamingResponse(svc.rows(), media_type="x")

# form: stream, kw content
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def rows():
    async with S() as s:  # found: held-while-streaming
        async for r in await s.stream(text("x")):
            yield r
@app.get("/")
async def h():
    return StreamingResponse(content=rows(), media_type="x")

# form: stream, var
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def rows():
    async with S() as s:  # found: held-while-streaming
        async for r in await s.stream(text("x")):
            yield r
@app.get("/")
async def h():
    g = rows()
    return StreamingResponse(g, media_type="x")

# form: stream, other module
from pkg.svc import rows
@app.get("/")
async def h():
    return StreamingResponse(rows(), media_type="x")
# module: svc
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def rows():
    async with S() as s:  # found: held-while-streaming
        async for r in await s.stream(text("x")):
            yield r

# form: background, plain
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(bg: BackgroundTasks, db: AsyncSession = Depends(get_db)):
    bg.add_task(work, db=db)  # found: session-in-background

# form: background, create_task
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(db: AsyncSession = Depends(get_db)):
    asyncio.create_task(work(1, db))  # found: session-in-background

# form: background, closure
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(bg: BackgroundTasks, db: AsyncSession = Depends(get_db)):
    async def work():
        await db.get(X, 1)
    bg.add_task(work)  # found: session-in-background

# form: background, lambda/partial
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(bg: BackgroundTasks, db: AsyncSession = Depends(get_db)):
    bg.add_task(partial(work, db))  # found: session-in-background

# form: background, thread
engine = create_engine("postgresql://a", pool_pre_ping=True)
S = sessionmaker(engine)
def get_db():
    with S() as s:
        yield s
@app.get("/")
def h(db: Session = Depends(get_db)):
    threading.Thread(target=work, args=(db,)).start()  # found: session-in-background

# form: background, service
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
class Svc:
    def __init__(self, db): self.db = db
    async def go(self): await self.db.get(X, 1)
@app.get("/")
async def h(bg: BackgroundTasks, db: AsyncSession = Depends(get_db)):
    svc = Svc(db)
    bg.add_task(svc.go)  # found: session-in-background

# form: background, with taskgroup ok
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(db: AsyncSession = Depends(get_db)):
    async with asyncio.TaskGroup() as tg:
        tg.create_task(work(db))

# form: background, awaited ok
engine = create_async_engine("postgresql://a", pool_pre_ping=True)
S = async_sessionmaker(engine)
async def get_db():
    async with S() as s:
        yield s
@app.get("/")
async def h(db: AsyncSession = Depends(get_db)):
    t = asyncio.create_task(work(db))
    return await t

# form: cleanup, plain
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def get_db():
    db = S()
    yield db  # found: cleanup-skipped
    db.close()

# form: cleanup, try except only
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def get_db():
    db = S()
    try:
        yield db  # found: cleanup-skipped
        db.commit()
        db.close()
    except ValueError:
        raise

# form: given back, plain
pool = ConnectionPool("x")
def f():
    c = pool.getconn()  # found: not-released
    c.execute("x")
    pool.putconn(c)

# form: given back, self
class A:
    def __init__(self, pool: asyncpg.Pool): self.pool = pool
    async def f(self):
        c = await self.pool.acquire(timeout=1)  # found: not-released
        rows = await c.fetch("x")
        await self.pool.release(c)
        return rows

# form: given back, session
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def f():
    s = S()  # found: not-released
    r = s.execute(text("x")).all()
    s.close()
    return r

# form: given back, get_session
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def get_session():
    return S()
def f():
    s = get_session()  # found: not-released
    r = s.execute(text("x")).all()
    s.close()
    return r

# form: given back, annotated
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def f():
    s: Session = S()  # found: not-released
    r = s.execute(text("x")).all()
    s.close()
    return r

# form: given back, try no finally
S = sessionmaker(create_engine("x", pool_pre_ping=True))
def f():
    s = S()  # found: not-released
    try:
        r = s.execute(text("x")).all()
        s.close()
        return r
    except ValueError:
        return None

# form: response, plain
class A:
    async def f(self, s: aiohttp.ClientSession, u):
        r = await s.get(u)  # found: response-unread
        return r.status

# form: response, head in if
async def f(s: aiohttp.ClientSession, u):
    if (await s.get(u)).status == 200:  # found: response-unread
        return True

# form: response, walrus
async def f(s: aiohttp.ClientSession, u):
    if (r := await s.get(u)).status == 200:  # found: response-unread
        return True

# form: response, tuple
async def f(s: aiohttp.ClientSession, u):
    r = await asyncio.wait_for(s.get(u), 3)  # found: response-unread
    return r.status

# form: response, stream httpx
async def f(c: httpx.AsyncClient, u):
    r = await c.send(c.build_request("GET", u), stream=True)  # found: response-unread
    return r.headers

# form: response, early
async def f(s: aiohttp.ClientSession, u):
    r = await s.get(u)
    if r.status != 200:
        return None
    return await r.json()

# form: response, self session
class A:
    def __init__(self): self.s = aiohttp.ClientSession()
    async def close(self): await self.s.close()
    async def f(self):
        await self.s.post("u", json=1)  # found: response-unread

# form: constructor, attr
class A:
    def __init__(self):
        self.p = AsyncConnectionPool("x")  # found: opens-in-constructor

# form: constructor, kwargs
kw = {"min_size": 1}
p = AsyncConnectionPool("x", **kw)  # found: opens-in-constructor

# form: constructor, kwargs open
kw = {"min_size": 1, "open": False}
p = AsyncConnectionPool("x", **kw)

# form: constructor, local
async def f():
    p = AsyncConnectionPool("x")  # found: opens-in-constructor
    await p.open()
    return p

# form: constructor, with later ok
async def f():
    p = AsyncConnectionPool("x", open=False)
    async with p:
        yield p

# form: loops, plain
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
async def g():
    async with engine.connect() as c:
        await c.execute(text("x"))
def f():
    asyncio.run(g())

# form: loops, celery
from celery import shared_task
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
S = async_sessionmaker(engine)
async def g():
    async with S() as s:
        await s.get(X, 1)
@shared_task
def f():
    asyncio.run(g())

# form: loops, celery other module
from celery import shared_task
from pkg.db import S
async def g():
    async with S() as s:
        await s.get(X, 1)
@shared_task
def f():
    asyncio.run(g())
# module: db
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
S = async_sessionmaker(engine)

# form: loops, new loop
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
async def g():
    async with engine.connect() as c:
        await c.execute(text("x"))
def f():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(g())

# form: loops, runner
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
async def g():
    async with engine.connect() as c:
        await c.execute(text("x"))
def f():
    with asyncio.Runner() as r:
        r.run(g())

# form: loops, async_to_sync
from asgiref.sync import async_to_sync
engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
async def g():
    async with engine.connect() as c:
        await c.execute(text("x"))
def f():
    async_to_sync(g)()

# form: loops, self attr
class A:
    def __init__(self):
        self.engine = create_async_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
    async def g(self):
        async with self.engine.connect() as c:
            await c.execute(text("x"))
    def f(self):
        return asyncio.run(self.g())

# form: loops, http attr
class A:
    def __init__(self):
        self.c = httpx.AsyncClient()  # found: pool-across-loops
    async def close(self): await self.c.aclose()
    async def g(self):
        return await self.c.get("u")
    def f(self):
        return asyncio.run(self.g())

# form: loops, main ok
engine = create_async_engine("postgresql://", pool_pre_ping=True)
async def g():
    async with engine.connect() as c:
        await c.execute(text("x"))
def main():
    asyncio.run(g())

# form: loops, fork
engine = create_engine("postgresql://", pool_pre_ping=True)  # found: pool-across-loops
def g():
    with engine.connect() as c:
        c.execute(text("x"))
def f():
    multiprocessing.Process(target=g).start()

# form: waits, wait
class A:
    def __init__(self, pool: asyncpg.Pool): self.pool = pool
    async def f(self):
        async with self.pool.acquire() as c:  # found: no-acquire-timeout
            await c.fetch("x")
        await self.pool.execute("x")  # found: no-acquire-timeout

# form: waits, httpx none
T = httpx.Timeout(10, pool=None)  # found: no-acquire-timeout
C = httpx.AsyncClient(timeout=None)  # found: no-acquire-timeout

# form: waits, kwargs none
kw = {"timeout": None}
def f():
    c = httpx.Client(**kw)  # found: no-acquire-timeout
    return c

# form: waits, const none
TIMEOUT = None
C = httpx.AsyncClient(timeout=TIMEOUT)  # found: no-acquire-timeout

# form: waits, default none
def make(timeout: float | None = None):
    return httpx.AsyncClient(timeout=timeout)

# form: certificates, plain
s = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))  # found: ssl-off

# form: certificates, const
VERIFY = False
c = httpx.Client(verify=VERIFY)  # found: ssl-off

# form: certificates, kw
kw = {"verify": False}
c = httpx.Client(**kw)  # found: ssl-off

# form: certificates, ctx
ctx = ssl.create_default_context()
ctx.check_hostname = False
ctx.verify_mode = ssl.CERT_NONE  # found: ssl-off
c = httpx.Client(verify=ctx)

# form: certificates, ctx fn
def ctx():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE  # found: ssl-off
    return c
c = httpx.Client(verify=ctx())

# form: certificates, ctx attr
class A:
    def __init__(self):
        self.ctx = ssl.create_default_context()
        self.ctx.verify_mode = ssl.CERT_NONE  # found: ssl-off
        self.conn = aiohttp.TCPConnector(ssl=self.ctx)

# form: certificates, ctx unverified var
async def f(u):
    ctx = ssl._create_unverified_context()  # found: ssl-off
    conn = aiohttp.TCPConnector(ssl=ctx)
    return conn

# form: certificates, request
async def f(s: aiohttp.ClientSession, u):
    async with s.get(u, ssl=False) as r:  # found: ssl-off
        return await r.text()

# form: certificates, asyncpg
ctx = ssl.create_default_context()
ctx.check_hostname = False
ctx.verify_mode = ssl.CERT_NONE  # found: ssl-off
async def f():
    return await asyncpg.create_pool("x", ssl=ctx)

# form: certificates, sqlalchemy
ctx = ssl.create_default_context()
ctx.verify_mode = ssl.CERT_NONE  # found: ssl-off
engine = create_async_engine("x", pool_pre_ping=True, connect_args={"ssl": ctx})

# form: stale, plain
e = create_engine("postgresql://h/x")  # found: stale-connections

# form: stale, factory
def make(u):
    return create_engine(u, pool_size=5)  # found: stale-connections

# form: certificates, sslmode decides ok
def context(sslmode):
    it = ssl.create_default_context()
    if sslmode == "require":
        it.check_hostname = False
        it.verify_mode = ssl.CERT_NONE
    return it
pool = asyncpg.create_pool("x", ssl=context(MODE))

# form: held across a call, a column of the name of a client ok
import boto3
class Holder:
    def __init__(self, other):
        other.c = boto3.client("s3")
engine = create_engine("x", pool_pre_ping=True)
def a(table):
    with engine.begin() as it:
        it.execute(text("x"))
        it.execute(table.c.role.in_(1))
