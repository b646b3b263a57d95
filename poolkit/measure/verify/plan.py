"""Which size to try at the target rate next, and which one to recommend: pure decisions.

The search begins at the predicted size, which a trial must confirm. From then on it goes where
prediction and measurement together say that the smallest good size is: up by as much as the late
calls of the trials so far ask for, down where they leave much room. It stops when the smallest size
that is surely good has passed and the next smaller one is not likely to be good too, or when the
seconds are used up. The chosen size is then tried above the target rate.

One trial is a bad judge of a size near the edge: where 0.75 % of the calls wait too long, a trial
of 5 s passes the limit of 1 % three times in four, and where 2 % do, still one time in three. So a
size passes *clearly* when its own trials stay within the limit and the belief built on all of them
says that it is good with a probability of SURE. A size that hovers does not, and the next larger
one stays. Trials have arrivals of their own: common ones would make sizes easier to tell apart,
which the model does already, and would leave all trials with the same luck.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit import units
from poolkit.analysis.curve import Curve
from poolkit.analysis.state_curve import curve_of
from poolkit.measure.sweep import TrialPlan
from poolkit.measure.verify.as_soon import served_as_soon
from poolkit.measure.verify.evidence import (
    LEAST_CALLS,
    RESPONSE_ALLOWANCE,
    answers_late,
    belief,
    failed_share,
    latest,
    meets,
    of_size,
    tally,
)
from poolkit.records import Sizing, Trial
from poolkit.targets.objective import Objective

OVERLOAD = 1.2  # times the target rate
LEAST_SECONDS = 4.0
FEWEST_CALLS = 500  # of a trial for which little time is left
MOST_SECONDS = 12.0
OVERLOAD_SECONDS = 2.5
CALM_SECONDS = 2.0  # of half the target rate after the overload
SETTLED = 0.5  # share of the calm after which the overload's queue should be gone
CROWD = 4  # callers for each connection
CROWD_SECONDS = 1.2
WARM_UP = 1.0  # s: an open loop starts with an empty queue and an empty pool

SURE = 0.7  # probability of being good at which a size passes
WORTH_A_TRIAL = 0.45  # the same at which a smaller size deserves a trial of its own
# Share of late replies at which a connection less may do: half of what is allowed, because one
# trial is a bad judge at the limit and no model of the replies stands beside it.
FAR_IN_TIME = RESPONSE_ALLOWANCE / 2
MOST_ATTEMPTS = 3  # at a smaller size that neither clearly passes nor fails: it hovers
MOST_TRIALS = 8
MOST_STEP = 0.25  # of a size, upwards at once: a trial that the machine disturbed must not leap


def next_trial(
    trials: Sequence[Trial],
    objective: Objective,
    sizing: Sizing,
    *,
    left: float,
    gate: bool = False,
    beyond: bool = True,
) -> TrialPlan | None:
    """The verification to run now, or None when it is finished.

    `trials` are the open-loop trials so far and `left` the seconds of load that may still be spent;
    the predicted size is verified in any case. `gate`: whether the target has a gate, whose effect
    is then shown. `beyond`: whether the chosen size is also tried beyond the target rate, which
    ends the search.
    """
    if sizing.size is None:
        return None
    search = Search(trials, objective, sizing)
    done = {trial.purpose for trial in trials}
    after = 0.0
    if beyond and search.has_answer:
        after = WARM_UP + OVERLOAD_SECONDS + CALM_SECONDS + (2 * CROWD_SECONDS if gate else 0.0)
    seconds = _seconds(objective, left - after)
    may_search = "verify" not in done or left >= seconds + after
    if "overload" not in done and may_search and (step := search.next_step()):
        size, because = step
        return at_target(size, objective, because, left - after)
    if not beyond:
        return None
    chosen = search.chosen()
    if latest(trials, chosen, "overload") is None:
        return TrialPlan(
            "overload",
            chosen,
            WARM_UP,
            WARM_UP + OVERLOAD_SECONDS + CALM_SECONDS,
            f"verify: {_connections(chosen)} at {OVERLOAD:g} times the target rate, then half",
            pools=objective.pools_left,
            rate=OVERLOAD * objective.rate,
            calm=CALM_SECONDS,
        )
    shown = {trial.gate is not None for trial in of_size(trials, chosen, "fairness")}
    gated = next((g for g in (False, True) if gate and g not in shown), None)
    if gated is None:
        return None
    return TrialPlan(
        "fairness",
        chosen,
        0.0,  # those who starve began at once and are not to be cut off
        CROWD_SECONDS,
        f"verify: {CROWD} callers for each of {_connections(chosen)}, "
        f"{'with' if gated else 'without'} the gate",
        callers=CROWD * chosen,
        gated=gated,
    )


def at_target(
    pool_size: int, objective: Objective, because: str, left: float = math.inf
) -> TrialPlan:
    """The trial that verifies one size: the target rate, on the pools that are left to carry it.

    Args:
        because: why this size.
        left: s of load that may still be spent; a trial that tells anything takes more at need.
    """
    return TrialPlan(
        "verify",
        pool_size,
        WARM_UP,
        _seconds(objective, left),
        f"verify: {because}",
        pools=objective.pools_left,
        rate=objective.rate,
    )


def _seconds(objective: Objective, left: float) -> float:
    """The length of a trial at the target rate, warm-up included: enough calls for a p99."""
    least = min(MOST_SECONDS, max(LEAST_SECONDS, FEWEST_CALLS / objective.rate))
    seconds = min(MOST_SECONDS, max(LEAST_SECONDS, LEAST_CALLS / objective.rate))
    return WARM_UP + max(least, min(seconds, left - WARM_UP))


def calm_rate(overload_rate: float) -> float:
    """Half the target rate, from the rate of the overload before it (calls/s)."""
    return overload_rate / OVERLOAD / 2.0


def chosen_size(trials: Sequence[Trial], objective: Objective, sizing: Sizing) -> int:
    """The size to recommend: the smallest that clearly passed, else the one that came closest."""
    return Search(trials, objective, sizing).chosen()


class Search:
    """What the trials so far say; made anew for each decision, from them alone.

    Args:
        trials: of one target, of every purpose, in order.
    """

    def __init__(self, trials: Sequence[Trial], objective: Objective, sizing: Sizing) -> None:
        if sizing.size is None:
            raise ValueError("nothing to verify: the sizing has no size")
        self._objective = objective
        self._first = sizing.size
        self._decided_by = "replies" if sizing.limited_by == "response" else "waits"
        self._most = max(sizing.size, min(objective.largest, _taken(sizing, objective)))
        sizes = sorted({t.pool_size for t in trials if t.purpose == "verify"})
        self._tried = {size: of_size(trials, size, "verify") for size in sizes}
        self._is_late = {
            size: objective.asks_as_soon
            and not served_as_soon(trials, size, objective, sizing).passed
            for size in sizes
        }
        self._least = self._smallest_allowed(sizing)
        curve = curve_of(sizing)
        # The model's P(wait > target) by size; 1 where the pool does not carry the rate.
        shares = {
            row.pool_size: 1.0 if row.exceedance is None else row.exceedance
            for row in sizing.predictions
            if objective.wait_p99 is not None
        }
        self._belief = belief(
            shares,
            [
                tally(done, objective, _utilisation(curve, objective, size))
                for size, done in self._tried.items()
            ],
        )

    @property
    def has_answer(self) -> bool:
        """Whether a size clearly passed."""
        return any(map(self._clearly_passed, self._tried))

    def next_step(self) -> tuple[int, str] | None:
        """The size to try (again), and why; None when the answer is found or enough was tried."""
        if not self._tried:
            return self._first, f"{_connections(self._first)} at the target rate"
        if sum(len(done) for done in self._tried.values()) >= MOST_TRIALS:
            return None
        # The smallest size that is good with a probability of SURE, tried or not.
        wanted = next((n for n in range(self._least, self._most) if self._is_sure(n)), self._most)
        last = max(self._tried)
        if wanted > last:
            if self._passed_by_far(last) and len(self._tried[last]) == 1:
                return last, f"{_connections(last)} again: enough by far, and the curve asks more"
            wanted = min(wanted, max(last + 1, math.floor(last * (1 + MOST_STEP))))
            why = "is too near the limit" if self._passed(last) else "waited too long"
            return wanted, f"{last} {why}, {_connections(wanted)}"
        if wanted not in self._tried:
            return wanted, f"{self._decided_by} leave room, {_connections(wanted)}"
        if not self._passed(wanted):
            if self._has_failed(wanted):
                return None  # the largest of all: no repeat changes that
            return wanted, f"{_connections(wanted)} again, too near the limit to tell"
        less = wanted - 1
        attempts = len(self._tried.get(less, ()))
        may_do = less >= self._least and attempts < MOST_ATTEMPTS and not self._has_failed(less)
        if may_do and self._holds(less) >= WORTH_A_TRIAL:
            again = " again" if less in self._tried else ""
            return less, f"{_connections(less)}{again}: may be enough as well"
        return None

    def chosen(self) -> int:
        """The size to recommend: the smallest that clearly passed, else the best there is."""
        clearly = list(filter(self._clearly_passed, self._tried))
        if clearly:
            return min(clearly)
        passed = [size for size in self._tried if self._passed(size)]
        if passed:
            return max(passed, key=self._holds)
        return min(self._tried, key=self._mean_failed_share, default=self._first)

    def _clearly_passed(self, size: int) -> bool:
        return self._passed(size) and self._holds(size) >= SURE and self._is_far_in_time(size)

    def _smallest_allowed(self, sizing: Sizing) -> int:
        """The smallest size that may be tried.

        Waits are all that the belief knows of. Where the response time asks for the size, it is
        gone below by one connection at a time, each after a size whose replies were in time by far.
        What the floor and headroom ask for is no question of load and is not gone below. A size
        whose replies came late asks for a larger one.
        """
        objective, first = self._objective, self._first
        least = objective.floor
        late = {size: answers_late(done, objective) for size, done in self._tried.items()}
        asks_more = sizing.limited_by not in ("wait", "plateau", "response")
        # What serves callers as soon the curve tells, and no trial: 2 % are within its noise.
        if sizing.headroom or asks_more or objective.asks_as_soon:
            least = max(least, first)
        elif sizing.limited_by == "response" or objective.wait_p99 is None:
            smallest = min(filter(self._passed, self._tried), default=first)
            may_shrink = late.get(smallest, 1.0) <= FAR_IN_TIME
            least = max(least, min(smallest, first) - may_shrink)
        return max([least, *(n + 1 for n, share in late.items() if share > RESPONSE_ALLOWANCE)])

    def _is_far_in_time(self, size: int) -> bool:
        """Whether replies were in time by far, at a size that prediction thought too small."""
        return (
            size >= self._first or answers_late(self._tried[size], self._objective) <= FAR_IN_TIME
        )

    def _has_failed(self, size: int) -> bool:
        """Whether repeats did not make the size pass, or it is far from being good."""
        if size not in self._tried or self._passed(size):
            return False
        return len(self._tried[size]) >= 2 or self._holds(size) < 0.5

    def _is_sure(self, size: int) -> bool:
        return self._holds(size) >= SURE and not self._has_failed(size)

    def _holds(self, size: int) -> float:
        return self._belief.holds(size, self._objective.allowance)

    def _passed(self, size: int) -> bool:
        return meets(self._tried[size], self._objective) and not self._is_late[size]

    def _passed_by_far(self, size: int) -> bool:
        """Whether so few calls waited too long that trials may know better than the curve."""
        most = self._objective.allowance / 2
        return self._passed(size) and self._mean_failed_share(size) <= most

    def _mean_failed_share(self, size: int) -> float:
        done = self._tried[size]
        return sum(failed_share(t, self._objective.wait_p99) for t in done) / len(done)


def _taken(sizing: Sizing, objective: Objective) -> int:
    """Connections of each pool at which the server turns no call away, as far as is known."""
    limits = [limit for limit in sizing.limits if limit.kind != "rate"]
    most = (int(limit.value) // objective.pools_left for limit in limits)
    return min(most, default=objective.largest)


def _utilisation(curve: Curve, objective: Objective, pool_size: int) -> float:
    """The share of its throughput that the upstream is asked for with pools of this size."""
    connections = min(max(pool_size * objective.pools_left, curve.smallest), curve.largest)
    return objective.rate / curve.throughput(connections)


def _connections(size: int) -> str:
    return units.plural(size, "connection")
