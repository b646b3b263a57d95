"""How the time of an audit grows with the source."""

import sys

import pytest

from poolkit.audit import Settings, audit_source

# In turn what stands once, and what is repeated (0: its number, 1: the next one).
SHAPES = {
    "clients": ("async def f():\n", "    c{0} = httpx.AsyncClient()\n"),
    "used": (
        "async def f():\n",
        "    c{0} = httpx.AsyncClient()\n    await c{0}.get('x')\n    await c{0}.aclose()\n",
    ),
    "one name": ("async def f():\n", "    c = httpx.Client()\n    c.get('x')\n"),
    "branches": (
        "def f(x):\n",
        "    if x == {0}:\n        c = httpx.Client()\n        c.get('x')\n",
    ),
    "kept": (
        "K = {{}}\ndef f():\n",
        "    if 'k{0}' not in K:\n        K['k{0}'] = httpx.Client().get('x')\n",
    ),
    "tries": (
        "def f():\n",
        "    c{0} = httpx.Client()\n    try:\n        c{0}.get('x')\n"
        "    finally:\n        c{0}.close()\n",
    ),
    "classes": (
        "",
        "class K{0}:\n    def __init__(self):\n        self.c = httpx.Client()\n"
        "    def go(self):\n        self.c.get('x')\n",
    ),
    "attributes": (
        "class K:\n    def __init__(self):\n",
        "        self.c{0} = httpx.Client()\n        self.n{0} = {1}\n"
        "        self.p{0} = asyncpg.create_pool('x', max_size=self.n{0})\n",
    ),
    "one attribute": ("class K:\n", "    def m{0}(self):\n        self.c = httpx.Client()\n"),
    "asked": (
        "class K:\n    async def connect(self):\n",
        "        if self.c{0} is None:\n            self.c{0} = await asyncpg.create_pool('x')\n",
    ),
    "returns": (
        "def f(x):\n",
        "    if x == {0}:\n        return httpx.Client()\n",
        "f(1).get('x')\n",
    ),
    "decorators": ("", "@d{0}(1)\n", "def f():\n    c = httpx.Client()\n    c.get('x')\n"),
    "keys": (
        "S = {{}}\nasync def f():\n",
        "    S['k{0}'] = {1}\n    p{0} = await asyncpg.create_pool('x', max_size=S['k{0}'])\n",
    ),
    "one size": (
        "async def f():\n",
        "    n = {1}\n    p{0} = await asyncpg.create_pool('x', max_size=n)\n",
    ),
    "arguments": (
        "def f(",
        "n{0}={1}, ",
        "):\n",
        "    create_engine('x', pool_size=n{0})\n",
    ),
    "f-strings": (
        "async def f(x):\n",
        "    u{0} = f'postgres://h/{{x}}{0}'\n    p{0} = await asyncpg.create_pool(u{0})\n",
    ),
    "engines": (
        "def f():\n",
        "    e{0} = create_engine('postgresql://h/d')\n    with e{0}.connect() as k{0}:\n"
        "        k{0}.execute('x')\n",
    ),
    "chain": (
        "",
        "async def f{0}(n):\n    p = await asyncpg.create_pool(n)\n    await p.fetch(1)\n"
        "    await f{1}(n)\n",
    ),
    "stored": (
        "",
        "x.p = asyncpg.create_pool(d{0})\nasync def f{0}():\n    await y.p.fetch(1)\n",
    ),
    "defaults": (
        "p = asyncpg.create_pool(dsn)\n",
        "async def g{0}(a=p.fetch(1)):\n    b = await a\n",
    ),
    "held": (
        "p = asyncpg.create_pool(dsn)\nasync def f():\n",
        "    async with p.acquire() as k{0}:\n        await h()\n",
        "async def h():\n",
        "    x{0} = {0}\n",
    ),
}


def steps(text: str) -> int:
    """The lines of Python that an audit of a source runs: no busy machine changes them."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        audit_source(text, settings=Settings(max_connections=5, db_idle=60, server_keepalive=5))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_worse_than_linear(shape: str) -> None:
    """Four times the source takes four times the steps; a square takes sixteen."""

    def source(size: int) -> str:
        text = "import asyncpg, httpx\nfrom sqlalchemy import create_engine\n"
        for at, part in enumerate(SHAPES[shape]):
            text += "".join(part.format(n, n + 1) for n in range(size if at % 2 else 1))
        return text

    assert steps(source(120)) < 5 * steps(source(30))
