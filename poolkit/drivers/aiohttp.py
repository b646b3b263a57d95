"""aiohttp's ClientSession as a pool: wait and dial are seen by a connector of our own.

Overriding `connect` costs nothing measurable, where trace hooks cost 15 to 25 % of the throughput.
The dial of a new connection belongs to the hold, since the slot is taken while it lasts; so the
call counts as acquired where the dial begins, or where `connect` returns a kept connection.
"""

from __future__ import annotations

import asyncio
import errno
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import cycle
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import hdrs
from aiohttp.http_exceptions import BadHttpMessage, PayloadEncodingError
from yarl import URL

from poolkit.drivers import replies
from poolkit.drivers.base import DialTimes, PoolStatistics, Stamps
from poolkit.drivers.calls import outcome_of, run_function
from poolkit.drivers.hooks import Hook, PoolState, Tap, of_type, told_ask, told_dial
from poolkit.drivers.http import HttpPool, failure_of_status, limit_per_host
from poolkit.drivers.table import DNS_CACHE, keeps
from poolkit.drivers.variants import NEVER
from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut

if TYPE_CHECKING:
    from types import FrameType

    from aiohttp.abc import ResolveResult
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from poolkit.targets.settings import Binds
    from poolkit.targets.workload import HttpWork

_, KEEPALIVE = keeps("aiohttp")  # s
_MOST_HEADS = 100  # that wait to be read; a reply has one, and one more for each 1xx before it
_MOST_HOSTS = 1000  # of those that a hook remembers; a crawler meets more


class _Call:
    """What the connector learns of a call, carried to it by the task's context.

    A task whose calls share their stamps keeps one for all of them.

    State: how often it asked for a connection, which of those is dialling, 0 where none is, and
    the protocol of the last that it got.
    """

    __slots__ = ("asked", "dials", "protocol", "stamps")

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.asked = 0
        self.dials = 0
        self.protocol: Any = None

    @property
    def is_dialling(self) -> bool:
        """Whether the connection it asked for last is being dialled, or could not be."""
        return self.dials > 0 and self.dials == self.asked

    @property
    def is_cut(self) -> bool:
        """Whether its connection was cut off: a body that ends so may look whole, or broken."""
        return self.protocol is not None and self.protocol.allowance < 0


class _Dial:
    """A dial under way: how long its look-up took (s), and when its TCP connection was up."""

    __slots__ = ("began", "dns", "tcp_up")

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.dns = 0.0
        self.tcp_up = 0.0

    def looked_up(self, since: float) -> None:
        """The name has its addresses; asked for `since`."""
        self.dns += time.perf_counter() - since

    def is_up(self) -> None:
        """A TCP connection stands; of several that were tried the last counts."""
        self.tcp_up = time.perf_counter()

    def times(self, *, has_tls: bool) -> DialTimes:
        """The parts of the dial, which is over."""
        ended = time.perf_counter()
        tcp_up = self.tcp_up if has_tls and self.tcp_up else ended
        return DialTimes(1, self.dns, max(0.0, tcp_up - self.began - self.dns), ended - tcp_up)


_call: ContextVar[_Call | None] = ContextVar("poolkit_aiohttp_call", default=None)
_dial: ContextVar[_Dial | None] = ContextVar("poolkit_aiohttp_dial", default=None)
_connect = aiohttp.TCPConnector.connect


class _Connector(aiohttp.TCPConnector):
    """A TCPConnector that notes when a call holds a connection, and dials `hosts` only."""

    opened = 0
    hosts: frozenset[str | None] = frozenset()

    def __init__(self, *, max_reply: int, **options: Any) -> None:
        super().__init__(**options)
        self._max_reply = max_reply
        self.dial_times = DialTimes(0, 0.0, 0.0, 0.0)
        make = self._factory

        def factory() -> ResponseHandler:
            # Asked for when the TCP connection is up and before TLS begins on it.
            dial = _dial.get()
            if dial is not None:
                dial.is_up()
            return make()

        self._factory = factory  # type: ignore[assignment]

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        call = _call.get()
        if call is None:
            return await _connect(self, req, traces, timeout)
        call.asked += 1
        connection = await _connect(self, req, traces, timeout)
        call.stamps.acquired()
        call.protocol = connection.protocol
        call.protocol.allowance = self._max_reply
        return connection

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        if req.url.host not in self.hosts:
            # The user's function holds the session: it may not carry load to another host.
            raise CallFailed("host_not_allowed")
        call = _call.get()
        if call is not None:
            call.stamps.acquired()
            call.dials = call.asked
        dial = _Dial()
        _dial.set(dial)
        protocol = await super()._create_connection(req, traces, timeout)
        replies.bound(protocol, self._max_reply, protocol.transport)
        _bound_heads(protocol)
        self.dial_times += dial.times(has_tls=req.is_ssl())
        self.opened += 1
        if call is not None:
            call.dials = 0
            call.stamps.dialled()
        return protocol

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        began = time.perf_counter()
        try:
            return await super()._resolve_host(host, port, traces)
        finally:
            dial = _dial.get()
            if dial is not None:
                dial.looked_up(began)


def _bound_heads(protocol: Any) -> None:
    """Cut off a server that sends heads without end, such as 100 Continue, faster than any reader.

    Each becomes an object of 1 KiB and more that waits to be read.
    """
    feed = protocol.feed_data

    def feed_data(reply: Any, size: int = 0) -> None:
        if len(protocol._buffer) > _MOST_HEADS:
            protocol.allowance = 0  # for more bytes, which `replies.bound` counts
        feed(reply, size)

    protocol.feed_data = feed_data


def _response_class(most: int) -> type[aiohttp.ClientResponse]:
    """Responses whose body ends the call once it is larger than `most` bytes."""

    class Inflated(aiohttp.StreamReader):
        """A body that is decompressed on the way: what comes out counts, however it is read."""

        __slots__ = ()

        def set_read_chunk_size(self, n: int) -> None:
            # Else a read of all decompresses all that has come before anything is counted.
            super().set_read_chunk_size(min(n, most))

        def _read_nowait_chunk(self, n: int) -> bytes:
            piece: bytes = super()._read_nowait_chunk(n)
            if self._cursor > most:
                raise replies.too_large()
            return piece

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            await super().start(connection)
            # The transport counts what is sent; only decompressing can make more of it.
            content = self.content
            if hdrs.CONTENT_ENCODING in self.headers and type(content) is aiohttp.StreamReader:
                content.__class__ = Inflated
            return self

    return Response


class AiohttpPool(HttpPool):
    """One aiohttp session that does the same work in every call.

    Args:
        work: the request, or the user's function, which gets the session; redirects of the request
            are not followed, so load never leaves the allowed host.
        pool_size: `limit` of the connector, 1 or more.
        binds: which limit the calls of several hosts are to meet. "limit": connections may all go
            to one host; "limit_per_host": each host has its even share of them, rounded down, at
            least 1. None: both limits are `pool_size`.
        call_timeout: s, most that one call may take, waiting included.
        pool_timeout: s, most that a call may wait for a connection (dial included); None: no limit
            of its own.
        keepalive_timeout: s that an idle connection is kept.
        ttl_dns_cache: s that a looked-up address is kept; None: for ever.
        max_reply: bytes that one call may receive, and its body have once decompressed.
    """

    def __init__(
        self,
        work: HttpWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        pool_timeout: float | None = None,
        keepalive_timeout: float = KEEPALIVE,
        ttl_dns_cache: int | None = DNS_CACHE,
        binds: Binds | None = None,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        super().__init__(work, pool_size, call_timeout, pool_timeout, max_reply)
        self._keepalive_timeout = keepalive_timeout
        self._ttl_dns_cache = ttl_dns_cache
        # One keyword less where there is no body.
        self._options: dict[str, Any] = {"allow_redirects": False}
        if work.body is not None:
            self._options["data"] = work.body
        # Parsed once: a text would be looked up in yarl's cache by every call.
        urls = [URL(url) for url in work.urls]
        self._url = _in_turn(urls, work.order_seed)
        self._hosts = frozenset(url.host for url in urls)
        self._limit_per_host = limit_per_host(pool_size, len({url.origin() for url in urls}), binds)
        self._session: aiohttp.ClientSession | None = None
        self._connector: _Connector | None = None

    async def open(self) -> None:
        """Make the session; aiohttp dials on demand."""
        self._connector = _Connector(
            max_reply=self._max_reply,
            limit=self._pool_size,
            limit_per_host=self._limit_per_host,
            keepalive_timeout=self._keepalive_timeout,
            ttl_dns_cache=self._ttl_dns_cache,
        )
        self._connector.hosts = self._hosts
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            response_class=_response_class(self._max_reply),
            headers=self._work.headers,
            timeout=aiohttp.ClientTimeout(
                total=self._call_timeout,
                connect=self._pool_timeout,
                sock_connect=min(5.0, self._call_timeout),
            ),
        )

    async def call(self, stamps: Stamps) -> None:
        """Send one request and read its whole body, or run the user's function."""
        if self._session is None:
            raise RuntimeError("the pool is not open")
        call = _call.get()
        if call is None or call.stamps is not stamps:
            call = _Call(stamps)
            _call.set(call)
        else:
            call.asked = call.dials = 0
            call.protocol = None
        work = self._work
        try:
            if work.function is not None:
                await run_function(work.function, self._session, self._call_timeout)
                if call.is_cut:
                    raise replies.too_large()
                stamps.acquired()  # where it sent nothing
                stamps.served()
                return
            # `read` gives the connection back; without `async with` there are two coroutines less.
            response = await self._session.request(work.method, self._url(), **self._options)
            try:
                await response.read()
            except BaseException:
                response.close()
                raise
            if call.is_cut:
                raise replies.too_large()
            stamps.served()
            status = response.status
            if status < 200:
                response.close()  # a connection that switches protocols is not given back
            if not self._has_looked:
                self._look_at(response.headers)
        except CallFailed as failure:
            raise outcome_of(
                failure, (aiohttp.ClientError,), lambda error: self._translated(error, call)
            ) from failure.__cause__
        except Exception as error:
            raise self._translated(error, call) from error
        finally:
            if call.asked > 1 and work.function is None:
                # aiohttp repeats an idempotent call once when the kept connection was dead.
                self._disconnects += call.asked - 1
        if not 200 <= status < 300:
            raise failure_of_status(status)

    def _translated(self, error: Exception, call: _Call) -> CallFailed:
        if call.is_cut:
            return replies.too_large()
        # A function's raise_for_status(); an answer that is no HTTP has a cause and no status.
        if isinstance(error, aiohttp.ClientResponseError) and error.__cause__ is None:
            return (
                failure_of_status(error.status)
                if error.status >= 300
                else CallFailed(*_kind(error))
            )
        if isinstance(error, TimeoutError):
            # Pool exhaustion and a dead host raise the same class; only the slot tells them apart.
            is_connect = isinstance(error, aiohttp.ConnectionTimeoutError)
            if not call.stamps.has_acquired or (is_connect and not call.is_dialling):
                return PoolTimedOut("pool_timeout")
            return CallTimedOut("dial_timeout" if call.is_dialling else "call_timeout")
        if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError) or (
            isinstance(error, aiohttp.ClientOSError)
            and error.errno in (errno.ECONNRESET, errno.EPIPE)
        ):
            return self._disconnected(call.stamps)
        return CallFailed(*_kind(error))

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot; idle and in use come from the connector's own books."""
        if self._connector is None:
            return PoolStatistics(self._pool_size, 0, 0, 0, 0, self._disconnects)
        idle = sum(len(kept) for kept in self._connector._conns.values())
        waiting = sum(len(waiters) for waiters in self._connector._waiters.values())
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=len(self._connector._acquired),
            idle=idle,
            waiting=waiting,
            connections_opened=self._connector.opened,
            disconnects=self._disconnects,
            dial_times=self._connector.dial_times,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            # Transports close in the next turns of the loop, before the next trial begins.
            await asyncio.sleep(0)


def _in_turn(urls: list[URL], seed: int | None) -> Callable[[], URL]:
    """The next call's address: one after the other, or drawn evenly where there is a seed."""
    if len(urls) == 1:
        only = urls[0]
        return lambda: only
    if seed is None:
        return cycle(urls).__next__
    choice = random.Random(seed).choice
    return lambda: choice(urls)


def _kind(error: Exception) -> tuple[str, str]:
    """A short stable word and a detail for an error of aiohttp, most specific first."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "host_not_found", str(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "tls_certificate", str(error.certificate_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls", str(error.os_error)
    if isinstance(error, OSError):
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too_many_open_files", ""
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        # Happy eyeballs folds several refusals into one OSError without an errno.
        if cause.errno == errno.ECONNREFUSED or "Connect call failed" in str(cause):
            return "connection_refused", ""
        return "os_error", errno.errorcode.get(cause.errno or 0, type(cause).__name__)
    if isinstance(error, aiohttp.ClientPayloadError):
        why = error.__cause__
        is_short = not isinstance(why, BadHttpMessage) or isinstance(why, PayloadEncodingError)
        # Trailers that are no HTTP are the fault of a head, whenever they are read.
        return "truncated_body" if is_short else aiohttp.ClientResponseError.__name__, ""
    return type(error).__name__, ""


# What a probe tries.


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter by which idle connections are kept `keep` s; None: for ever."""
    del ping
    return {"keepalive_timeout": NEVER if keep is None else keep}


# A service's own session, listened to at `connect` and where connections return.


def hook_of(pool: Any) -> AiohttpHook | None:
    """The hook of a session or connector; None for another object of aiohttp's."""
    connector = pool.connector if isinstance(pool, aiohttp.ClientSession) else pool
    return AiohttpHook(connector) if isinstance(connector, aiohttp.BaseConnector) else None


class AiohttpHook(Hook):
    """One connector; sessions that share it are one pool."""

    driver = "aiohttp"

    def __init__(self, connector: Any) -> None:
        super().__init__(connector)
        self._hosts: set[Any] = set()  # seen so far, as far as they matter

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        connector = self._place
        self._replace(
            connector,
            _poolkit_tap=tap,
            connect=told_ask(
                tap, connector.connect, of_type(TimeoutError), lambda one: id(one.protocol)
            ),
            _create_connection=told_dial(tap, connector._create_connection),
            _release=_told_release(tap, connector._release),
        )

    def state(self) -> PoolState:
        """The connector's own figures; the size is that of the hosts it has spoken to so far."""
        connector = self._place
        # The loop's thread may change these meanwhile; a copy is made at once.
        kept = list(connector._conns.values())
        return PoolState(
            self._size(),
            len(connector._acquired),
            sum(len(idle) for idle in kept),
            connector.closed,
        )

    def _size(self) -> int | None:
        """`limit`, or `limit_per_host` for each host where that is less."""
        connector = self._place
        limit: int | None = connector.limit or None
        each: int = connector.limit_per_host
        if not each:
            return limit
        for key in (*list(connector._acquired_per_host), *list(connector._conns)):
            if len(self._hosts) < _MOST_HOSTS:
                self._hosts.add(key)
        size = each * max(1, len(self._hosts))
        return size if limit is None else min(limit, size)

    def forgotten(self) -> set[int]:
        """Keys of connections that are handed out and that nothing in the program refers to.

        aiohttp keeps a response alive until its body has come, so the garbage collector never
        tells; the count of references does.
        """
        return {
            id(protocol)
            for protocol in list(self._place._acquired)
            for told in _told_at_end(protocol)
            if sys.getrefcount(told.__self__) <= _OF_THE_LIBRARY
        }

    def unclear(self) -> set[int]:
        """Keys of connections without a response that can be found, such as those of WebSockets."""
        return {
            id(protocol) for protocol in list(self._place._acquired) if not _told_at_end(protocol)
        }


def _told_at_end(protocol: Any) -> list[Any]:
    """Methods of responses that aiohttp calls when a body has come; empty: none is on its way."""
    body = getattr(protocol, "_payload", None)
    return [
        told
        for told in getattr(body, "_eof_callbacks", ())
        if isinstance(getattr(told, "__self__", None), aiohttp.ClientResponse)
    ]


class _Referred:
    def told(self) -> None:
        """Stands for a method of a response."""


def _references_of_one() -> int:
    """What `sys.getrefcount` says, counted as in `forgotten`, where one bound method refers."""
    methods: list[Any] = [_Referred().told]
    return next(sys.getrefcount(told.__self__) for told in methods)


_OF_THE_LIBRARY = _references_of_one()


def _told_release(tap: Tap, release: Any) -> Any:
    def _release(key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # What is collected releases itself, or its response does through it.
        frame: FrameType | None = sys._getframe(1)
        if frame is not None and frame.f_code.co_name == "release":
            frame = frame.f_back
        is_collected = frame is not None and frame.f_code.co_name == "__del__"
        release(key, protocol, should_close=should_close)
        tap.back(id(protocol), is_collected=is_collected)

    return _release
