"""httpx's AsyncClient as a pool, and httpx2's, which has the same interface.

The dial of a new connection belongs to the hold, since its place in the pool is taken meanwhile.
httpx has no time limit for a whole call (its `read` starts anew with every piece), so one is put
around it.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import anyio

from poolkit.drivers.base import PoolStatistics, Stamps
from poolkit.drivers.holds import Holds, timed_out
from poolkit.drivers.httpx_moments import Books, Call, can_watch, current, tracer, watch
from poolkit.drivers.user_function import outcome_of, run_function
from poolkit.errors import CallFailed, CallRejected, CallTimedOut, PoolTimedOut
from poolkit.targets.settings import HttpxLibrary
from poolkit.targets.workload import HttpWork

REJECTED_STATUS = (429, 503)
DIAL_TIMEOUT = 5.0  # s
KEEPALIVE = 5.0  # s, httpx's own default
_CORES = {"httpx": "httpcore", "httpx2": "httpcore2"}


class HttpxPool:
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
    ) -> None:
        self._work = work
        self._headers = dict(work.headers) or None
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._pool_timeout = pool_timeout
        self._keepalive_expiry = keepalive_expiry
        self._max_keepalive = max_keepalive_connections
        self._core = _CORES[library]
        self._infers_wait = infers_wait
        # Any: the two packages have the same names, and either may be missing.
        self._httpx: Any = importlib.import_module(library)
        # Parsed once: each call would spend 10 us on it.
        self._url = self._httpx.URL(work.url)
        self._hosts = frozenset(self._httpx.URL(url).raw_host for url in work.urls)
        self._holds: Holds[Call] = Holds(call_timeout)
        self._client: Any = None
        self._pool: Any = None
        self._books = Books()
        self._disconnects = 0

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

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
        pool = getattr(transport, "_pool", None)
        origin = importlib.import_module(self._core).Origin(b"http", b"localhost", 80)
        self.wait_is_exact = not self._infers_wait and can_watch(pool, origin)
        hooks = {}
        if self.wait_is_exact:
            self._pool = pool
            watch(pool, self._books, self._hosts)
        else:
            hooks["request"] = [tracer(self._books, self._hosts)]
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
        call = Call(stamps)
        current.set(call)
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
            raise _of_status(status)

    def _translated(self, error: Exception, call: Call) -> CallFailed:
        httpx = self._httpx
        if isinstance(error, httpx.HTTPStatusError):  # a function's raise_for_status()
            return _of_status(error.response.status_code)
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
                return self._disconnected()
        if isinstance(
            error,
            httpx.ReadError
            | httpx.WriteError
            | httpx.CloseError
            # httpcore 1.0 lets these through when TLS breaks off while a request is written.
            | anyio.EndOfStream
            | anyio.BrokenResourceError
            | anyio.ClosedResourceError,
        ):
            return self._disconnected()
        if isinstance(error, httpx.ConnectError | OSError):
            return CallFailed(*_kind_of_dial_failure(error))
        return CallFailed(type(error).__name__)

    def _disconnected(self) -> CallFailed:
        self._disconnects += 1
        return CallFailed("disconnected")

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


def _of_status(status: int) -> CallFailed:
    kind = f"http_{status}"
    return CallRejected(kind) if status in REJECTED_STATUS else CallFailed(kind)


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
