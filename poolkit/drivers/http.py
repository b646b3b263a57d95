"""What the adapters of HTTP's client libraries share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from poolkit.drivers.base import Facts
from poolkit.errors import CallFailed, CallRejected

if TYPE_CHECKING:
    from poolkit.drivers.base import Stamps
    from poolkit.targets.settings import Binds
    from poolkit.targets.workload import HttpWork

REJECTED_STATUS = (429, 503)
# RFC 2068, 19.7.1.1: Keep-Alive: timeout=5, max=100
_TIMEOUT = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?(\d+)", re.ASCII | re.IGNORECASE)


class HttpPool:
    """The part of a pool that does not depend on the library.

    Args:
        work: the request, or the user's function, which gets the library's client.
        pool_size: most connections that the pool may hold, 1 or more.
        call_timeout: s, most that one call may take, waiting included.
        pool_timeout: s, most that a call may wait for a connection; None: no limit of its own.
        max_reply: bytes that one call may receive, and its body have once decompressed.
    """

    def __init__(
        self,
        work: HttpWork,
        pool_size: int,
        call_timeout: float,
        pool_timeout: float | None,
        max_reply: int,
    ) -> None:
        self._work = work
        self._pool_size = pool_size
        self._call_timeout = call_timeout
        self._pool_timeout = pool_timeout
        self._max_reply = max_reply
        self._disconnects = 0
        self._has_looked = False  # at the headers of a reply, of which the first is enough
        self._keep_alive: float | None = None

    async def facts(self) -> Facts:
        """How long the server says that it keeps an idle connection."""
        return Facts(keep_alive=self._keep_alive)

    def _look_at(self, headers: Mapping[str, str]) -> None:
        """Note what the first reply says of its connection."""
        self._has_looked = True
        self._keep_alive = kept_for(headers.get("Keep-Alive", ""))

    @property
    def pool_size(self) -> int:
        """Most connections that the pool may hold."""
        return self._pool_size

    def _disconnected(self, stamps: Stamps) -> CallFailed:
        """The server closed the connection under the call.

        One that the call has dialled is no kept connection grown old: the server takes the dial and
        turns the call away, as nginx does with `limit_conn_status 444`.
        """
        self._disconnects += 1
        return (CallRejected if stamps.has_dialled else CallFailed)("disconnected")


def kept_for(keep_alive: str) -> float | None:
    """The timeout (s) of a Keep-Alive header; None where it names none."""
    found = _TIMEOUT.search(keep_alive[:200])
    return None if found is None else float(found[1][:9])


def failure_of_status(status: int) -> CallFailed:
    """The outcome of an answer whose status is none of 200 to 299."""
    kind = f"http_{status}"
    return CallRejected(kind) if status in REJECTED_STATUS else CallFailed(kind)


def limit_per_host(pool_size: int, hosts: int, binds: Binds | None) -> int:
    """aiohttp's `limit_per_host` beside a `limit` of `pool_size` (1 or more); 0: none.

    Args:
        hosts: how many hosts (host, port and scheme) share the session, 1 or more.
        binds: the limit that calls are to meet. "limit": none per host. "limit_per_host": an even
            share, rounded down and at least 1, so that `limit` still bounds their sum. None: both
            are the same.
    """
    if binds is None:
        return pool_size
    return 0 if binds == "limit" else max(1, pool_size // hosts)
