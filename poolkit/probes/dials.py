"""Times what a new connection costs: the look-up of its name, TCP, TLS, and the whole dial."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable

from poolkit.probes.line import Dial, NoLine
from poolkit.probes.medians import median_interval
from poolkit.probes.records import Cost
from poolkit.probes.relay import Upstream

SAMPLES = 15
SECONDS = 6.0  # for all samples of one kind, at most
_TIMEOUT = 5.0  # s
# PostgreSQL's SSLRequest: length 8, code 80877103; the answer is S or N (protocol 3, 55.2.11).
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)

Step = Callable[[], Awaitable[float]]


def is_address(host: str) -> bool:
    """Whether the host is written as an address, so that nothing is looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def dial_costs(
    dial: Dial, where: Upstream, *, is_postgres: bool, hold: float
) -> tuple[list[Cost], dict[str, str]]:
    """The costs of a new connection, each against a call that holds its own for `hold` s.

    Raises:
        NoLine: the target takes no connection.
    """
    costs, skipped = [], {}
    costs.append(_cost("dial", await _repeat(lambda: _dial(dial)), hold, "all of it, login too"))
    costs.append(_cost("TCP", await _repeat(lambda: _tcp(where)), hold, "part of the dial"))
    if where.context is not None or (is_postgres and await _speaks_tls(where)):
        seconds = await _repeat(lambda: _tls(where, is_postgres))
        costs.append(_cost("TLS handshake", seconds, hold, "part of the dial"))
    else:
        skipped["TLS handshake"] = "the target is reached without TLS"
    if where.path is not None or is_address(where.host):
        skipped["DNS look-up"] = "the target is named by an address"
    else:
        seconds = await _repeat(lambda: _look_up(where))
        costs.append(_cost("DNS look-up", seconds, hold, "part of the dial, unless it is cached"))
    return costs, skipped


async def look_up(host: str, port: int) -> tuple[float, int]:
    """s that the system's resolver takes for a name, its cache included, and the addresses found.

    Raises:
        NoLine: it fails, or does not answer within 5 s.
    """
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError) as error:
        raise NoLine(f"the name cannot be looked up: {type(error).__name__}") from None
    return time.perf_counter() - began, len({entry[4][0] for entry in found})


async def _look_up(where: Upstream) -> float:
    seconds, _ = await look_up(where.host, where.port)
    return seconds


def _cost(name: str, seconds: list[float], hold: float, note: str) -> Cost:
    middle, interval = median_interval(seconds)
    return Cost(
        name=name,
        per="dial",
        seconds=middle,
        interval95=interval,
        samples=len(seconds),
        lost_share=middle / (hold + middle) if hold > 0 else None,
        note=note,
    )


async def _repeat(step: Step) -> list[float]:
    until = time.perf_counter() + SECONDS
    seconds: list[float] = []
    while len(seconds) < SAMPLES and (not seconds or time.perf_counter() < until):
        seconds.append(await step())
    return seconds


async def _dial(dial: Dial) -> float:
    began = time.perf_counter()
    line = await dial()
    seconds = time.perf_counter() - began
    await line.close()
    return seconds


async def _tcp(where: Upstream) -> float:
    began = time.perf_counter()
    _, writer = await _open(where)
    seconds = time.perf_counter() - began
    writer.transport.abort()
    return seconds


async def _tls(where: Upstream, is_postgres: bool) -> float:
    reader, writer = await _open(where)
    try:
        async with asyncio.timeout(_TIMEOUT):
            if is_postgres:
                writer.write(_SSL_REQUEST)
                await reader.readexactly(1)
            context = where.context or _unverified()
            began = time.perf_counter()
            await writer.start_tls(context, server_hostname=where.host or None)
            return time.perf_counter() - began
    except (OSError, EOFError, TimeoutError) as error:
        raise NoLine(f"TLS failed: {type(error).__name__}") from None
    finally:
        writer.transport.abort()


async def _speaks_tls(where: Upstream) -> bool:
    if where.path is not None:
        return False
    reader, writer = await _open(where)
    try:
        async with asyncio.timeout(_TIMEOUT):
            writer.write(_SSL_REQUEST)
            return await reader.readexactly(1) == b"S"
    except (OSError, EOFError, TimeoutError):
        return False
    finally:
        writer.transport.abort()


async def _open(where: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(_TIMEOUT):
            if where.path is not None:
                return await asyncio.open_unix_connection(where.path)
            return await asyncio.open_connection(where.host, where.port)
    except (OSError, TimeoutError) as error:
        raise NoLine(f"no connection: {type(error).__name__}") from None


def _unverified() -> ssl.SSLContext:
    # Only the handshake is timed, nothing is sent over it; libpq's default verifies nothing either.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
