"""What a pool's books say at one moment: frozen records, made from a tap and read by reports."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Literal

from poolkit.drivers.hooks import PoolState
from poolkit.monitor.calls import Call, Site
from poolkit.monitor.tap import Tap

# held: as it should be; overdue: longer than the limit; left: the task that took it has ended, and
# whether another one has it now cannot be known; forgotten: nothing in the program refers to the
# connection any more; collected: the same, and the garbage collector gave it back.
Fate = Literal["held", "overdue", "left", "forgotten", "collected"]


@dataclass(frozen=True, slots=True)
class Holder:
    """A connection that is out: where it was asked for, by which task, and for how long (s)."""

    where: str
    task: str
    seconds: float
    since: datetime
    fate: Fate


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task that waits; `holds` is how many connections of this pool it holds meanwhile."""

    where: str
    task: str
    seconds: float
    since: datetime
    holds: int
    holds_from: str  # where it asked for the one that it holds; empty: it holds none


@dataclass(frozen=True, slots=True)
class Place:
    """A call site over time: calls that came back, their hold times (s), second asks."""

    where: str
    calls: int
    held: float
    longest: float
    second_asks: int

    @property
    def mean(self) -> float | None:
        """s that a call from here holds its connection; None before one came back."""
        return self.held / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Every connection is held by a task that waits for another: no task can ever go on.

    `floor` is the smallest pool in which `tasks` tasks that hold up to `per_task` connections each
    cannot lock one another out: T * (m - 1) + 1. (Each may hold m - 1; one more lets one finish.)
    """

    tasks: int
    per_task: int
    floor: int
    names: tuple[str, ...]  # of the tasks that hold and wait


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One pool at one moment; holders and waiters longest first, places by time held.

    `pool_size` None: the pool has no limit. `second_asks`: how often a task asked for a connection
    while it held one, deadlock or not.
    """

    name: str
    driver: str
    at: datetime
    pool_size: int | None
    in_use: int
    idle: int
    waiting: int
    is_closed: bool
    holders: tuple[Holder, ...]
    waiters: tuple[Waiter, ...]
    collected: tuple[Holder, ...]
    places: tuple[Place, ...]
    second_asks: int
    timeouts: int
    deadlock: Deadlock | None

    @property
    def never_came_back(self) -> tuple[Holder, ...]:
        """Connections held longer than the limit, left by their task, or dropped."""
        out = tuple(holder for holder in self.holders if holder.fate != "held")
        return out + self.collected


def take(tap: Tap, name: str, held_longer_than: float) -> Snapshot:
    """Read the books.

    Args:
        held_longer_than: s from which a connection that is out counts as overdue.
    """
    tap.fold()
    now, at = perf_counter(), datetime.now(UTC)
    state = tap.hook.state()
    forgotten, unclear = tap.forgotten(), tap.hook.unclear()
    waiting = list(tap.waiting.values())
    out = [*tap.held.items(), *((0, call) for call in list(tap.dialling.values()))]

    def fate(key: int, call: Call) -> Fate:
        if key < 0 or key in forgotten:
            return "forgotten"
        if key in unclear and not call.has_live_task:
            return "left"
        return "overdue" if now - (call.since or now) > held_longer_than else "held"

    holders = [_holder(tap, call, now, at, fate(key, call)) for key, call in out]
    collected = [_holder(tap, call, call.ended, at, "collected") for call in list(tap.collected)]
    return Snapshot(
        name=name,
        driver=tap.hook.driver,
        at=at,
        pool_size=state.pool_size,
        in_use=state.in_use,
        idle=state.idle,
        waiting=len(waiting),
        is_closed=state.is_closed,
        holders=tuple(sorted(holders, key=lambda holder: -holder.seconds)),
        waiters=tuple(_waiter(tap, one, now, at) for one in sorted(waiting, key=lambda c: c.asked)),
        collected=tuple(collected),
        places=_places(tap),
        second_asks=tap.second_asks,
        timeouts=tap.timeouts,
        deadlock=_deadlock(state, [call for _, call in out], waiting),
    )


def _holder(tap: Tap, call: Call, until: float, at: datetime, fate: Fate) -> Holder:
    since = call.since or until
    began = at - timedelta(seconds=perf_counter() - since)
    return Holder(tap.site_of(call).where, call.who, until - since, began, fate)


def _waiter(tap: Tap, call: Call, now: float, at: datetime) -> Waiter:
    return Waiter(
        where=tap.site_of(call).where,
        task=call.who,
        seconds=now - call.asked,
        since=at - timedelta(seconds=now - call.asked),
        holds=call.depth - 1,
        holds_from="" if call.outer is None else tap.site_of(call.outer).where,
    )


def _places(tap: Tap) -> tuple[Place, ...]:
    sites: dict[str, list[Site]] = defaultdict(list)
    for site in tap.sites:
        sites[site.where].append(site)
    places = (
        Place(
            where,
            calls=sum(site.calls for site in found),
            held=sum(site.held for site in found),
            longest=max(site.longest for site in found),
            second_asks=sum(site.second_asks for site in found),
        )
        for where, found in sites.items()
    )
    return tuple(sorted(places, key=lambda place: -place.held))


def _deadlock(state: PoolState, out: list[Call], waiting: list[Call]) -> Deadlock | None:
    """Whether nothing can ever come back: the pool is empty and all that hold are waiting."""
    if state.pool_size is None or not out or len(out) < state.pool_size or state.idle:
        return None
    held = Counter(call.task_id for call in out)
    stuck = {call.task_id: call for call in waiting if call.outer is not None}
    if not all(call.has_live_task for call in out) or any(task not in stuck for task in held):
        return None
    tasks = len({*held, *(call.task_id for call in waiting)})
    per_task = max(held[task] for task in stuck) + 1
    names = tuple(call.who for call in stuck.values())
    return Deadlock(tasks, per_task, pool_locking_floor(tasks, per_task), names)


def pool_locking_floor(tasks: int, per_task: int) -> int:
    """Smallest pool in which no deadlock is possible: T * (m - 1) + 1.

    Args:
        tasks: T, tasks that use the pool at the same time, 1 or more.
        per_task: m, connections that each may hold at once, 1 or more.
    """
    return tasks * (per_task - 1) + 1
