"""Which size to try at the target rate next, and which one to recommend: pure decisions.

The search begins at the predicted size, which a trial must confirm. From then on it goes where
prediction and measurement together say that the smallest good size is: up by as much as the late
calls of the trials so far ask for, down where they leave much room. It stops when the smallest size
that is surely good has passed and the next smaller one is not likely to be good too, or when the
seconds are used up.

One trial is a bad judge of a size near the edge: where 0.75 % of the calls wait too long, a trial
of 5 s passes the limit of 1 % three times in four, and where 2 % do, still one time in three. So a
size passes *clearly* when its own trials stay within the limit and the belief built on all of them
says that it is good with a probability of SURE. A size that hovers does not, and the next larger
one stays. Trials have arrivals of their own: common ones would make sizes easier to tell apart,
which the model does already, and would leave all trials with the same luck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.analysis.curve import Curve
from poolkit.measure.verify.belief import Belief, belief
from poolkit.measure.verify.evidence import (
    RESPONSE_ALLOWANCE,
    answers_late,
    failed_share,
    meets,
    of_size,
    tally,
)
from poolkit.records import Sizing, Trial
from poolkit.targets.objective import Objective

SURE = 0.7  # probability of being good at which a size passes
WORTH_A_LOOK = 0.45  # the same at which a smaller size deserves a trial of its own
# Share of late replies that leaves room for a connection less: half of what is allowed, because one
# trial is a bad judge at the limit and no model of the replies stands beside it.
ROOM = RESPONSE_ALLOWANCE / 2
MOST_LOOKS = 3  # at a smaller size that neither clearly passes nor fails: it hovers
MOST_TRIALS = 8
MOST_STEP = 0.25  # of a size, upwards at once: a trial that the machine disturbed must not leap


@dataclass(frozen=True, slots=True)
class Step:
    """A size to try (again) at the target rate, and why."""

    pool_size: int
    because: str


class Search:
    """What the trials so far say; made anew for each decision, from them alone.

    Args:
        trials: of one target, of every purpose, in order.
        most: largest size that one pool may have.
    """

    def __init__(
        self, trials: Sequence[Trial], objective: Objective, sizing: Sizing, most: int
    ) -> None:
        if sizing.size is None:
            raise ValueError("nothing to verify: the sizing has no size")
        self._objective = objective
        self._first = sizing.size
        self._decided_by = "replies" if sizing.limited_by == "response" else "waits"
        self._most = max(sizing.size, most)
        sizes = sorted({t.pool_size for t in trials if t.purpose == "verify"})
        self._tried = {size: of_size(trials, size, "verify") for size in sizes}
        self._least = _least(self._tried, objective, sizing)
        curve = Curve.fit(sizing.points)
        self._belief: Belief = belief(
            _shares(sizing) if objective.wait_p99 is not None else {},
            [
                tally(done, objective, _busy(curve, objective, size))
                for size, done in self._tried.items()
            ],
        )

    def next_step(self) -> Step | None:
        """The size to try now; None when the answer is found or enough was tried."""
        if not self._tried:
            return Step(self._first, f"{_connections(self._first)} at the target rate")
        if sum(len(done) for done in self._tried.values()) >= MOST_TRIALS:
            return None
        wanted = self._wanted()
        last = max(self._tried)
        if wanted > last:
            wanted = min(wanted, max(last + 1, math.floor(last * (1 + MOST_STEP))))
            seen = "is too near the limit" if self._passed(last) else "waited too long"
            return Step(wanted, f"{last} {seen}, {_connections(wanted)}")
        if wanted not in self._tried:
            return Step(wanted, f"{self._decided_by} leave room, {_connections(wanted)}")
        if not self._passed(wanted):
            if self._has_failed(wanted):
                return None  # the largest of all: no repeat changes that
            return Step(wanted, f"{_connections(wanted)} again, too near the limit to tell")
        less = wanted - 1
        looks = len(self._tried.get(less, ()))
        may_do = less >= self._least and looks < MOST_LOOKS and not self._has_failed(less)
        if may_do and self._holds(less) >= WORTH_A_LOOK:
            again = " again" if less in self._tried else ""
            return Step(less, f"{_connections(less)}{again}: may be enough as well")
        return None

    def chosen(self) -> int:
        """The size to recommend: the smallest that clearly passed, else the best there is."""
        passed = [size for size in self._tried if self._passed(size)]
        clearly = [size for size in passed if self._holds(size) >= SURE and self._has_room(size)]
        if clearly:
            return min(clearly)
        if passed:
            return max(passed, key=self._holds)
        return min(self._tried, key=self._failing, default=self._first)

    def _wanted(self) -> int:
        """The smallest size that is good with a probability of SURE, tried or not."""
        for size in range(self._least, self._most):
            if self._holds(size) >= SURE and not self._has_failed(size):
                return size
        return self._most

    def _has_room(self, size: int) -> bool:
        """Whether replies were in time by far, at a size that prediction thought too small."""
        return size >= self._first or answers_late(self._tried[size], self._objective) <= ROOM

    def _has_failed(self, size: int) -> bool:
        """Whether repeats did not make the size pass, or it is far from being good."""
        if size not in self._tried or self._passed(size):
            return False
        return len(self._tried[size]) >= 2 or self._holds(size) < 0.5

    def _holds(self, size: int) -> float:
        return self._belief.holds(size, self._objective.allowance)

    def _passed(self, size: int) -> bool:
        return meets(self._tried[size], self._objective)

    def _failing(self, size: int) -> float:
        """By how much a size failed: the mean share of late calls in its trials."""
        done = self._tried[size]
        return sum(failed_share(t, self._objective.wait_p99) for t in done) / len(done)


def _least(tried: Mapping[int, Sequence[Trial]], objective: Objective, sizing: Sizing) -> int:
    """The smallest size that may be tried.

    Waits are all that the belief knows of. Where the response time asks for the size, it is gone
    below by one connection at a time, each after a size whose replies were in time by far. What the
    floor and headroom ask for is no question of load and is not gone below. A size whose replies
    came late asks for a larger one.
    """
    assert sizing.size is not None, "only asked where there is a size"
    least = objective.floor
    if sizing.headroom or sizing.limited_by not in ("wait", "plateau", "response"):
        least = max(least, sizing.size)
    elif sizing.limited_by == "response" or objective.wait_p99 is None:
        in_time = [n for n, done in tried.items() if meets(done, objective)]
        smallest = min(in_time, default=sizing.size)
        has_room = smallest in tried and answers_late(tried[smallest], objective) <= ROOM
        least = max(least, min(smallest, sizing.size) - has_room)
    late = [n for n, done in tried.items() if answers_late(done, objective) > RESPONSE_ALLOWANCE]
    return max([least, *(n + 1 for n in late)])


def _shares(sizing: Sizing) -> dict[int, float]:
    """The model's P(wait > target) by size; 1 where the pool does not carry the rate."""
    return {
        one.pool_size: 1.0 if one.exceedance is None else one.exceedance
        for one in sizing.predictions
    }


def _busy(curve: Curve, objective: Objective, pool_size: int) -> float:
    """The share of its throughput that the upstream is asked for with pools of this size."""
    connections = min(max(pool_size * objective.pools_left, curve.smallest), curve.largest)
    return objective.rate / curve.throughput(connections)


def _connections(size: int) -> str:
    return units.plural(size, "connection")
