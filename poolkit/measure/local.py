"""Event loops on which `localhost` is this machine at every dial, whatever a resolver says by then.

The name is judged by its text, and may lead elsewhere from one look-up to the next (DNS rebinding).
aiohttp, httpx and psycopg look up through the loop; asyncpg and redis-py leave it to the dial. So
here the loop looks up, and what it dials are the addresses that it has judged.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

from poolkit.targets.endpoint import LOCAL_NAME, elsewhere


@functools.cache
def local(kind: type[asyncio.AbstractEventLoop]) -> type[asyncio.AbstractEventLoop]:
    """The same kind of loop, which refuses a `localhost` that is another machine (gaierror)."""

    class Loop(kind):  # type: ignore[valid-type, misc]
        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            found = await super().getaddrinfo(host, port, **options)
            if _is_local(host) and (moved := elsewhere(found)):
                raise socket.gaierror(socket.EAI_FAIL, moved)
            return found

        async def create_connection(
            self, factory: Any, host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            if not _is_local(host):
                return await super().create_connection(factory, host, port, **options)
            if options.get("ssl") and options.get("server_hostname") is None:
                options["server_hostname"] = host
            refused: OSError | None = None
            for *_, place in await self.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                try:
                    return await super().create_connection(factory, *place[:2], **options)
                except OSError as error:
                    refused = refused or error
            raise refused or socket.gaierror(socket.EAI_NONAME, "localhost leads nowhere")

    return Loop


def _is_local(host: Any) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return isinstance(name, str) and name.lower().removesuffix(".") == LOCAL_NAME
