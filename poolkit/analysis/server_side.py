"""What was seen of the server's side while trials ran, and what that says of the bound.

Two tiers: a pooler lends its connections to the server to clients. Whoever waits there is held up
by the pooler's own limit, unless the server has no room either. And inside a PostgreSQL its own
sessions say what they wait for (PostgreSQL documentation, "The Cumulative Statistics System", table
of wait events), which is what bounds a server that is the bound.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from poolkit import units
from poolkit.records import (
    PoolerSettings,
    PoolerTier,
    ServerWaits,
    TierMoment,
    Trial,
)

MOMENTS = 10  # slices of a window that are kept
FEWEST = 3  # samples, before anything is read from them: a climb is cut short in half a second
WAITS = 0.5  # share of the samples in which a client waits, from which on the pooler holds it up
# d ln X / d ln n up to the pooler's limit, from which on the server had room: 1 where connections
# work side by side, 0 on its plateau.
ROOM = 0.5
CHIEF = 0.5  # share of the busy sessions that names the bound
NAMED = 0.2  # share of the waits for locks that names a relation
ON_CPU = "CPU"
IN_TRANSACTION = "Client:InTransaction"
_ROW_LOCKS = ("Lock:transactionid", "Lock:tuple")
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(_ROW_LOCKS, "row locks"),
    "Lock:relation": "table locks",
    "Lock:advisory": "advisory locks",
    "Lock:extend": "locks to extend its tables",
    "IO:WALSync": "writing its log (WAL)",
    "IO:WalSync": "writing its log (WAL)",
    "IO:WALWrite": "writing its log (WAL)",
    "IO:WalWrite": "writing its log (WAL)",
    "LWLock:WALWrite": "writing its log (WAL)",
    "IO:DataFileRead": "reading its data files",
    "Timeout:PgSleep": "statements that sleep (pg_sleep)",
    ON_CPU: "its processors",
    IN_TRANSACTION: "transactions in which it waits for the client",
}


class TierSample(NamedTuple):
    """One look at a pooler: clients and its connections to the server, at `at` s."""

    at: float
    clients_active: int
    clients_waiting: int
    servers_active: int
    servers_idle: int
    longest_wait: float  # s


class WaitSample(NamedTuple):
    """One look at a PostgreSQL: busy sessions by what they wait for, lock waits by relation."""

    at: float
    waits: Mapping[str, int]
    locks: Mapping[str, int]


def tier(
    samples: Sequence[TierSample], begin: float, end: float, settings: PoolerSettings
) -> PoolerTier | None:
    """The samples of a window (`begin` to `end`, s) as one; None where it has none."""
    seen = [sample for sample in samples if begin <= sample.at < end]
    if not seen:
        return None
    width = (end - begin) / MOMENTS
    slices: dict[int, list[TierSample]] = {}
    for sample in seen:
        slices.setdefault(min(MOMENTS - 1, int((sample.at - begin) / width)), []).append(sample)
    return PoolerTier(
        samples=len(seen),
        clients_waiting=_mean([s.clients_waiting for s in seen]),
        waiting_share=_mean([s.clients_waiting > 0 for s in seen]),
        servers_active=_mean([s.servers_active for s in seen]),
        servers_most=max(s.servers_active + s.servers_idle for s in seen),
        longest_wait=max(s.longest_wait for s in seen),
        settings=settings,
        moments=tuple(
            TierMoment(
                at=begin + (index + 0.5) * width,
                clients_active=_mean([s.clients_active for s in part]),
                clients_waiting=_mean([s.clients_waiting for s in part]),
                servers_active=_mean([s.servers_active for s in part]),
                servers_idle=_mean([s.servers_idle for s in part]),
                longest_wait=max(s.longest_wait for s in part),
            )
            for index, part in sorted(slices.items())
        ),
    )


def waits(samples: Sequence[WaitSample], begin: float, end: float) -> ServerWaits | None:
    """The samples of a window (`begin` to `end`, s) as one; None where it has none."""
    seen = [sample for sample in samples if begin <= sample.at < end]
    if not seen:
        return None
    events: Counter[str] = Counter()
    locks: Counter[str] = Counter()
    for sample in seen:
        events.update(sample.waits)
        locks.update(sample.locks)
    total = events.total()
    return ServerWaits(
        samples=len(seen),
        sessions=total / len(seen),
        waits={event: count / total for event, count in events.most_common()},
        locks={relation: min(1.0, count / total) for relation, count in locks.most_common()}
        if total
        else {},
    )


def bound_by(trials: Sequence[Trial]) -> tuple[str, str] | None:
    """What the busy sessions of these trials waited for most, and the figures; None: cannot say.

    `trials` are those in which the server was at its limit.
    """
    seen = [
        trial.server_side.waits
        for trial in trials
        if trial.server_side is not None and trial.server_side.waits is not None
    ]
    total = sum(one.samples * one.sessions for one in seen)
    samples = sum(one.samples for one in seen)
    if samples < FEWEST or total < samples:  # fewer than one session was busy: it is not the server
        return None
    kinds: dict[str, float] = defaultdict(float)
    locks: dict[str, float] = defaultdict(float)
    for one in seen:
        weight = one.samples * one.sessions / total
        for event, part in one.waits.items():
            kinds[kind_of_wait(event)] += part * weight
        for relation, part in one.locks.items():
            locks[relation] += part * weight
    kind, most = max(kinds.items(), key=lambda item: item[1])
    if most < CHIEF:
        return None
    words = kind
    if kind in ("row locks", "table locks"):
        chief = sorted(locks, key=lambda name: -locks[name])[:2]
        named = [name for name in chief if locks[name] >= NAMED * sum(locks.values())]
        words += f" on {units.listed(named)}" if named else ""
    busy = units.number(total / samples)
    return words, f"its busy sessions, {busy} on average, spent {units.share(most)} on {kind}"


def kind_of_wait(event: str) -> str:
    """What an event is a wait for, in words."""
    family, _, name = event.partition(":")
    other = {
        "Lock": f"locks ({name})",
        "IO": f"its disk ({name})",
        "LWLock": f"contention inside the server ({name})",
        "BufferPin": "pages that others hold",
        "IPC": f"its other processes ({name})",
        "Client": f"the client ({name})",
    }
    return _KINDS.get(event) or other.get(family, event)


def at_gauge(trials: Sequence[Trial]) -> tuple[str | None, str] | None:
    """What a query of the reader's own names by its labels, and its figure; None: none was asked.

    Of the trial with the most connections that has one: the server was at its limit there.
    """
    seen = [t for t in trials if t.server_side is not None and t.server_side.gauge is not None]
    if not seen:
        return None
    most = max(seen, key=lambda trial: trial.connections)
    assert most.server_side is not None
    gauge = most.server_side.gauge
    assert gauge is not None
    by = ", ".join(f"{name} {value}" for name, value in gauge.labels.items()) or None
    words = f"{gauge.query} gave {units.number(gauge.value)}{f' for {by}' if by else ''}"
    return by, f"{words} at {units.plural(most.connections, 'connection')}"


class AtPooler(NamedTuple):
    """Clients that wait in the pooler: whether the server had room meanwhile, and the figures."""

    has_room: bool
    words: str


def at_pooler(trials: Sequence[Trial], curve: Mapping[int, float]) -> AtPooler | None:
    """What clients that wait in the pooler mean; None where none do, or nothing was seen of it.

    The server had room where throughput still grew with its connections as far as the pooler lends
    any: then the limit is the pooler's. A single connection cannot be compared with fewer; a server
    that serves one call at a time is taken to have room for a second.

    Args:
        trials: those in which clients do not wait for the pooler are left out.
        curve: connections in use -> calls/s.
    """
    tiers = [trial.pooler_tier for trial in trials]
    held = [tier for tier in tiers if tier is not None and tier.waiting_share >= WAITS]
    if sum(tier.samples for tier in held) < FEWEST:
        return None
    lent = max(tier.servers_most for tier in held)
    worst = max(held, key=lambda tier: tier.clients_waiting)
    words = (
        f"on average {units.number(worst.clients_waiting)} of the clients wait in the pooler, up "
        f"to {units.milliseconds(worst.longest_wait)} each, while {_all_lent(worst, lent)}"
    )
    if lent <= 1:
        return AtPooler(True, f"{words}: one call at a time reaches it")
    below = sorted(n for n, throughput in curve.items() if 0 < n <= lent and throughput > 0)
    if len(below) < 2:
        return None
    more = below[-1]
    less = max((n for n in below if n <= more / 2), default=below[0])
    slope = math.log(curve[more] / curve[less]) / math.log(more / less)
    grew = (
        f"from {less} to {units.plural(more, 'connection')} it went from "
        f"{units.rate(curve[less])} to {units.rate(curve[more])}"
    )
    if slope >= ROOM:
        return AtPooler(True, f"{words}; up to there the server's throughput grew: {grew}")
    return AtPooler(False, f"{words}; more of them would bring little: {grew}")


def _all_lent(seen: PoolerTier, lent: int) -> str:
    """That the pooler lends all that it may, and the setting that says how many, where it shows."""
    settings = seen.settings
    size, reserve, most = (
        settings.pool_size,
        settings.reserve_pool_size or 0,
        settings.max_db_connections,
    )
    setting = ""
    if most and lent >= most:
        setting = f" (max_db_connections = {most})"
    elif size and size <= lent <= size + reserve:
        setting = f" (default_pool_size = {size}"
        setting += f", {lent - size} of reserve_pool_size)" if lent > size else ")"
    return f"all of its {units.plural(lent, 'connection')} to the server are lent{setting}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
