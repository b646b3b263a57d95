"""The smallest ASGI and WSGI applications that take a known time, and write down each call.

The environment sets them: SERVICE_TIME in seconds, CALLS_LOG the file that each call adds a line
to, its arrival (s since 1970) and the status that it gets.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

SERVICE_TIME = float(os.environ["SERVICE_TIME"])
# Unbuffered: lines of several threads and of the server's own logger stay whole.
_log = os.open(os.environ["CALLS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _note() -> None:
    os.write(_log, b"%.6f 200\n" % time.time())


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any number at a time."""
    if scope["type"] != "http":
        return
    _note()
    await asyncio.sleep(SERVICE_TIME)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As many at a time as the server has threads."""
    _note()
    time.sleep(SERVICE_TIME)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
