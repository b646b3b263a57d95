"""The right to start a call: hard caps on how many there are and how fast they follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from poolkit import units
from poolkit.errors import BrakeStop
from poolkit.load.brakes import Brakes

BURST = 0.05  # s of calls at the highest rate that may come at once, as when callers begin


class Quota:
    """Hands out permits until a cap is met; `spent` then says which.

    Args:
        now: the clock (s).
        max_calls: most calls that may be started, 1 or more.
        max_rate: most calls/s, counted from the first permit; None: no cap. Up to `burst` calls, or
            0.05 s of calls where that is more, may come at once.
        is_scheduled: whether the calls come by a schedule rather than as fast as they are served.
    """

    def __init__(
        self,
        now: Callable[[], float],
        max_calls: int,
        max_rate: float | None = None,
        burst: int = 1,
        *,
        is_scheduled: bool = False,
    ) -> None:
        self.spent: BrakeStop | None = None
        self._now = now
        self._max_calls = max_calls
        self._max_rate = max_rate
        self._burst = burst
        self._too_fast = _schedule_too_fast if is_scheduled else _endpoint_too_fast

    def permits(self) -> Iterator[None]:
        """One permit a call; shared by all callers, since the caps are on all of them together."""
        if self._max_rate is None:
            return chain(repeat(None, self._max_calls), self._out_of_calls())
        return chain(self._paced(self._max_rate), self._out_of_calls())

    def _out_of_calls(self) -> Iterator[None]:
        self.spent = self.spent or out_of_calls(self._max_calls)
        yield from ()

    def _paced(self, rate: float) -> Iterator[None]:
        burst = max(float(self._burst), BURST * rate, 1.0)
        began = self._now()
        for sent in range(self._max_calls):
            if sent >= burst + rate * (self._now() - began):
                self.spent = self._too_fast(rate)
                return
            yield


def quota_of(
    now: Callable[[], float], brakes: Brakes, callers: int | None, arrival_rate: float | None
) -> Quota:
    """The caps of a trial; raises `BrakeStop` where an open loop's plan is above them.

    Args:
        callers: of a closed loop; None: an open one.
        arrival_rate: what an open loop's plan says; None: nothing, so that its calls are held to
            the cap as they begin, those of 1 s at once.
    """
    most = brakes.max_rate
    if callers is not None:
        return Quota(now, brakes.max_calls, most, burst=callers)
    if most is None:
        return Quota(now, brakes.max_calls)
    if arrival_rate is None:
        return Quota(now, brakes.max_calls, most, burst=math.ceil(most), is_scheduled=True)
    if arrival_rate > most:
        raise BrakeStop(
            "rate",
            f"{arrival_rate:g} calls/s are planned, and max_rate is {most:g}",
            "raise max_rate",
        )
    return Quota(now, brakes.max_calls)


def _endpoint_too_fast(rate: float) -> BrakeStop:
    return BrakeStop(
        "rate",
        f"the endpoint took more than max_rate = {rate:g} calls/s at this size",
        "larger pools would be faster still: raise max_rate, or lower max_size so far that the "
        "curve ends before; finished trials are kept",
    )


def _schedule_too_fast(rate: float) -> BrakeStop:
    return BrakeStop(
        "rate",
        f"the schedule asked for more than max_rate = {rate:g} calls/s",
        "raise max_rate, or spread the arrivals out; what was measured until then is kept",
    )


def out_of_calls(most: int) -> BrakeStop:
    """The stop of a run that may send no further call."""
    return BrakeStop(
        "calls",
        f"{units.plural(most, 'call')} sent, and no more are allowed",
        "raise max_calls, or ask for less with --sizes or --budget; finished trials are kept",
    )
