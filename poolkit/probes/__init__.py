"""Experiments on a live target: idle timeout, checkout costs, stale connections, DNS.

    limit = probe_idle(target, cap=30).idle[0]

Each runs in a thread with an event loop of its own, so that notebooks may call it too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from poolkit.probes.records import Probe, find, read, write

if TYPE_CHECKING:
    from poolkit.probes.run import Part
    from poolkit.targets import Target

# fmt: off
__all__ = [
    "Probe", "find", "probe", "probe_costs", "probe_dns", "probe_idle", "probe_stale", "read",
    "write",
]
# fmt: on


def probe(
    target: Target,
    *,
    cap: float = 75.0,
    only: Sequence[Part] = ("idle", "costs", "stale", "dns"),
    size: int | None = None,
    in_transaction: bool = False,
) -> Probe:
    """Everything that the probes find about a target.

    Args:
        cap: s that an idle connection is watched at most, 1 to 3600.
        only: which of `idle`, `costs`, `stale`, `dns`.
        size: the pool size at which lost throughput is measured; None: a rule of thumb.
        in_transaction: whether sessions that idle in a transaction are probed as well.

    Where it is not done by its deadline, what was found until then is returned as `stopped`.

    Raises:
        Unreachable: the first call failed, so nothing else was sent.
        BadInput: a value is out of its range, or a library is missing.
    """
    from poolkit.probes.run import ProbeRun

    run = ProbeRun(target, cap=cap, only=only, size=size, in_transaction=in_transaction)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(run.run_to_deadline())
        except BaseException as error:  # raised again below, in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=work, name="poolkit-probe", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return run.probe


def probe_idle(target: Target, *, cap: float = 75.0, in_transaction: bool = False) -> Probe:
    """How long idle connections are kept, and the settings that follow, proven."""
    return probe(target, cap=cap, only=("idle",), in_transaction=in_transaction)


def probe_costs(target: Target, *, size: int | None = None) -> Probe:
    """What a checkout and a dial cost, in time and in throughput."""
    return probe(target, only=("costs",), size=size)


def probe_stale(target: Target) -> Probe:
    """What each setting lets through when every connection is cut."""
    return probe(target, only=("stale",))


def probe_dns(target: Target) -> Probe:
    """What a changed DNS record means to the driver."""
    return probe(target, only=("dns",))
