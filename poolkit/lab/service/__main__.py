"""Runs the demo service: `python -m poolkit.lab.service --help`.

It makes three pools once, has an address for each, and one that needs them all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoConnectionInTime

from poolkit.errors import BadInput, PoolkitError
from poolkit.lab.catalogue import CATALOGUE
from poolkit.lab.child import LOOK_FOR_PARENT, is_orphan
from poolkit.lab.running import Lab
from poolkit.lab.service.day import DayProcess, check_length
from poolkit.lab.service.sizes import (
    UPSTREAMS,
    load_pools,
    parse_sizes,
    pools_source,
    targets_of,
    targets_toml,
)
from poolkit.monitor import Watch, instrument, watch

_READ = CATALOGUE["lab-db"].statements[0]


def create_app(module: ModuleType) -> FastAPI:
    """The service over the pools of a generated pools.py.

    Args:
        module: that pools.py, with `orders_db`, `orders_history` and `quotes_api` in it.
    """
    registry = CollectorRegistry()
    watches: list[Watch] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with contextlib.AsyncExitStack() as stack:
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
    """No connection in time: refused at once, so that no queue builds up."""
    return JSONResponse({"error": "busy"}, status_code=503, headers={"Retry-After": "1"})


def _page(watches: list[Watch]) -> str:
    template = Template(Path(__file__).with_name("pools.html").read_text(encoding="utf-8"))
    return template.substitute(reports="\n<hr>\n".join(one.report().html for one in watches))


def main() -> int:
    """Serve until Ctrl-C, SIGTERM or the parent's end."""
    parser = argparse.ArgumentParser(
        prog="python -m poolkit.lab.service",
        description="A demo service on this machine's loopback, over three connection pools.",
    )
    parser.add_argument(
        "--sizes",
        default="undersized",
        help="undersized (default), recommended, or NAME=SIZE,... ; starts the lab for upstreams",
    )
    parser.add_argument(
        "--pools",
        type=Path,
        metavar="FILE",
        help="the pools.py of a review instead; its upstreams must run",
    )
    parser.add_argument("--port", type=int, default=8800, help="default 8800; 0: any free one")
    parser.add_argument(
        "--targets-out",
        type=Path,
        metavar="FILE",
        help="write the targets.toml to review or observe",
    )
    parser.add_argument(
        "--day",
        type=float,
        metavar="SECONDS",
        help="send it days of calls, each so long: 80 calls/s at noon, a quarter of it at night",
    )
    parser.add_argument("--parent", type=int, help="pid; the service ends when it does")
    arguments = parser.parse_args()
    # uvicorn hands signals on when it has shut down; what stands around it is to be tidied up too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.day is not None:
            check_length(arguments.day)
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(_listen(arguments.port))
            path = arguments.pools or _own_pools(
                stack, arguments.sizes, arguments.targets_out, _url(listening)
            )
            _serve(path, listening, arguments.parent, arguments.day)
    except PoolkitError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        pass
    return 0


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"cannot listen on port {port}: {error}", "name another with --port, or 0 for any"
        ) from error


def _url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def _own_pools(stack: contextlib.ExitStack, sizes: str, targets_out: Path | None, url: str) -> Path:
    """The lab, started, and a pools.py for it."""
    chosen = parse_sizes(sizes)
    lab = stack.enter_context(Lab(UPSTREAMS))
    os.environ.update(lab.environment())
    if targets_out is not None:
        targets_out.write_text(targets_toml(lab, url), encoding="utf-8")
        for line in lab.export_lines():
            sys.stderr.write(f"{line}\n")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="poolkit-service-")))
    path = folder / "pools.py"
    path.write_text(pools_source(targets_of(lab), chosen), encoding="utf-8")
    return path


def _serve(
    path: Path, listening: socket.socket, parent: int | None, day: float | None = None
) -> None:
    config = uvicorn.Config(create_app(load_pools(path)), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    url = _url(listening)
    days = None if day is None else DayProcess(url, day)
    threading.Thread(target=_supervise, args=(server, url, parent, days), daemon=True).start()
    try:
        server.run(sockets=[listening])
    finally:
        if days is not None:
            days.close()
    if not server.started:
        raise PoolkitError("the service did not start", "see the lines above")


def _supervise(
    server: uvicorn.Server, url: str, parent: int | None, days: DayProcess | None
) -> None:
    """Announce the service when it is up, with its days, and end it with its parent."""
    while not server.started:
        time.sleep(0.01)
    if days is not None:
        days.start()
    sys.stdout.write(json.dumps({"url": url, "metrics": f"{url}/metrics"}) + "\n")
    sys.stdout.flush()
    while not is_orphan(parent):
        time.sleep(LOOK_FOR_PARENT)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
