"""The service itself: three pools made once, an address for each, and one that needs them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoConnectionInTime

from poolkit.lab.catalogue import CATALOGUE
from poolkit.monitor import Watch, instrument, watch

_READ = CATALOGUE["lab-db"].statements[0]


def create_app(module: ModuleType) -> FastAPI:
    """The service over the pools of a generated pools.py.

    Args:
        module: that pools.py, with `orders_db`, `orders_history` and `quotes_api` in it.
    """
    registry = CollectorRegistry()
    watches: list[Watch] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            pools = await stack.enter_async_context(module.open_pools())
            for field in fields(pools):
                pool, name = getattr(pools, field.name), field.name.replace("_", "-")
                stack.enter_context(instrument(pool, name=name, registry=registry))
                watches.append(stack.enter_context(watch(pool, name=name)))
            yield {"pools": pools}

    app = FastAPI(title="poolkit's demo service", lifespan=lifespan)
    for kind in (TimeoutError, NoConnectionInTime):
        app.add_exception_handler(kind, _shed)

    @app.get("/orders")
    async def orders(request: Request) -> dict[str, Any]:
        """One read through asyncpg."""
        return {"balance": await _order(request.state.pools)}

    @app.get("/history")
    async def history(request: Request) -> dict[str, Any]:
        """One read through SQLAlchemy."""
        return {"balance": await _history(request.state.pools)}

    @app.get("/quotes")
    async def quotes(request: Request) -> dict[str, Any]:
        """One call of another service through aiohttp."""
        return {"quote": await _quote(request.state.pools, module.QUOTES_API_URL)}

    @app.get("/checkout")
    async def checkout(request: Request) -> dict[str, Any]:
        """All three, one after the other: no task holds two connections."""
        pools = request.state.pools
        return {
            "order": await _order(pools),
            "history": await _history(pools),
            "quote": await _quote(pools, module.QUOTES_API_URL),
        }

    @app.get("/metrics")
    async def metrics() -> Response:
        """The gauges of the pools, for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/pools")
    async def pools() -> HTMLResponse:
        """What the watches see now."""
        return HTMLResponse(_page(watches))

    return app


async def _order(pools: Any) -> Any:
    async with pools.orders_db.acquire() as connection:
        return await connection.fetchval(_READ)


async def _history(pools: Any) -> Any:
    async with pools.orders_history.connect() as connection:
        return await connection.scalar(text(_READ))


async def _quote(pools: Any, url: str) -> int:
    async with pools.quotes_api.request("GET", url) as response:
        return len(await response.read())


async def _shed(_request: Request, _error: Exception) -> Response:
    """No connection in time: told at once, so that nobody piles up behind it."""
    return JSONResponse({"error": "busy"}, status_code=503, headers={"Retry-After": "1"})


def _page(watches: list[Watch]) -> str:
    body = "\n<hr>\n".join(one.report().html for one in watches)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Pools</title>'
        '<meta http-equiv="refresh" content="2"><style>body{font:15px/1.5 system-ui;'
        "max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;"
        "margin:.5rem 0}caption{text-align:left;font-weight:600}td,th{text-align:left;"
        "padding:.15rem 1rem .15rem 0;border-bottom:1px solid #ddd}</style></head>"
        f"<body><h1>Pools</h1>\n{body}</body></html>"
    )
