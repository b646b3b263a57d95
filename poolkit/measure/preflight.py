"""What is checked before any load: does the first call work, does the pool fit."""

from __future__ import annotations

import asyncio
import math
import resource
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from poolkit.drivers.base import Facts, HasConnectionBudget, HasFacts, close_pool
from poolkit.drivers.registry import make_pool
from poolkit.drivers.table import Kind
from poolkit.errors import BadInput, CallFailed, Cancelled, Unreachable
from poolkit.load.stamps import CallStamps
from poolkit.load.watch import SETTLE, leak
from poolkit.measure.parent import is_orphan
from poolkit.measure.verify import OVERLOAD
from poolkit.targets import Target
from poolkit.targets.endpoint import astray

T = TypeVar("T")

FIRST_CALL_TIMEOUT = 10.0  # s
SPARE_DESCRIPTORS = 32  # beside the pool: logs, timers, look-ups of names, the next pool's dials

_READ_ONLY = (
    "poolkit keeps transactions read-only; where the statement may really write to this database, "
    "say read_only = false"
)
_LOGIN = "the endpoint wants a login; choose one that answers this machine"
_SHEDS = "the server sheds load before any was sent; try when it is quiet"
_CLOSED: Mapping[Kind, str] = {
    "http": "the server closed the connection: check that the port speaks HTTP",
    "postgres": "the server ended the session: see its log for why, and whether it was restarted",
    "redis": "the server closed the connection: see its log, and that the port speaks Redis",
}
# Where a failure has no remedy of its own.
_BY_HAND: Mapping[Kind, str] = {
    "http": "check the target's url",
    "postgres": "try the statement in psql with this DSN",
    "redis": "try the command in redis-cli with this URL",
}
_REMEDIES = {
    "connection_refused": "check host and port, and that the server runs",
    "host_not_found": "check the host name for typing errors, and that this machine resolves it",
    "dial_timeout": "check host and port, and that a firewall lets this machine through",
    "call_timeout": "the endpoint took longer than 10 s; try a lighter one",
    "tls_certificate": "the certificate is not valid for this host name or not trusted here",
    "tls": "check that the port speaks TLS, or write http:// instead of https://",
    "too_large": "a call may receive max_reply: raise it where the reply is meant to be so large, "
    "or measure a call that asks for less",
    "too_many_open_files": "raise the limit with: ulimit -n 4096",
    "too_many_connections": "lower max_size, or free connections on the server",
    "no_transactions": "let the pooler lend its connections for a transaction: in PgBouncer "
    "pool_mode = transaction",
    "ReadOnlySqlTransaction": _READ_ONLY,
    "ReadOnlySQLTransactionError": _READ_ONLY,
    "http_3": "redirects are not followed: point url at the address that answers 200",
    "http_401": _LOGIN,
    "http_403": _LOGIN,
    "http_429": _SHEDS,
    "http_503": _SHEDS,
}


def check_descriptors(target: Target) -> None:
    """Refuse a pool that this process has no file descriptors for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = psutil.Process().num_fds() + target.max_size + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and needed > soft:
        raise BadInput(
            f"max_size = {target.max_size} needs about {needed} open files, and this process may "
            f"open {soft}",
            f"run: ulimit -n {max(4096, 2 * needed)}, or lower max_size",
        )


def check_caps(target: Target) -> None:
    """Refuse a target that could not be measured under its own caps."""
    over = OVERLOAD if target.push else 1.0
    most, rate = target.max_rate, over * target.rate
    # The product of three decimals may lie a rounding error above the one that was meant.
    if most is not None and rate > most * (1 + 1e-9):
        times = f"{over:g} times " * target.push + "target_rate"
        times += " with its growth" * (target.growth > 1)
        raise BadInput(
            f"max_rate = {most:g}, but a size is verified at up to {rate:g} calls/s ({times})",
            f"set max_rate = {math.ceil(rate)} or more, or lower target_rate",
        )
    first = first_calls(target)
    if target.max_calls is not None and target.max_calls < first:
        raise BadInput(
            f"max_calls = {target.max_calls}, but the first calls alone, one to each address, are "
            f"{first}",
            f"set max_calls = {first + 1} or more",
        )


def first_calls(target: Target) -> int:
    """How many calls `check_first_call` sends."""
    return max(1, len(target.addresses))


@dataclass(frozen=True, slots=True)
class FirstCall:
    """What one call, before any load, showed.

    Attributes:
        seconds: how long it took (s).
        facts: of the server.
        free: connections that the server has left, the call's own among them; None: it does not
            say, or a pooler stands before it.
    """

    seconds: float
    facts: Facts
    free: int | None = None


def check_room(target: Target, first: FirstCall) -> None:
    """Refuse more connections than a server has left: a sweep must not take its last ones.

    `max_size` is of all generators together, and whoever coordinates them decides, once and before
    anything of ours but the first call is connected: what a generator would count as in use are the
    other generators and the watch at the server's side.
    """
    if first.free is not None and target.max_size > first.free:
        raise BadInput(
            f"max_size = {target.max_size}, but {target.endpoint} has {first.free} free "
            "connections (max_connections less those reserved and in use)",
            f"set max_size = {max(1, first.free)} or less for this target, or raise "
            "max_connections",
        )


async def check_first_call(target: Target) -> FirstCall:
    """Send one call to each address; of several the slowest counts, and the shortest keep-alive.

    A server that does not answer the first call properly gets no load at all: `Unreachable` with
    the remedy. Nor is one sent for a parent that is gone: `Cancelled`.
    """
    if is_orphan():
        raise Cancelled
    await check_names(target)
    if len(target.addresses) < 2:
        return await _first_call(target)
    one = {"urls": (), "sweep": None, "url_order": "turn"}
    calls = [
        await _first_call(target.model_copy(update={**one, "url": url})) for url in target.addresses
    ]
    kept = [call.facts.keep_alive for call in calls if call.facts.keep_alive is not None]
    # One that does not say how long it keeps a connection may keep it for less than the others.
    facts = Facts(keep_alive=min(kept) if len(kept) == len(calls) else None)
    return FirstCall(max(call.seconds for call in calls), facts)


async def check_names(target: Target) -> None:
    """Refuse a name of this machine that leads to another one by now."""
    if moved := await asyncio.to_thread(astray, target.hosts):
        cause, _, remedy = moved.partition(": ")
        raise Unreachable(cause, remedy)


async def _first_call(target: Target) -> FirstCall:
    pool = make_pool(target, 1, call_timeout=FIRST_CALL_TIMEOUT)
    await pool.open()
    try:
        began = time.perf_counter()
        call = pool.call(CallStamps(time.perf_counter, 0.0))
        await _within(call, FIRST_CALL_TIMEOUT + 1.0)
        seconds = time.perf_counter() - began
        if target.work is not None:
            await asyncio.sleep(SETTLE)
            if kept := pool.statistics().in_use:
                raise BadInput(*leak(target.work, kept))
        facts = await pool.facts() if isinstance(pool, HasFacts) else Facts()
        spare = None
        if isinstance(pool, HasConnectionBudget):
            spare = await _within(pool.spare_connections(), FIRST_CALL_TIMEOUT)
    except CallFailed as failure:
        raise Unreachable(*_explained(target, failure)) from failure
    except TimeoutError as error:
        raise Unreachable(
            f"{target.endpoint} did not answer within {FIRST_CALL_TIMEOUT:g} s",
            _REMEDIES["dial_timeout"]
            if target.work is None
            else f"{target.work} does not end, not even when it is cancelled: let CancelledError "
            "through, and give what it waits for a time limit",
        ) from error
    finally:
        await close_pool(pool)
    return FirstCall(seconds, facts, None if spare is None else spare + 1)


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of the work, or `TimeoutError`; work that resists its cancellation is left."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        raise TimeoutError
    return task.result()


def _explained(target: Target, failure: CallFailed) -> tuple[str, str]:
    kind = failure.kind
    if kind.startswith("http_"):
        cause = f"the first call to {target.endpoint} answered HTTP {kind.removeprefix('http_')}"
        other = "open the address in a browser or with curl; load needs an endpoint that works"
        return cause, _REMEDIES.get(kind) or _REMEDIES.get(kind[: len("http_3")], other)
    detail = f" ({failure.detail})" if failure.detail else ""
    cause = f"the first call to {target.endpoint} failed: {kind.replace('_', ' ')}{detail}"
    if kind == "disconnected":
        return cause, _CLOSED[target.kind]
    if target.work is not None and kind not in _REMEDIES:
        return cause, f"{target.work} is what failed: call it by itself, and see where it does"
    return cause, _REMEDIES.get(kind, _BY_HAND[target.kind])
