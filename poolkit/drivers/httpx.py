"""httpx's AsyncClient as a pool, and httpx2's, which has the same interface.

The dial of a new connection belongs to the hold, since its place in the pool is taken meanwhile.
httpx has no time limit for a whole call (its `read` starts anew with every piece), so one is put
around it.

httpx's pool (httpcore's, httpcore2's) tells nobody how long a request waited. Exact: this pool's
own objects are wrapped where the pool hands a request to a connection; the library's classes stay
as they are, and a call pays about a microsecond. Inferred: the first trace event of the request,
which comes a few turns of the event loop after the wait is over.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import inspect
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from poolkit.drivers import replies
from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.drivers.calls import Holds, outcome_of, run_function, timed_out
from poolkit.drivers.hooks import Hook, PoolState, Tap, of_type, tell_failure, told_dial
from poolkit.drivers.http import HttpPool, failure_of_status
from poolkit.drivers.table import keeps
from poolkit.drivers.variants import NEVER
from poolkit.errors import CallFailed, CallTimedOut, PoolTimedOut

if TYPE_CHECKING:
    from poolkit.targets.settings import HttpxLibrary
    from poolkit.targets.workload import HttpWork

DIAL_TIMEOUT = 5.0  # s
_, KEEPALIVE = keeps("httpx")  # s
_NEEDED = ("handle_async_request", "create_connection", "connections", "_max_connections")
_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}


class _Books:
    """What is counted over all calls; `waiting` and `holding` only where waits are inferred."""

    __slots__ = ("holding", "opened", "waiting")

    def __init__(self) -> None:
        self.opened = 0
        self.waiting = 0
        self.holding = 0

    def leave(self, call: _Call) -> None:
        """The call is over, whether it ever held a connection or not."""
        if call.has_slot:
            self.holding -= 1
        else:
            self.waiting -= 1


class _Call:
    """What is learnt of one call, carried to the connection by the task's context."""

    __slots__ = ("has_slot", "is_dialling", "stamps")

    def __init__(self, stamps: Stamps) -> None:
        self.stamps = stamps
        self.has_slot = False
        self.is_dialling = False

    def take_slot(self) -> None:
        """The call holds a connection from here on; the first time counts."""
        if not self.has_slot:
            self.has_slot = True
            self.stamps.acquired()

    def dialled(self) -> None:
        """The connection that the call dialled is up."""
        self.is_dialling = False
        self.stamps.dialled()


_current: ContextVar[_Call | None] = ContextVar("poolkit_httpx_call", default=None)


class _Entrance:
    """Stands before one connection and stamps the request that gets it.

    httpcore 1.0 hands a connection that was just released to every request in its queue, and to
    newcomers; the first to enter has it, the others are sent back to wait. So only a request that
    enters a free connection alone is stamped at once. (One that gets in because the request before
    it was cancelled within those turns is stamped when its answer begins.)

    State: how many requests are inside, from their entry to the head of their answer.
    """

    __slots__ = ("_handle", "_inside", "_is_idle", "_is_new")

    def __init__(self, connection: Any) -> None:
        self._handle: Callable[[Any], Awaitable[Any]] = connection.handle_async_request
        self._is_idle: Callable[[], bool] = connection.is_idle
        self._is_new = True
        self._inside = 0

    async def __call__(self, request: Any) -> Any:
        call = _current.get()
        if call is None:
            return await self._handle(request)
        is_sure = not self._inside and (self._is_new or self._is_idle())
        if is_sure:
            call.take_slot()
        self._is_new = False
        self._inside += 1
        try:
            response = await self._handle(request)
        finally:
            self._inside -= 1
        if not is_sure:
            call.take_slot()
        return response


def _can_watch(pool: Any, origin: Any) -> bool:
    """Whether a pool has everything that `_watch` and exact statistics rely on.

    Args:
        pool: the pool inside a transport, None where there is none.
        origin: any origin; a connection to it is made on trial and never dialled.
    """
    books = ("create_connection", "_connections", "_requests")
    if pool is None or not all(hasattr(pool, name) for name in books):
        return False
    connection = pool.create_connection(origin)
    return all(hasattr(connection, name) for name in ("handle_async_request", "_connect"))


def _watch(pool: Any, books: _Books, hosts: frozenset[bytes]) -> None:
    """Stamp the calls of this one pool from now on, count its dials, and dial `hosts` only."""
    create: Callable[[Any], Any] = pool.create_connection

    def create_connection(origin: Any) -> Any:
        connection = create(origin)
        connect: Callable[[Any], Awaitable[Any]] = connection._connect

        async def dial(request: Any) -> Any:
            _check_host(request.url.host, hosts)
            call = _current.get()
            if call is not None:
                call.is_dialling = True
            stream = await connect(request)  # TLS included
            books.opened += 1
            if call is not None:
                call.dialled()
            return stream

        connection._connect = dial
        connection.handle_async_request = _Entrance(connection)
        return connection

    pool.create_connection = create_connection


def _check_host(host: bytes, hosts: frozenset[bytes]) -> None:
    """The user's function holds the client: it may not carry load to a host that is not meant."""
    if host not in hosts:
        raise CallFailed("host_not_allowed")


def _tracer(books: _Books, hosts: frozenset[bytes]) -> Callable[[Any], Awaitable[None]]:
    """A hook for a client's requests that stamps their calls at the first trace event.

    Requests to another host than `hosts` go nowhere.
    """

    async def on_request(request: Any) -> None:
        _check_host(request.url.raw_host, hosts)
        call = _current.get()
        is_tls = request.url.scheme == "https"
        is_up = "connection.start_tls.complete" if is_tls else "connection.connect_tcp.complete"

        async def trace(event: str, _info: Any) -> None:
            if event == is_up:
                books.opened += 1
            if call is None:
                return
            if not call.has_slot:
                books.waiting -= 1
                books.holding += 1
                call.take_slot()
            if event == "connection.connect_tcp.started":
                call.is_dialling = True
            elif event == is_up:
                call.dialled()

        request.extensions["trace"] = trace

    return on_request


# Bytes that are decompressed at a time: deflate makes 1 MB of 1 KiB at most, brotli far more.
_PIECE, _PIECE_OF_BROTLI = 1024, 64


class _Counted:
    """The decoder of a response that is long, or may become so; ends a call at `most` bytes."""

    def __init__(self, decoder: Any, most: int, encoding: bytes) -> None:
        self.flush = decoder.flush
        self._decoders: list[Any] = getattr(decoder, "children", [decoder])
        self._is_lazy = inspect.isgeneratorfunction(decoder.decode)  # as httpx2's are
        self._piece = _PIECE_OF_BROTLI if b"br" in encoding else _PIECE if encoding else most
        self._raw = self._decoded = most

    def decode(self, data: bytes) -> Any:
        self._raw -= len(data)
        if self._raw < 0:
            raise replies.too_large()
        decoded = self._through(data, 0)
        return decoded if self._is_lazy else b"".join(decoded)

    def _through(self, data: bytes, level: int) -> Iterator[bytes]:
        """What the decoders from this one on make of the data, before it is too much."""
        if level == len(self._decoders):
            self._decoded -= len(data)
            if self._decoded < 0:
                raise replies.too_large()
            yield data
            return
        for at in range(0, len(data), self._piece):
            made = self._decoders[level].decode(data[at : at + self._piece])
            for piece in (made,) if isinstance(made, bytes) else made:
                yield from self._through(piece, level + 1)


def _bounded(handle: Any, most: int) -> Any:
    """A transport's `handle_async_request` whose responses have at most `most` bytes."""

    async def handle_async_request(request: Any) -> Any:
        response = await handle(request)
        try:
            bound(response)
        except BaseException:
            await response.aclose()  # nobody else would give its connection back
            raise
        return response

    def bound(response: Any) -> None:
        length, encoding = None, b""
        for name, value in response.headers.raw:
            key = name.lower()
            if key == b"content-length":
                length = value
            elif key == b"content-encoding":
                encoding += value.lower()
        if length is None or encoding or int(length) > most:
            response._decoder = _Counted(response._get_content_decoder(), most, encoding)

    return handle_async_request


class HttpxPool(HttpPool):
    """One httpx client that does the same work in every call.

    Args:
        work: the request, or the user's function, which gets the client; redirects are not
            followed and proxies of the environment not used, so load never leaves the host.
        pool_size: `max_connections` and `max_keepalive_connections`, 1 or more.
        call_timeout: s, most that one call may take, waiting included.
        pool_timeout: s, most that a call may wait for a connection; None: no limit of its own.
            httpx 0.28 starts it anew whenever a newcomer took the connection.
        keepalive_expiry: s that an idle connection is kept.
        max_keepalive_connections: idle connections kept, where not all of them.
        library: which of the two packages; both may be installed.
        infers_wait: take waits from trace events although the pool could be watched.
        max_reply: bytes that one call may receive, and its body have once decompressed.

    `wait_is_exact` says after `open` whether waits are measured or inferred (0.3 to 3 ms high).
    """

    wait_is_exact: bool = True

    def __init__(
        self,
        work: HttpWork,
        pool_size: int,
        *,
        call_timeout: float = 30.0,
        pool_timeout: float | None = None,
        keepalive_expiry: float = KEEPALIVE,
        max_keepalive_connections: int | None = None,
        library: HttpxLibrary = "httpx",
        infers_wait: bool = False,
        max_reply: int = replies.MAX_REPLY,
    ) -> None:
        super().__init__(work, pool_size, call_timeout, pool_timeout, max_reply)
        self._headers = dict(work.headers) or None
        self._keepalive_expiry = keepalive_expiry
        self._max_keepalive = max_keepalive_connections
        self._core = _CORES[library]
        self._infers_wait = infers_wait
        # Any: the two packages have the same names, and either may be missing.
        self._httpx: Any = importlib.import_module(library)
        anyio = importlib.import_module("anyio")
        self._broken = (
            *(self._httpx.ReadError, self._httpx.WriteError, self._httpx.CloseError),
            # httpcore 1.0 lets these through when TLS breaks off while a request is written.
            *(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError),
        )
        # Parsed once: each call would spend 10 us on it.
        self._url = self._httpx.URL(work.url)
        self._hosts = frozenset(self._httpx.URL(url).raw_host for url in work.urls)
        self._holds: Holds[_Call] = Holds(call_timeout)
        self._client: Any = None
        self._pool: Any = None
        self._books = _Books()

    async def open(self) -> None:
        """Make the client; httpx dials on demand."""
        httpx = self._httpx
        self._holds.start()
        keepalive = self._pool_size if self._max_keepalive is None else self._max_keepalive
        limits = httpx.Limits(
            max_connections=self._pool_size,
            max_keepalive_connections=keepalive,
            keepalive_expiry=self._keepalive_expiry,
        )
        transport = httpx.AsyncHTTPTransport(limits=limits)
        transport.handle_async_request = _bounded(transport.handle_async_request, self._max_reply)
        pool = getattr(transport, "_pool", None)
        origin = importlib.import_module(self._core).Origin(b"http", b"localhost", 80)
        self.wait_is_exact = not self._infers_wait and _can_watch(pool, origin)
        hooks = {}
        if self.wait_is_exact:
            self._pool = pool
            _watch(pool, self._books, self._hosts)
        else:
            hooks["request"] = [_tracer(self._books, self._hosts)]
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(
                # Before the limit of the whole call: a cancelled handshake leaves its socket open.
                connect=min(DIAL_TIMEOUT, 0.9 * self._call_timeout),
                read=self._call_timeout,
                write=self._call_timeout,
                pool=self._pool_timeout,
            ),
            event_hooks=hooks,
            follow_redirects=False,
        )

    async def call(self, stamps: Stamps) -> None:
        """Send one request and read its whole body, or run the user's function."""
        # One coroutine on the way to the client: each further one costs at every turn of the loop.
        work, client = self._work, self._client
        if client is None:
            raise RuntimeError("the pool is not open")
        call = _Call(stamps)
        _current.set(call)
        if not self.wait_is_exact:
            self._books.waiting += 1
        try:
            if work.function is not None:
                await run_function(work.function, client, self._call_timeout)
                stamps.acquired()  # where it sent nothing
                status = 200
            else:
                # One timer looks after all calls: one in each would cost 1 % of a whole call.
                holds = self._holds
                holds.calls[call] = (asyncio.current_task(), holds.deadline)
                try:
                    response = await client.request(
                        work.method, self._url, headers=self._headers, content=work.body
                    )
                except BaseException as error:
                    # Taken back in any case; it is ours unless someone else cancels as well.
                    is_ours = holds.end(call) and timed_out() is not None
                    if is_ours and isinstance(error, asyncio.CancelledError):
                        raise TimeoutError from None
                    raise
                finally:
                    holds.calls.pop(call, None)
                status = response.status_code
                if not self._has_looked:
                    self._look_at(response.headers)
        except CallFailed as failure:
            raise outcome_of(
                failure, (self._httpx.HTTPError,), lambda error: self._translated(error, call)
            ) from failure.__cause__
        except Exception as error:
            raise self._translated(error, call) from error
        finally:
            if not self.wait_is_exact:
                self._books.leave(call)
        # httpx gives the connection back at the body's last byte, so the release takes no time.
        stamps.served()
        if status >= 300:
            raise failure_of_status(status)

    def _translated(self, error: Exception, call: _Call) -> CallFailed:
        httpx = self._httpx
        if isinstance(error, httpx.HTTPStatusError):  # a function's raise_for_status()
            return failure_of_status(error.response.status_code)
        if isinstance(error, httpx.PoolTimeout):
            return PoolTimedOut("pool_timeout")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            if not call.has_slot:
                return PoolTimedOut("pool_timeout")
            is_dial = call.is_dialling or isinstance(error, httpx.ConnectTimeout)
            return CallTimedOut("dial_timeout" if is_dial else "call_timeout")
        if isinstance(error, httpx.RemoteProtocolError):
            # One class for every way in which an answer can be wrong; only its words differ.
            words = str(error).lower()
            if "complete message body" in words:
                return CallFailed("truncated_body")
            if "disconnected" in words or "closed connection" in words:
                return self._disconnected(call.stamps)
        if isinstance(error, self._broken):
            return self._disconnected(call.stamps)
        if isinstance(error, httpx.ConnectError | OSError):
            return CallFailed(*_kind_of_dial_failure(error))
        return CallFailed(type(error).__name__)

    def statistics(self) -> PoolStatistics:
        """A frozen snapshot from the pool's own books; from ours where waits are inferred."""
        books, pool = self._books, self._pool
        if pool is None:
            in_use, waiting = books.holding, books.waiting
            idle = max(0, min(books.opened, self._pool_size) - in_use)
        else:
            idle = sum(connection.is_idle() for connection in pool._connections)
            in_use = len(pool._connections) - idle
            waiting = sum(request.is_queued() for request in pool._requests)
        return PoolStatistics(
            pool_size=self._pool_size,
            in_use=in_use,
            idle=idle,
            waiting=waiting,
            connections_opened=books.opened,
            disconnects=self._disconnects,
        )

    async def close(self) -> None:
        """Close every connection."""
        self._holds.stop()
        if self._client is not None:
            await self._client.aclose()
            # Transports close in the next turns of the loop, before the next trial begins.
            await asyncio.sleep(0)


def _kind_of_dial_failure(error: Exception) -> tuple[str, str]:
    """A short stable word and a detail, from the most telling of the exceptions behind one."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "host_not_found", str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "tls_certificate", cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return "tls", cause.reason or ""
    # Several addresses are tried side by side: each failed in its own way.
    numbers = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    if errno.EMFILE in numbers or errno.ENFILE in numbers:
        return "too_many_open_files", ""
    if errno.ECONNREFUSED in numbers:
        return "connection_refused", ""
    if numbers:
        return "os_error", errno.errorcode.get(numbers[0], "")
    return type(error).__name__, ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it stands for: causes, contexts, members of groups."""
    rest, seen = [error], set()
    while rest:
        one = rest.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        rest += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            rest += one.exceptions


# What a probe tries.


def keeping(keep: float | None, *, ping: bool) -> dict[str, Any]:
    """Arguments of the adapter by which idle connections are kept `keep` s; None: for ever."""
    del ping
    return {"keepalive_expiry": NEVER if keep is None else keep}


# A service's own client, listened to at the pool (httpcore's) below it; httpx2 and httpcore2 alike.
# A request begins to hold where it enters a connection. httpcore may hand one connection to several
# requests: all but the first are sent back and wait on.


def hook_of(pool: Any) -> HttpxHook | None:
    """The hook of an AsyncClient, its transport or httpcore's own pool; None for anything else."""
    for step in ("_transport", "_pool"):
        pool = getattr(pool, step, pool)
    return HttpxHook(pool) if all(hasattr(pool, name) for name in _NEEDED) else None


class HttpxHook(Hook):
    """One httpcore pool; the body of a response tells when it has ended or was collected.

    State: the call of every request on its way.
    """

    driver = "httpx"

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self._tap: Tap | None = None
        self._calls: dict[int, Any] = {}

    def attach(self, tap: Tap) -> None:
        """From now on tell `tap` of every call."""
        pool = self._place
        self._tap = tap
        for connection in pool.connections:
            self._listen(connection)
        create, handle = pool.create_connection, pool.handle_async_request
        errors = sys.modules[type(pool).__module__.partition(".")[0]]
        streams: dict[Any, Any] = {}  # class of a body -> the one that tells

        def create_connection(origin: Any) -> Any:
            return self._listen(create(origin))

        async def handle_async_request(request: Any) -> Any:
            call = tap.ask(sys._getframe(1))
            self._calls[id(request)] = call
            try:
                response = await handle(request)
            except BaseException as error:
                tell_failure(tap, call, error, of_type(errors.PoolTimeout))
                raise
            finally:
                del self._calls[id(request)]
            stream = response.stream
            told = streams.get(type(stream))
            if told is None:
                told = streams[type(stream)] = _told_stream(type(stream), tap)
            stream.__class__ = told
            tap.got(call, id(stream))
            return response

        self._replace(
            pool,
            _poolkit_tap=tap,
            create_connection=create_connection,
            handle_async_request=handle_async_request,
        )

    def detach(self) -> None:
        """Leave the pool as it was."""
        super().detach()
        for connection in self._place.connections:
            for name in ("handle_async_request", "_connect"):
                vars(connection).pop(name, None)
        self._tap = None

    def state(self) -> PoolState:
        """The pool's own figures; a closed pool is an empty one, httpcore tells no more."""
        connections = self._place.connections
        idle = sum(connection.is_idle() for connection in connections)
        size = self._place._max_connections
        return PoolState(
            None if size >= sys.maxsize else size, len(connections) - idle, idle, False
        )

    def unheld(self) -> int:
        """Connections in use that no call has.

        httpcore loses them where a call is cancelled just as it gets one, and where the end of a
        body is: its shield stops anyio's cancellation, not asyncio's.
        """
        pool = self._place
        requests = [one for one in list(pool._requests) if not hasattr(one, "poolkit_is_lost")]
        held = {id(request.connection) for request in requests}
        return sum(not one.is_idle() and id(one) not in held for one in pool.connections)

    def _listen(self, connection: Any) -> Any:
        tap = self._tap
        assert tap is not None
        handle = connection.handle_async_request

        async def handle_async_request(request: Any) -> Any:
            call = self._calls.get(id(request))
            if call is not None:
                tap.takes_slot(call)
            try:
                return await handle(request)
            except Exception as error:
                if call is not None and type(error).__name__ == "ConnectionNotAvailable":
                    tap.waits_again(call)
                raise

        # Not replaced through `_replace`, which would keep every connection that ever was.
        connection._connect = told_dial(tap, connection._connect)  # TLS included
        connection.handle_async_request = handle_async_request
        return connection


def _told_stream(kind: Any, tap: Tap) -> Any:
    """A class of response bodies, made from httpcore's, that tells when the connection is back.

    A body closes itself where its reader is collected, so its own `aclose` must tell, not that of
    something around it.
    """

    async def aclose(stream: Any) -> None:
        is_over = stream._closed
        try:
            await kind.aclose(stream)
        except BaseException:
            stream._pool_request.poolkit_is_lost = True
            raise
        finally:
            if not is_over:
                tap.back(id(stream))

    def collected(stream: Any) -> None:
        if not stream._closed:
            # httpcore knows nothing of it: the connection stays taken for good.
            tap.lose(id(stream))

    return type(kind.__name__, (kind,), {"aclose": aclose, "__del__": collected})
