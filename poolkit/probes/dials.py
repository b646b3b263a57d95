"""Times what a new connection costs: the look-up of its name, TCP, TLS, and the whole dial."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any

from scipy.stats import binom

from poolkit.drivers.parameters.findings import Cost
from poolkit.probes.line import Dial, NoLine, Upstream
from poolkit.records import Interval

CONFIDENCE = 0.95
SAMPLES = 15
SECONDS = 6.0  # for all samples of one kind, at most
_TIMEOUT = 5.0  # s


def median_interval(values: Sequence[float]) -> tuple[float, Interval | None]:
    """The median and its 95 % interval by order statistics; None below 6 values.

    The number of values below the true median is Binomial(n, 1/2), so the k-th smallest and k-th
    largest enclose it with P = 1 - 2 P(B < k), whatever the distribution (Conover, Practical
    Nonparametric Statistics, 3.2).
    """
    ordered = sorted(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5))
    return median(ordered), None if rank < 1 else (ordered[rank - 1], ordered[-rank])


def cost_of(seconds: Sequence[float], **fields: Any) -> Cost:
    """The cost that these times, or differences, speak for."""
    middle, interval = median_interval(seconds)
    return Cost(seconds=middle, interval95=interval, samples=len(seconds), **fields)


def is_address(host: str) -> bool:
    """Whether the host is written as an address, so that nothing is looked up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def dial_costs(
    dial: Dial, where: Upstream, *, tls_request: bytes, hold: float
) -> tuple[list[Cost], dict[str, str]]:
    """The costs of a new connection, each against a call that holds its own for `hold` s.

    Args:
        tls_request: asks for TLS, the answer being S; empty: the handshake comes first.

    Raises:
        NoLine: the target takes no connection.
    """
    steps = {
        "dial": (lambda: _dial(dial), "all of it, login too"),
        "TCP": (lambda: _tcp(where), "part of the dial"),
    }
    skipped = {}
    if await _accepts_tls(where, tls_request):
        steps["TLS handshake"] = (lambda: _tls(where, tls_request), "part of the dial")
    else:
        skipped["TLS handshake"] = "the target is reached without TLS"
    if where.path is not None or is_address(where.host):
        skipped["DNS look-up"] = "the target is named by an address"
    else:
        steps["DNS look-up"] = (lambda: _look_up(where), "part of the dial, unless it is cached")
    costs = [await _cost(name, step, hold, note) for name, (step, note) in steps.items()]
    return costs, skipped


async def look_up(host: str, port: int) -> tuple[float, int]:
    """s that the system's resolver takes for a name, its cache included, and the addresses found.

    Raises:
        NoLine: it fails, or does not answer within 5 s.
    """
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_TIMEOUT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NoLine(f"the name cannot be looked up: {type(error).__name__}") from None
    return time.perf_counter() - began, len({entry[4][0] for entry in found})


async def _cost(name: str, step: Callable[[], Awaitable[float]], hold: float, note: str) -> Cost:
    until = time.perf_counter() + SECONDS
    seconds: list[float] = []
    while len(seconds) < SAMPLES and (not seconds or time.perf_counter() < until):
        seconds.append(await step())
    cost = cost_of(seconds, name=name, per="dial", note=note)
    share = cost.seconds / (hold + cost.seconds) if hold > 0 else None
    return cost.model_copy(update={"lost_share": share})


async def _look_up(where: Upstream) -> float:
    seconds, _ = await look_up(where.host, where.port)
    return seconds


async def _dial(dial: Dial) -> float:
    began = time.perf_counter()
    line = await dial()
    seconds = time.perf_counter() - began
    await line.close()
    return seconds


async def _tcp(where: Upstream) -> float:
    began = time.perf_counter()
    _, writer = await where.dial(with_tls=False)
    seconds = time.perf_counter() - began
    writer.transport.abort()
    return seconds


async def _accepts_tls(where: Upstream, request: bytes) -> bool:
    if where.context is not None:
        return True
    return bool(request) and where.path is None and await _tls(where, request) > 0.0


async def _tls(where: Upstream, request: bytes) -> float:
    """s of a handshake; 0 where the target declines the request for one."""
    reader, writer = await where.dial(with_tls=False)
    try:
        async with asyncio.timeout(_TIMEOUT):
            writer.write(request)
            if request and await reader.read(1) != b"S":
                return 0.0
            context = where.context or _unverified()
            began = time.perf_counter()
            await writer.start_tls(context, server_hostname=where.host or None)
            return time.perf_counter() - began
    except (OSError, EOFError) as error:
        raise NoLine(f"TLS failed: {type(error).__name__}") from None
    finally:
        writer.transport.abort()


def _unverified() -> ssl.SSLContext:
    # Only the handshake is timed, nothing is sent over it; libpq's default verifies nothing either.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
