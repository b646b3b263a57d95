"""What to write instead, in the words of the library that a finding is about.

A rule's own `cure` is for libraries without a row here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from poolkit.audit.libraries import BY_PACKAGE, Library
from poolkit.audit.syntax import Function

if TYPE_CHECKING:
    from poolkit.audit.view import View

_LIFESPAN = "@asynccontextmanager\nasync def lifespan(app):  # made once, closed at the end\n"
_AROUND = "    async with {} as app.state.{}:\n        yield\n"
_ENGINE_OF_APP = (
    f"{_LIFESPAN}    app.state.engine = create_async_engine(url, pool_size=14, max_overflow=0)\n"
    "    yield\n    await app.state.engine.dispose()\n"
)
_PSYCOPG_POOL = "AsyncConnectionPool(dsn, max_size=14, open=False)"
_SHARED = {
    "asyncpg": _LIFESPAN + _AROUND.format("asyncpg.create_pool(dsn, max_size=14)", "pool"),
    "psycopg_pool": _LIFESPAN + _AROUND.format(_PSYCOPG_POOL, "pool"),
    "sqlalchemy": _ENGINE_OF_APP,
    "aiohttp": _LIFESPAN + _AROUND.format("aiohttp.ClientSession()", "session"),
    "httpx": _LIFESPAN + _AROUND.format("httpx.AsyncClient()", "client"),
}
# How each hands out a connection, as the head of a block.
_TAKES = {
    "asyncpg": "async with pool.acquire(timeout=1.0) as connection:",
    "psycopg_pool": "async with pool.connection(timeout=1.0) as connection:",
    "sqlalchemy": "async with sessions() as session:",
}


def _taken(text: str, **more: str) -> dict[str, str]:
    """One text for each database library: TAKE is its head of a block, HELD what it gives."""
    filled = {
        package: text.replace("TAKE", take).replace("HELD", take.rpartition(" as ")[2].rstrip(":"))
        for package, take in _TAKES.items()
    }
    return filled | more


CURES: Mapping[str, Mapping[str, str]] = {
    "pool-per-call": _SHARED,
    "pool-made-twice": _SHARED,
    "session-per-call": {
        "httpx": (
            "async def fetch(client, url):  # one client for the life of the program\n"
            "    reply = await client.get(url)\n    return reply.content\n"
        ),
    },
    "never-closed": {
        "asyncpg": "async with asyncpg.create_pool(dsn, max_size=14) as pool:\n    ...\n",
        "psycopg_pool": f"async with {_PSYCOPG_POOL} as pool:\n    ...\n",
        "sqlalchemy": (
            "engine = create_async_engine(url, pool_recycle=240)\n"
            "try:\n    ...\nfinally:\n    await engine.dispose()\n"
        ),
        "httpx": "async with httpx.AsyncClient() as client:\n    ...\n",
    },
    "second-acquire": _taken(
        "TAKE\n    await load_order(HELD)   # hand it on\n    await load_items(HELD)\n"
    ),
    "no-acquire-timeout": {
        "sqlalchemy": "engine = create_async_engine(url, pool_timeout=1.0, pool_recycle=240)\n",
        "psycopg_pool": ("pool = AsyncConnectionPool(dsn, max_size=14, timeout=1.0, open=False)\n"),
        "httpx": (
            "timeout = httpx.Timeout(10.0, pool=1.0)\nclient = httpx.AsyncClient(timeout=timeout)\n"
        ),
        "aiohttp": (
            "timeout = aiohttp.ClientTimeout(total=10.0, connect=1.0)\n"
            "session = aiohttp.ClientSession(timeout=timeout)\n"
        ),
    },
    "held-across-call": _taken(
        "TAKE\n    key = await load_key(HELD)\n"
        "answer = await model.post('/extract', json={'key': key})  # holds no connection\n"
        "TAKE\n    await save(HELD, answer)\n"
    ),
    "held-while-streaming": _taken(
        "async def stream():\n"
        "    async for part in model.answer(question):  # holds no connection\n"
        "        yield part\n    TAKE\n        await save(HELD, question)\n"
    ),
    "session-in-background": _taken(
        "async def enrich(track):\n    TAKE  # its own, and only while it needs one\n"
        "        ...\ntasks.add_task(enrich, track)\n"
    ),
    "cleanup-skipped": _taken(
        "async def get_HELD():\n    TAKE  # closes it whatever happens\n        yield HELD\n",
        aiohttp=(
            "async def get_session():\n"
            "    async with aiohttp.ClientSession() as session:  # closes it whatever happens\n"
            "        yield session\n"
        ),
        httpx=(
            "async def get_client():\n"
            "    async with httpx.AsyncClient() as client:  # closes it whatever happens\n"
            "        yield client\n"
        ),
    ),
    "not-released": _taken(
        "TAKE  # given back whatever happens\n    await HELD.execute(statement)\n"
    ),
    "response-unread": {
        "httpx": (
            "async with client.stream('GET', url) as response:  # gives the connection back\n"
            "    exists = response.status_code == 200\n"
        ),
    },
    "pool-across-loops": {
        "asyncpg": (
            "async def main():\n"
            "    async with asyncpg.create_pool(dsn) as pool:  # in the loop that uses it\n"
            "        await serve(pool)\nasyncio.run(main())\n"
        ),
        "psycopg_pool": (
            "async def main():\n"
            "    async with AsyncConnectionPool(dsn, open=False) as pool:  # in the loop that "
            "uses it\n        await serve(pool)\nasyncio.run(main())\n"
        ),
        "aiohttp": (
            "async def main():\n"
            "    async with aiohttp.ClientSession() as session:  # in the loop that uses it\n"
            "        await serve(session)\nasyncio.run(main())\n"
        ),
        "httpx": (
            "async def main():\n"
            "    async with httpx.AsyncClient() as client:  # in the loop that uses it\n"
            "        await serve(client)\nasyncio.run(main())\n"
        ),
    },
    "behind-pooler": {
        "asyncpg": "pool = await asyncpg.create_pool(dsn, statement_cache_size=0, max_size=14)\n",
        "psycopg_pool": (
            "pool = AsyncConnectionPool(dsn, kwargs={'prepare_threshold': None}, open=False)\n"
        ),
        "sqlalchemy": (
            "engine = create_async_engine(\n"
            "    url,  # postgresql+asyncpg\n    pool_recycle=240,\n"
            "    connect_args={'statement_cache_size': 0, "
            "'prepared_statement_name_func': lambda: f'__{uuid4()}__'},\n)\n"
        ),
    },
    "keepalive-too-long": {
        "asyncpg": (
            "pool = await asyncpg.create_pool(  # below the limit, and none is left out of it\n"
            "    dsn, min_size=0, max_size=14, max_inactive_connection_lifetime=240\n)\n"
        ),
        "psycopg_pool": (
            "keep = {'keepalives_idle': 60, 'keepalives_interval': 10, 'keepalives_count': 3}\n"
            "pool = AsyncConnectionPool(  # TCP keeps the way open while nothing else is sent\n"
            "    dsn, max_size=14, kwargs=keep, open=False,\n"
            "    check=AsyncConnectionPool.check_connection,  # finds what the server has closed\n"
            ")\n"
        ),
        "sqlalchemy": (
            "engine = create_async_engine(url, pool_recycle=240)  # below the limit: counts from "
            "the dial\n"
        ),
        "aiohttp": "connector = aiohttp.TCPConnector(keepalive_timeout=4.0)  # below 5 s\n",
        "httpx": (
            "limits = httpx.Limits(keepalive_expiry=4.0)  # below 5 s\n"
            "client = httpx.AsyncClient(limits=limits)\n"
        ),
    },
    "over-budget": {
        "asyncpg": "pool = asyncpg.create_pool(dsn, max_size=8)  # 8 x 4 replicas x 2 workers\n",
        "psycopg_pool": (
            "pool = AsyncConnectionPool(dsn, min_size=2, max_size=8, open=False)\n"
            "# 8 x 4 replicas x 2 workers\n"
        ),
        "sqlalchemy": (
            "engine = create_async_engine(url, pool_size=8, max_overflow=0, pool_recycle=240)\n"
            "# (8 + 0) x 4 replicas x 2 workers\n"
        ),
    },
    "ssl-off": {
        "httpx": (
            'context = ssl.create_default_context(cafile="internal-ca.pem")\n'
            "client = httpx.AsyncClient(verify=context)\n"
        ),
    },
}


# The libraries that a rule's own cure is for, where it has others.
_OWN: Mapping[str, tuple[str, ...]] = {
    "session-per-call": ("aiohttp",),
    "never-closed": ("aiohttp",),
    "no-acquire-timeout": ("asyncpg",),
    "response-unread": ("aiohttp",),
    "pool-across-loops": ("sqlalchemy",),
    "ssl-off": ("aiohttp",),
}


def cure_of(rule: str, library: str, otherwise: str) -> str:
    """The cure of a rule for a library, by its package; else the rule's own."""
    return CURES.get(rule, {}).get(library, otherwise)


def package_of(rule: str, view: View, node: ast.AST) -> str:
    """The package that a finding is about: the nearest one that the rule has a cure for, else the
    nearest; empty where none shows."""
    cures = {*CURES.get(rule, ()), *_OWN.get(rule, ())}
    near = [library.packages[0] for library in _near(view, node)]
    fallback = next(iter(near), "")
    return next((package for package in near if package in cures), fallback)


_NEAR = 200  # nodes below a finding that are looked at


def _near(view: View, node: ast.AST) -> Iterator[Library]:
    """The libraries that stand in a finding, around it, and in its module's imports."""
    yield from _inside(view, node)
    for outer in view.module.around(node):
        if isinstance(outer, ast.With | ast.AsyncWith):
            for item in outer.items:
                yield from _inside(view, item)
        elif isinstance(outer, Function):
            yield from _inside(view, outer.args)
    for name in view.module.imported.values():
        library = BY_PACKAGE.get(name.partition(".")[0])
        if library is not None:
            yield library


@lru_cache(maxsize=64)  # of a function with n arguments and n findings
def _inside(view: View, node: ast.AST) -> tuple[Library, ...]:
    return tuple(_below(view, node))


def _below(view: View, node: ast.AST) -> Iterator[Library]:
    for inner in islice(ast.walk(node), _NEAR):
        if isinstance(inner, ast.Call):
            library = BY_PACKAGE.get(view.module.meaning(inner.func)[0])
            if library is not None:
                yield library
        found = None
        if isinstance(inner, ast.Name | ast.Attribute | ast.Call) and inner in view.module.parents:
            found = view.values.of(view.module, inner)
        elif isinstance(inner, ast.arg):
            found = view.values.annotated(view.module, inner.annotation, inner.arg)
        if found is not None and found.library is not None:
            yield found.library
