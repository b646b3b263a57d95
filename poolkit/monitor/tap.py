"""The books of one live pool: who asks, who waits, who holds, since when, and from which place.

A driver's hook tells the tap of every ask, every connection handed out and every return. What
happens in a call of the pool is written here and nowhere else, and it is short: the watch and the
gauges read it when they are asked.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter, time
from types import FrameType
from typing import Any

from poolkit.drivers.hooks import Hook
from poolkit.monitor.calls import Call, Site, Sites, frames_waiting, outermost, owner_of
from poolkit.monitor.in_use import Counts, InUse
from poolkit.monitor.makers import Makers

_FOLDED = 500  # calls that are counted at once
_APART = 10.0  # s without a call in vain: the next one is of another time
_REMEMBERED = 100  # connections that the garbage collector gave back


# Upper bounds in s; from half a millisecond, since a wait beyond that is worth a look. Waits that
# end at the usual limits of 1 s and 5 s lie just above those, and must not read as 2.5 s or 10 s.
BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 1.1, 2.5, 5.0, 5.5, 10.0),
)


class Buckets:
    """Counts of values in each bucket of `BOUNDS`, the last one beyond them, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one value, 0 or more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """Values in all."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(upper bound as Prometheus writes it, values up to it), `+Inf` last."""
        so_far = 0
        for bound, count in zip((*map(repr, BOUNDS), "+Inf"), tuple(self.counts), strict=True):
            so_far += count
            yield bound, so_far


@dataclass(slots=True)
class InVain:
    """Calls that got no connection, from the first one's ask to the last one's end (perf_counter).

    `asks_before` is how many calls had asked when the first of them did, `asks` how many when the
    last one ended.
    """

    last: Call
    asks_before: int
    since: float
    until: float
    asks: int = 0
    longest: float = 0.0


class Tap:
    """Listens to one pool.

    State: `waiting` by task (a task waits for one connection at a time), `dialling` (they hold a
    slot), `held` by the key of the connection, `holding`: the first call of each task that holds;
    and what is counted since the tap was attached.
    """

    def __init__(self, hook: Hook, sites: Sites) -> None:
        self.hook = hook
        self.sites = sites
        self.makers = Makers(sites)
        self.waiting: dict[int, Call] = {}
        self.dialling: dict[int, Call] = {}
        self.held: dict[int, Call] = {}
        self.holding: dict[int, Call] = {}
        self.collected: deque[Call] = deque(maxlen=_REMEMBERED)
        self._over: deque[Call] = deque()  # over and not counted yet
        self._folding = threading.RLock()
        self._nested = 0  # calls that hold while their task held another one
        self.wait_time = Buckets()
        self.hold_time = Buckets()
        self.dial_time = Buckets()
        self.since = time()  # when counting began, s since 1970
        self.began = perf_counter()
        self.in_use = InUse(self.began)
        self.in_vain: InVain | None = None  # lately; None: every call got its connection
        self.asks = 0
        self.timeouts = 0
        self.abandoned = 0  # waits that their caller gave up: cancelled, or a limit of its own
        self.second_asks = 0
        self.never_returned = 0  # connections that the program dropped
        self.deepest = 1  # most connections that one task held or asked for at once
        self.gate: Any = None  # of a pools.py, in front of the pool
        self.gated: set[Call] = set()  # that wait at the gate, or went through and wait on
        self.watch: Any = None  # the one that reads it
        self._lost = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # that asked last
        self._thread = 0  # in which it ran
        self.users = 0  # watches and gauges that read it

    # -- what the hooks tell ------------------------------------------------------------------

    def ask(self, frame: FrameType | None) -> Call:
        """A task asks for a connection; `frame` leads to the program's own code."""
        asking = self._running()
        task = owner_of(asking)
        if self.gated:
            call = self.waiting.get(id(task))
            if call is not None and call in self.gated:
                # The gate in front of this pool has reported it already.
                return call
        own = self.sites.find(frame, outermost(asking))
        made = None
        if own is None:
            # A task that only asks: the place is where it was made, or else is waited for.
            made = self.makers.line_of(asking)
            if made is None:
                own = next(filter(self.sites.is_own, frames_waiting(asking)), None)
        call = Call(own, task)
        if made is not None:
            call.code, call.offset = made
        if call.task_id in self.holding:
            self._ask_again(call, task)
        self.waiting[call.task_id] = call
        call.number = self.asks = self.asks + 1
        return call

    def got(self, call: Call, key: int) -> None:
        """The call holds the connection `key`."""
        task_id = call.task_id
        if call.since is None:
            call.since = perf_counter()
            self.waiting.pop(task_id, None)
        else:
            self.dialling.pop(task_id, None)
        held = self.held
        if key in held:
            self.lose(key)
        held[key] = call
        out = len(held) + len(self.dialling)
        if out > self.in_use.level:
            self.in_use.rise(call.since, out)
        if call.outer is None:
            self.holding[task_id] = call
        else:
            self._nested += 1

    def failed(self, call: Call, *, is_timeout: bool, is_cancelled: bool) -> None:
        """The call ended without a connection."""
        if call.since is None:
            self.waiting.pop(call.task_id, None)
            self.timeouts += is_timeout
            self.abandoned += is_cancelled
        else:
            self.dialling.pop(call.task_id, None)
        call.ended = perf_counter()
        self._fell(call.ended)
        if call.since is None and (is_timeout or is_cancelled):
            self._asked_in_vain(call)
        self._is_over(call)

    def back(self, key: int, *, is_collected: bool = False) -> None:
        """The connection `key` is back in its pool; unknown ones were taken before the tap."""
        call = self.held.pop(key, None)
        if call is None or call.since is None:
            return
        call.ended = perf_counter()
        under_way = len(self.held) + len(self.dialling) + len(self.waiting)
        self.in_use.fall(call.ended, under_way, not is_collected)
        if self._nested:
            self._let_go(call)
        elif self.holding.get(call.task_id) is call:
            del self.holding[call.task_id]
        if is_collected:
            self._count_lost(call)
            self.collected.append(call)
        self._is_over(call)

    def dial_begins(self) -> float:
        """A dial begins; where a waiting call does it, that call holds a slot from here on."""
        self.has_slot()
        return perf_counter()

    def dial_ends(self, began: float) -> None:
        """The connection is up."""
        self.dial_time.add(perf_counter() - began)

    def has_slot(self) -> None:
        """If the running task waits, it does so no more: it has a slot or a connection."""
        call = self.waiting.get(id(owner_of(self._running())))
        if call is not None:
            self.takes_slot(call)

    def has_no_slot(self) -> None:
        """The connection that the running task had was of no use: it waits for another."""
        call = self.dialling.get(id(owner_of(self._running())))
        if call is not None:
            self.waits_again(call)

    def takes_slot(self, call: Call) -> None:
        """The call waits no more: it holds a slot, and a connection soon."""
        call.since = perf_counter()
        self.waiting.pop(call.task_id, None)
        self.dialling[call.task_id] = call
        self.in_use.rise(call.since, len(self.held) + len(self.dialling))

    def waits_again(self, call: Call) -> None:
        """The call was handed a connection that another one took first."""
        call.since = None
        self.dialling.pop(call.task_id, None)
        self.waiting[call.task_id] = call

    def withdraw(self, call: Call) -> None:
        """The call went through the gate and never asked for a connection."""
        if self.waiting.get(call.task_id) is call:
            del self.waiting[call.task_id]
            self._fell(perf_counter())

    def lose(self, key: int) -> None:
        """The connection `key` was collected, and its slot is taken for good."""
        call = self.held.pop(key, None)
        if call is None:
            return
        # Its place in memory may have a new owner, so it is kept under a key that is no address.
        self._lost += 1
        self.held[-self._lost] = call
        self._count_lost(call)
        self._let_go(call)
        call.outer = None

    # -- what readers ask -----------------------------------------------------------------------

    def fold(self) -> None:
        """Count what is over; readers call it first.

        A call's own path stays short because of this: the sums are made for hundreds of calls in
        one go, in memory that is warm by then.
        """
        # A scrape may come from another thread, and a finalizer in the midst of this.
        with self._folding:
            for call in list(self.held.values()):
                self._count_wait(call)
            over, waited, came_back = self._over, self.wait_time.add, self.hold_time.add
            before: Call | None = None  # mostly of the same site
            while over:
                call = over.popleft()
                since = call.since
                if not call.is_wait_counted:
                    call.is_wait_counted = True
                    waited((call.ended if since is None else since) - call.asked)
                if since is None:
                    continue
                held = call.ended - since
                came_back(held)
                if before is None or call.offset != before.offset or call.code is not before.code:
                    before, site = call, self.sites.at(call.code, call.offset)
                site.calls += 1
                site.held += held
                if held > site.longest:
                    site.longest = held

    def states(
        self, step: Callable[[int], range], size: int | None
    ) -> tuple[Counts, Counts, float]:
        """Seconds and calls that came back by connections in use, 0 upwards, and the peak.

        Args:
            step: the numbers in use that are counted as one, by the lowest of them.
            size: of the pool; None: it has no limit.
        """
        with self._folding:
            return self.in_use.read(perf_counter(), size, step)

    def forgotten(self) -> set[int]:
        """Keys of connections that nothing in the program refers to; each is counted once."""
        keys = self.hook.forgotten()
        for key in keys:
            call = self.held.get(key)
            if call is not None:
                self._count_lost(call)
        return keys

    def _count_lost(self, call: Call) -> None:
        with self._folding:
            if not call.is_lost:
                call.is_lost = True
                self.never_returned += 1

    def _count_wait(self, call: Call) -> None:
        if not call.is_wait_counted:
            call.is_wait_counted = True
            self.wait_time.add((call.ended if call.since is None else call.since) - call.asked)

    def site_of(self, call: Call) -> Site:
        """Where the call was made."""
        return self.sites.at(call.code, call.offset)

    def _is_over(self, call: Call) -> None:
        self._over.append(call)
        if len(self._over) >= _FOLDED:
            self.fold()

    def _fell(self, at: float) -> None:
        under_way = len(self.held) + len(self.dialling) + len(self.waiting)
        self.in_use.fall(at, under_way, False)

    def _running(self) -> asyncio.Task[Any] | None:
        thread = threading.get_ident()
        loop = self._loop if thread == self._thread else None
        task = None if loop is None else asyncio.current_task(loop)
        if task is None:
            # Before Python 3.12 the look-up of the running loop is the slow half of this.
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return None  # httpx runs without asyncio too
            self._loop, self._thread = loop, thread
            self.makers.follow(loop)
            task = asyncio.current_task(loop)
        return task

    def _asked_in_vain(self, call: Call) -> None:
        vain = self.in_vain
        if vain is None or call.asked > vain.until + _APART:
            self.in_vain = vain = InVain(call, call.number - 1, call.asked, call.ended)
        if call.asked < vain.since:  # it asked earlier, with a longer limit
            vain.since, vain.asks_before = call.asked, call.number - 1
        vain.last, vain.until, vain.asks = call, call.ended, self.asks
        vain.longest = max(vain.longest, call.ended - call.asked)

    # -- rare ---------------------------------------------------------------------------------

    def _ask_again(self, call: Call, task: asyncio.Task[Any] | None) -> None:
        outer = self.holding[call.task_id]
        if task is None or outer.task is None or outer.task() is not task:
            # An earlier task of the same id left a connection behind.
            del self.holding[call.task_id]
            return
        # The innermost call that the task still holds.
        for other in list(self.held.values()):
            if other.task_id == call.task_id and other.depth > outer.depth:
                outer = other
        call.outer = outer
        self.deepest = max(self.deepest, call.depth)
        self.second_asks += 1
        self.site_of(call).second_asks += 1

    def _let_go(self, call: Call) -> None:
        """The call holds no more, as far as its task is concerned."""
        if self.holding.get(call.task_id) is call:
            del self.holding[call.task_id]
        if call.outer is not None:
            self._nested -= 1
        if not self._nested:
            return
        # One that the same task asked for meanwhile may still hold: it is the first one now.
        for other in list(self.held.values()):
            if other.outer is call:
                other.outer = call.outer
                if call.outer is None:
                    self._nested -= 1
                    self.holding[other.task_id] = other
                return
