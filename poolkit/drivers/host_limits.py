"""The two limits of a session that serves several hosts: over all of them, and for each."""

from __future__ import annotations

from poolkit.targets.settings import Binds


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
