"""What a pool's books say at one moment: frozen records, made from a tap and read by reports."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Literal

from poolkit.drivers.hooks import PoolState
from poolkit.monitor.calls import Call, Site, stuck_behind
from poolkit.monitor.tap import Tap

# held: as it should be; overdue: longer than the limit; left: the task that took it has ended, and
# either it is overdue or whether another task has it now cannot be known; forgotten: nothing in the
# program refers to the connection any more; collected: the same, and the garbage collector gave it
# back.
Fate = Literal["held", "overdue", "left", "forgotten", "collected"]

_RATE_NEEDS = 1.0  # s, least, for a rate


@dataclass(frozen=True, slots=True)
class Holder:
    """A connection that is out: where it was asked for, by which task, and for how long (s)."""

    where: str
    task: str
    seconds: float
    since: datetime
    fate: Fate
    has_ended: bool = False  # the task that took it


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task that waits; `holds` is how many connections of this pool it holds meanwhile.

    Where it holds none, those count that a task holds which cannot go on before this one: `behind`
    is that task's name.
    """

    where: str
    task: str
    seconds: float
    since: datetime
    holds: int
    holds_from: str  # where it asked for the one that it holds; empty: it holds none
    behind: str = ""


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

    It waits itself, or for tasks that do (`gather`, a task group); these count as one with it.
    `floor` is the smallest pool in which `tasks` tasks that hold up to `per_task` connections each
    cannot lock one another out: T * (m - 1) + 1. (Each may hold m - 1; one more lets one finish.)
    """

    tasks: int
    per_task: int
    floor: int
    names: tuple[str, ...]  # of the tasks that hold and wait
    is_through_children: bool = False  # some wait for tasks of theirs that wait for the pool


@dataclass(frozen=True, slots=True)
class Shortage:
    """Calls that got no connection, and what was asked of the pool meanwhile.

    Attributes:
        timeouts: calls that the pool turned away; abandoned: waits that their caller gave up, for a
            limit of its own or because it was cancelled. Both since counting began.
        longest: s that one of them waited.
        asks: calls that asked for a connection within `seconds`, whatever became of them.
        seconds: from the first ask in vain to the last one's end; since counting began where that
            is too short to tell a rate.
        hold_time: s, mean of what came back; None: nothing did.
    """

    timeouts: int
    abandoned: int
    longest: float
    asks: int
    seconds: float
    hold_time: float | None
    where: str  # the last one was asked for

    @property
    def arrival_rate(self) -> float:
        """Calls/s that asked."""
        return self.asks / self.seconds

    @property
    def offered_load(self) -> float | None:
        """Connections that these calls keep busy on average: arrival rate times hold time."""
        return None if self.hold_time is None else self.arrival_rate * self.hold_time


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One pool at one moment; holders and waiters longest first, places by time held.

    `pool_size` None: the pool has no limit. `unheld`: connections that count as in use and that no
    call has. `second_asks`: how often a task asked for a connection
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
    unheld: int = 0
    shortage: Shortage | None = None  # None: every call got its connection

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
        if now - (call.since or now) <= held_longer_than:
            return "held"
        return "left" if call.has_ended_task else "overdue"

    behind = {call: _holding_behind(tap, call) for call in waiting} if tap.holding else {}
    holders = [_holder(tap, call, now, at, fate(key, call)) for key, call in out]
    collected = [_holder(tap, call, call.ended, at, "collected") for call in list(tap.collected)]
    return Snapshot(
        name=name,
        driver=tap.hook.driver,
        at=at,
        pool_size=state.pool_size,
        in_use=state.in_use,
        unheld=tap.hook.unheld(),
        idle=state.idle,
        waiting=len(waiting),
        is_closed=state.is_closed,
        holders=tuple(sorted(holders, key=lambda holder: -holder.seconds)),
        waiters=tuple(
            _waiter(tap, one, behind.get(one, []), now, at)
            for one in sorted(waiting, key=lambda c: c.asked)
        ),
        collected=tuple(collected),
        places=_places(tap),
        second_asks=tap.second_asks,
        timeouts=tap.timeouts,
        shortage=_shortage(tap, now),
        deadlock=_deadlock(state, [call for _, call in out], behind),
    )


def _holder(tap: Tap, call: Call, until: float, at: datetime, fate: Fate) -> Holder:
    since = call.since or until
    began = at - timedelta(seconds=perf_counter() - since)
    where = tap.site_of(call).where
    return Holder(where, call.who, until - since, began, fate, call.has_ended_task)


def _holding_behind(tap: Tap, call: Call) -> list[Call]:
    """First calls of the tasks that hold and cannot go on before `call` has its connection.

    Its own task comes first, where that holds one.
    """
    task = None if call.task is None else call.task()
    if task is None:
        return [] if call.outer is None else [call.outer]
    first = () if call.outer is None else (call.outer,)
    behind = ((outer, tap.holding.get(id(outer))) for outer in stuck_behind(task))
    return [*first, *(one for outer, one in behind if one and one.task and one.task() is outer)]


def _waiter(tap: Tap, call: Call, behind: list[Call], now: float, at: datetime) -> Waiter:
    outer = call.outer or next(iter(behind), None)
    is_own = call.outer is not None
    held = sum(one.task_id == outer.task_id for one in tap.held.values()) if outer else 0
    return Waiter(
        where=tap.site_of(call).where,
        task=call.who,
        seconds=now - call.asked,
        since=at - timedelta(seconds=now - call.asked),
        holds=call.depth - 1 if is_own else held,
        holds_from="" if outer is None else tap.site_of(outer).where,
        behind="" if is_own or outer is None else outer.who,
    )


def _shortage(tap: Tap, now: float) -> Shortage | None:
    vain = tap.in_vain
    if vain is None:
        return None
    asks, seconds = vain.asks - vain.asks_before, vain.until - vain.since
    if seconds < _RATE_NEEDS:
        asks, seconds = tap.asks, now - tap.began
    holds = tap.hold_time
    return Shortage(
        timeouts=tap.timeouts,
        abandoned=tap.abandoned,
        longest=vain.longest,
        asks=asks,
        seconds=seconds,
        hold_time=holds.total / holds.count if holds.count else None,
        where=tap.site_of(vain.last).where,
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


def _deadlock(state: PoolState, out: list[Call], behind: dict[Call, list[Call]]) -> Deadlock | None:
    """Whether nothing can ever come back: the pool is empty and all that hold are waiting.

    Args:
        behind: for each call that waits, the calls of tasks that hold and need it to go on.
    """
    if state.pool_size is None or not out or len(out) < state.pool_size or state.idle:
        return None
    held = Counter(call.task_id for call in out)
    stuck = {call.task_id: call.who for calls in behind.values() for call in calls}
    if not all(call.has_live_task for call in out) or any(task not in stuck for task in held):
        return None
    # The task that is last to go on stands for all that keep it from doing so: they hold together.
    roots = {call.task_id: call.task_id for call in out}
    for waiting, calls in behind.items():
        root = calls[-1].task_id if calls else waiting.task_id
        for task in (waiting.task_id, *(call.task_id for call in calls)):
            roots[task] = root
    families: Counter[int] = Counter()
    for task, count in held.items():
        families[roots[task]] += count
    tasks, per_task = len(set(roots.values())), max(families.values()) + 1
    through = any(call.outer is None and calls for call, calls in behind.items())
    return Deadlock(
        tasks, per_task, pool_locking_floor(tasks, per_task), tuple(stuck.values()), through
    )


def pool_locking_floor(tasks: int, per_task: int) -> int:
    """Smallest pool in which no deadlock is possible: T * (m - 1) + 1.

    Args:
        tasks: T, tasks that use the pool at the same time, 1 or more.
        per_task: m, connections that each may hold at once, 1 or more.
    """
    return tasks * (per_task - 1) + 1
