"""Finds out what a changed DNS record means to a driver: how long it dials the old address.

aiohttp keeps an answer for `ttl_dns_cache` s, whatever the record's own TTL says; the others ask
the system's resolver at each dial. A kept connection follows no record at all.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from poolkit import units
from poolkit.drivers.parameters.findings import NameFinding
from poolkit.drivers.table import DRIVERS
from poolkit.probes.dials import is_address, look_up, median_interval
from poolkit.probes.line import ANSWER, OnStep, Upstream, quiet
from poolkit.probes.relay import Relay
from poolkit.probes.settings import wire_of
from poolkit.targets import Target
from poolkit.targets.workload import HttpWork

OLD, NEW = "127.0.0.1", "127.0.0.2"  # both this machine; the name below exists nowhere
NAME = "changed-record.test"
TTL_TRIED = 1  # s; the rule does not depend on it, and 10 s would only take longer
KEPT_CALLS = 10
_EVERY = 0.1  # s between two dials
_LOOK_UPS = 10
_MOST = 5.0  # s


async def probe_names(target: Target, on_step: OnStep = quiet) -> NameFinding | str:
    """Time look-ups, and where the driver keeps addresses change a record under a session.

    A text says why not.

    Raises:
        NoLine: the name cannot be looked up.
    """
    on_step("looking up the name", _MOST)
    where = wire_of(target).upstream(target)
    if isinstance(where, str):
        return where
    if where.path is not None or is_address(target.host):
        seen = "the target is named by an address, so no record can change"
        return NameFinding(host=target.host, is_address=True, seen=seen)
    looks = [await look_up(where.host, where.port) for _ in range(_LOOK_UPS)]
    lookup, _ = median_interval([seconds for seconds, _ in looks])
    finding = NameFinding(
        host=target.host,
        is_address=False,
        lookup=lookup,
        addresses=max(addresses for _, addresses in looks),
        seen=(
            f"{target.driver} keeps no answer: each dial asks the system's resolver "
            f"({units.milliseconds(lookup)}); a kept connection follows no record: "
            f"{_end_kept(target)}"
        ),
    )
    if not DRIVERS[target.driver].keeps_addresses:
        return finding
    on_step("changing a record", _MOST)
    return await _change(target, where, finding)


def _end_kept(target: Target) -> str:
    """What takes a connection that is in use off a retired address."""
    row = DRIVERS[target.driver]
    if row.has_lifetime:
        name = next((idle.name for idle in row.idle if idle.from_dial), "max_lifetime")
        return f"{name} ends it at that age, so set it to what you can bear"
    return (
        f"{target.driver} ends none by age, so have the retired server close its connections, or "
        "replace the pool now and then"
    )


class _Record:
    """A resolver for aiohttp that leads every name to one IPv4 address, which can be changed."""

    address = OLD

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[dict[str, Any]]:
        place = {"hostname": host, "host": self.address, "port": port, "family": socket.AF_INET}
        return [place | {"proto": 0, "flags": socket.AI_NUMERICHOST}]

    async def close(self) -> None:
        """Nothing is held."""

    def change(self) -> None:
        self.address = NEW


async def _change(target: Target, where: Upstream, finding: NameFinding) -> NameFinding | str:
    import aiohttp

    from poolkit.probes.http import request

    record = _Record()
    try:
        async with Relay(where, hosts=(OLD, NEW)) as relay:
            work = request(target, relay.port, NAME)
            old_for, kept_on_old = await watch_change(
                work, relay, record, record.change, ttl=TTL_TRIED
            )
    except aiohttp.ClientError as error:
        return f"a call through the relay failed: {type(error).__name__}"
    except OSError:
        return f"this machine has no second loopback address ({NEW}), or a call took too long"
    if old_for is None:
        return "no dial reached the new address"
    seen = (
        f"after a record changed, new dials went to the old address for {old_for:.1f} s with "
        f"ttl_dns_cache = {TTL_TRIED} s, whatever the record's own TTL; on a kept connection "
        f"{kept_on_old} of {KEPT_CALLS} calls still did: {_end_kept(target)}"
    )
    if target.ttl_dns_cache is not None and target.ttl_dns_cache > TTL_TRIED:
        seen += f"; the {target.ttl_dns_cache} s of targets.toml lead new dials there for so long"
    times = {"ttl": float(TTL_TRIED), "old_for": old_for}
    calls = {"kept_calls": KEPT_CALLS, "kept_on_old": kept_on_old}
    return finding.model_copy(update={**times, **calls, "seen": seen})


async def watch_change(
    work: HttpWork, relay: Relay, resolver: Any, change: Callable[[], None], *, ttl: int
) -> tuple[float | None, int]:
    """How long (s) new dials go to OLD after `change`, and how many calls on a kept connection do.

    `resolver`, one of aiohttp's, leads the URL's name to OLD before the change and to NEW after it,
    where `relay` listens. None: no dial went to NEW within `ttl` and 3 s.
    """
    import aiohttp

    def session(**options: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(resolver=resolver, ttl_dns_cache=ttl, **options)
        return aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=ANSWER)
        )

    async def call(session: aiohttp.ClientSession) -> None:
        async with session.request(
            work.method, work.url, headers=work.headers, data=work.body, allow_redirects=False
        ) as response:
            await response.read()

    async with session(limit=1) as keeping, session(force_close=True) as dialling:
        await call(keeping)
        await call(dialling)
        change()
        changed = time.monotonic()
        old_for = None
        while time.monotonic() - changed < ttl + 3.0:
            await call(dialling)
            if relay.taken[NEW]:
                old_for = time.monotonic() - changed
                break
            await asyncio.sleep(_EVERY)
        dials = relay.taken.total()
        for _ in range(KEPT_CALLS):
            await call(keeping)
        # A kept connection that was used went where it always went; a new one counts as moved.
        moved = relay.taken.total() - dials
    return old_for, KEPT_CALLS - min(moved, KEPT_CALLS)
