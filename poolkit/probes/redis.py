"""Redis as the probes speak it: a connection that is logged in and left alone."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from poolkit.probes.line import DIAL_TIMEOUT, Dial, NoLine, StreamLine, Upstream
from poolkit.probes.relay import moved
from poolkit.targets import Target
from poolkit.targets.endpoint import PORTS
from poolkit.targets.workload import RedisWork, redis_work

TLS_REQUEST = b""


class RedisLine(StreamLine):
    """One connection; every use is a PING."""

    async def ask(self, *words: str) -> str:
        """The answer to a command that has one line; EOFError where the server has closed."""
        parts = [word.encode() for word in words]
        lines = [b"*%d" % len(parts)]
        for part in parts:
            lines += [b"$%d" % len(part), part]
        self._writer.write(b"\r\n".join([*lines, b""]))
        await self._writer.drain()
        answer = await self._reader.readline()
        if not answer:
            raise EOFError
        return answer.decode(errors="replace").strip()

    async def exchange(self) -> None:
        """Send a PING."""
        await self.ask("PING")


async def dialer(target: Target) -> Dial:
    """Opens connections that are logged in."""
    where, options = _place(target), parse_url(target.resolved_dsn())
    login: list[tuple[str, ...]] = []
    if options.get("password"):
        login.append(("AUTH", *filter(None, (options.get("username"), options["password"]))))
    if options.get("db"):
        login.append(("SELECT", str(options["db"])))

    async def dial() -> RedisLine:
        line = RedisLine(*await where.dial())
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                for words in login:
                    answer = await line.ask(*words)
                    if answer.startswith("-"):
                        raise NoLine(f"redis refused {words[0]}: {answer[1:]}")
        except (OSError, EOFError) as error:
            await line.close()
            raise NoLine(f"no login: {type(error).__name__}") from None
        except BaseException:
            await line.close()
            raise
        return line

    return dial


def upstream(target: Target) -> Upstream | str:
    """Where a relay in front of the target leads."""
    return _place(target)


def _place(target: Target) -> Upstream:
    options: dict[str, Any] = dict(parse_url(target.resolved_dsn()))
    # The library's own reading of ssl_cert_reqs and the like.
    kind = options.pop("connection_class", None)
    context: ssl.SSLContext | None = None if kind is None else kind(**options).ssl_context.get()
    return Upstream(options["host"], options.get("port", PORTS["redis"]["redis"]), context=context)


def work(target: Target, port: int | None) -> tuple[Any, ...]:
    """The URL and the commands for the adapter; through `port` here, None: straight.

    PING stands in the place of a function of the user's.
    """
    url = target.resolved_dsn()
    if port is not None:
        query = parse_qsl(urlsplit(url).query)
        options = [one for one in query if not one[0].startswith("ssl_")]
        url = moved(url, port, scheme="redis", query=urlencode(options))
    return url, RedisWork(["PING"]) if target.work is not None else redis_work(target, 1)
