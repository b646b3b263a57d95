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

# form: client per call, exitstack
class A:
    async def f(self, url):
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient())  # found: session-per-call
            r = await client.get(url)
        return r.json()

# form: client per call, factory partial
make = functools.partial(httpx.AsyncClient, timeout=5)
async def f(url):
    async with make() as client:  # found: session-per-call
        return (await client.get(url)).json()

# form: client per call, factory self
class A:
    def _client(self):
        return httpx.AsyncClient(base_url=self.url)
    async def f(self, url):
        async with self._client() as client:  # found: session-per-call
            return (await client.get(url)).json()

# form: client per call, asynccontextmanager
@asynccontextmanager
async def client():
    async with httpx.AsyncClient() as c:
        yield c
async def f(url):
    async with client() as c:  # found: session-per-call
        return (await c.get(url)).json()

# form: client per call, asynccontextmanager method
class A:
    @asynccontextmanager
    async def client(self):
        c = httpx.AsyncClient()
        try:
            yield c
        finally:
            await c.aclose()
    async def f(self, url):
        async with self.client() as c:  # found: session-per-call
            return (await c.get(url)).json()

# form: client per call, lambda factory
make = lambda: httpx.AsyncClient(timeout=3)
async def f(url):
    async with make() as c:  # found: session-per-call
        return (await c.get(url)).json()

# form: client per call, kwargs conditional
async def f(url, proxy):
    kw = {"timeout": 3}
    if proxy: kw["proxy"] = proxy
    async with httpx.AsyncClient(**kw) as c:  # found: session-per-call
        return (await c.get(url)).json()

# form: client per call, class alias
Client = httpx.AsyncClient
async def f(url):
    async with Client() as c:  # found: session-per-call
        return (await c.get(url)).json()

# form: client per call, client cls attr
class A:
    client_class = httpx.AsyncClient
    async def f(self, url):
        async with self.client_class() as c:  # found: session-per-call
            return (await c.get(url)).json()

# form: client per call, request fn
async def f(url, method):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        return await getattr(c, method)(url)

# form: client per call, closure
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        async def go():
            return await c.get(url)
        return await go()

# form: client per call, retry loop
async def f(url):
    for attempt in range(3):
        try:
            async with httpx.AsyncClient() as c:  # found: session-per-call
                return (await c.get(url)).json()
        except httpx.HTTPError:
            await asyncio.sleep(1)

# form: client per call, retry while outside
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        for attempt in range(3):
            try:
                return (await c.get(url)).json()
            except httpx.HTTPError:
                await asyncio.sleep(1)

# form: client per call, retry fn
async def send(c, url):
    for attempt in range(3):
        try:
            r = await c.get(url)
            return r
        except httpx.HTTPError:
            await asyncio.sleep(1)
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        return await send(c, url)

# form: client per call, retry while
async def f(url):
    attempt = 0
    async with httpx.AsyncClient() as c:  # found: session-per-call
        while attempt < 5:
            r = await c.get(url)
            if r.status_code == 200:
                return r
            attempt += 1

# form: client per call, paged loop ok
async def f(url):
    out = []
    async with httpx.AsyncClient() as c:
        while url:
            r = await c.get(url)
            out += r.json()
            url = r.next
    return out

# form: client per call, poll loop ok
async def f(url):
    async with httpx.AsyncClient() as c:
        while True:
            r = await c.get(url)
            if r.json()["done"]:
                return r
            await asyncio.sleep(1)

# form: client per call, tenacity
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        async for attempt in AsyncRetrying():
            with attempt:
                return await c.get(url)

# form: client per call, sdk
from openai import AsyncOpenAI
async def f(q):
    async with httpx.AsyncClient() as c:
        o = AsyncOpenAI(http_client=c)
        return await o.chat.completions.create(q)

# form: client per call, try finally
async def f(url):
    c = httpx.AsyncClient()  # found: session-per-call
    try:
        return await c.get(url)
    finally:
        await c.aclose()

# form: client per call, match
async def f(url, kind):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        match kind:
            case "get": return await c.get(url)
            case _: return await c.post(url)

# form: client per call, walrus
async def f(url):
    async with (s := aiohttp.ClientSession()):  # found: session-per-call
        async with s.get(url) as r:
            return await r.text()

# form: client per call, combined with
async def f(url):
    async with aiohttp.ClientSession() as s, s.get(url) as r:  # found: session-per-call
        return await r.text()

# form: client per call, conditional two
async def f(url, tls):
    async with (httpx.AsyncClient(verify=True) if tls else httpx.AsyncClient()) as c:  # found: session-per-call
        return await c.get(url)

# form: client per call, subclass
class C(httpx.AsyncClient):
    pass
async def f(url):
    async with C() as c:  # found: session-per-call
        return await c.get(url)

# form: client per call, req then helper
async def f(url):
    async with aiohttp.ClientSession() as s:  # found: session-per-call
        r = await s.get(url)
        return await parse(r)

# form: client per call, static module
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        resp = await c.request("GET", url)
        resp.raise_for_status()
        return resp.json()

# form: client per call, stream
async def f(url):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        async with c.stream("GET", url) as r:
            async for x in r.aiter_bytes():
                yield x

# form: client per call, gather ok
async def f(urls):
    async with httpx.AsyncClient() as c:
        return await asyncio.gather(*(c.get(u) for u in urls))

# form: client per call, celery
from celery import shared_task
@shared_task
def f(url):
    with httpx.Client() as c:  # found: session-per-call
        return c.get(url).json()

# form: client per call, click ok
@click.command()
def f(url):
    with httpx.Client() as c:
        return c.get(url).json()

# form: client per call, typer ok
cli = typer.Typer()
@cli.command("go")
def f(url: str):
    with httpx.Client() as c:
        return c.get(url).json()

# form: client per call, typer callee ok
cli = typer.Typer()
def g(url):
    with httpx.Client() as c:
        return c.get(url).json()
@cli.command("go")
def f(url: str):
    g(url)

# form: client per call, argparse main ok
def f(url):
    return httpx.get(url)
if __name__ == "__main__":
    f("x")

# form: client per call, typer async ok
cli = typer.Typer()
async def g(url):
    async with httpx.AsyncClient() as c:
        return await c.get(url)
@cli.command()
def f(url: str):
    asyncio.run(g(url))

# form: client per call, token cached
class Auth:
    def __init__(self):
        self._token = None
        self._until = 0
    async def token(self):
        if self._token is None or time.time() > self._until:
            async with httpx.AsyncClient() as c:
                r = await c.post("/token")
            self._token = r.json()["t"]
            self._until = time.time() + 60
        return self._token

# form: client per call, token cached helper
class Auth:
    async def token(self):
        if self._token and time.time() < self._until:
            return self._token
        await self._refresh()
        return self._token
    async def _refresh(self):
        async with httpx.AsyncClient() as c:
            r = await c.post("/token")
        self._token = r.json()["t"]
        self._until = time.time() + 60

# form: client per call, token dict cache
_cache = {}
async def jwks(url):
    if url in _cache:
        return _cache[url]
    async with httpx.AsyncClient() as c:
        r = await c.get(url)
    _cache[url] = r.json()
    return _cache[url]

# form: client per call, jwks cached attr
class V:
    async def keys(self):
        now = time.time()
        if self._jwks is None or now - self._at > 3600:
            async with aiohttp.ClientSession() as s:
                async with s.get(self.url) as r:
                    self._jwks = await r.json()
                    self._at = now
        return self._jwks

# form: client per call, lru_cache ok
@lru_cache
def f():
    return httpx.get("x").json()

# form: client per call, dataclass field
@dataclass
class A:
    client: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    async def f(self, url):
        return await self.client.get(url)

# form: client per call, one_shot partial
async def f(url):
    return await asyncio.to_thread(httpx.get, url)  # found: session-per-call

# form: client per call, one_shot partial executor
async def f(url):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, partial(httpx.get, url))  # found: session-per-call

# form: client per call, from import
from httpx import get, post as p
def f(url):
    return p(url)  # found: session-per-call

# form: client per call, dependency
async def client():
    async with httpx.AsyncClient() as c:  # found: session-per-call
        yield c
@app.get("/x")
async def f(c: httpx.AsyncClient = Depends(client)):
    return (await c.get("/")).json()

# form: client per call, dependency return
def client():
    return httpx.AsyncClient()  # found: session-per-call
@app.get("/x")
async def f(c: httpx.AsyncClient = Depends(client)):
    return (await c.get("/")).json()

# form: client per call, async for loop ok outer
async def f(q):
    async with httpx.AsyncClient() as c:
        async for u in q:
            await c.post(u)

# form: client per call, worker loop
async def f(q):
    while True:
        u = await q.get()
        async with httpx.AsyncClient() as c:  # found: session-per-call
            await c.post(u)

# form: client per call, handed to method in loop
class A:
    async def one(self, c, u):
        for i in range(self.max_retries):
            r = await c.get(u)
            if r.is_success: return r
    async def f(self, u):
        async with httpx.AsyncClient() as c:  # found: session-per-call
            return await self.one(c, u)

# form: client per call, 4 requests
async def f(u):
    async with httpx.AsyncClient() as c:
        a = await c.get(u); b = await c.get(u); d = await c.get(u); e = await c.get(u)
    return a, b, d, e

# form: client per call, branches 5 exclusive
async def f(u, m):
    async with httpx.AsyncClient() as c:  # found: session-per-call
        if m == "GET": r = await c.get(u)
        elif m == "POST": r = await c.post(u)
        elif m == "PUT": r = await c.put(u)
        elif m == "PATCH": r = await c.patch(u)
        elif m == "DELETE": r = await c.delete(u)
        else: raise ValueError
    return r

# form: client per call, sync in method with nested helper
class A:
    def _request(self, m, p):
        with httpx.Client(base_url=self.b) as c:  # found: session-per-call
            return c.request(m, p)
    def get(self, p):
        return self._request("GET", p)

# form: client per call, return inside with attr
class A:
    async def _s(self):
        return aiohttp.ClientSession(headers=self.h)
    async def f(self, u):
        s = await self._s()  # found: session-per-call
        try:
            async with s.get(u) as r:
                return await r.json()
        finally:
            await s.close()

# form: client per call, timeouts
async def f(u):
    try:
        async with asyncio.timeout(5), aiohttp.ClientSession() as s:  # found: session-per-call
            async with s.get(u) as r:
                return await r.json()
    except TimeoutError:
        return None

# form: client per call, fallback param
async def f(u, client=None):
    client = client or httpx.AsyncClient()
    return await client.get(u)

# form: client per call, contextlib nullcontext
async def f(u, client=None):
    async with (contextlib.nullcontext(client) if client else httpx.AsyncClient()) as c:
        return await c.get(u)

# form: a command that a call registers
app = typer.Typer()
def configure(endpoint: str = "x"):
    with httpx.Client(timeout=10.0) as client:
        print(client.get(endpoint).status_code)
app.command(name="configure")(configure)

# form: a command's options
def configure(endpoint: str = typer.Option("x", help="where")):
    with httpx.Client(timeout=10.0) as client:
        print(client.get(endpoint).status_code)

# form: a client whose polls share its connection
class Parser:
    async def parse(self, file):
        async with httpx.AsyncClient(timeout=10.0) as client:
            task = await self._submit(client, file)
            return await self._poll_until_done(client, task)
    async def _submit(self, client: httpx.AsyncClient, file):
        return (await client.post("x", files=file)).json()["task"]
    async def _poll_until_done(self, client: httpx.AsyncClient, task):
        for _ in range(self.max_poll_attempts):
            reply = await client.get(f"x/{task}")
            if reply.json()["done"]:
                return reply
            await asyncio.sleep(1)

# form: what the one caller keeps of an answer
class Speech:
    async def _connect(self):
        if not self._session_url:
            answer = await self._set_up()
            self._session_url = answer["url"]
        await self.dial(self._session_url)
    async def _set_up(self):
        async with aiohttp.ClientSession() as session:
            async with session.post("x") as reply:
                return await reply.json()

# form: what the one caller does not keep of an answer
class Speech:
    async def _connect(self):
        answer = await self._set_up()
        await self.dial(answer["url"])
    async def _set_up(self):
        async with aiohttp.ClientSession() as session:  # found: session-per-call
            async with session.post("x") as reply:
                return await reply.json()

# form: a demo in a module that others import
async def rerank(query):
    async with aiohttp.ClientSession() as session:  # found: session-per-call
        async with session.post("x", json=query) as reply:
            return await reply.json()
if __name__ == "__main__":
    async def main():
        print(await rerank("x"))
    asyncio.run(main())
# module: service
from .mod import rerank
service = partial(rerank, query="y")

# form: limits that are computed
most = int(os.getenv("MOST", "2"))
client = httpx.AsyncClient(limits=httpx.Limits(max_connections=(most + 1) * 2, max_keepalive_connections=most + 1))  # found: httpx-keepalive-below-max
