"""What the parameters of a target rest on, and what was measured there, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from poolkit import units
from poolkit.records import Parameter, Sizing, Trial, Verification
from poolkit.targets import Target

Source = Literal["measured", "library", "rule"]
# p99 over mean of an exponential time, for where only a mean is known: -ln(0.01).
EXPONENTIAL_P99 = math.log(100)


@dataclass(frozen=True, slots=True)
class Verified:
    """What verification saw at the recommended size; `trials` ran at the target rate, in order."""

    verification: Verification
    trials: tuple[Trial, ...] = ()

    @property
    def is_in_doubt(self) -> bool:
        """Whether a sign of a right size was missing."""
        return not all(signal.passed for signal in self.verification.signals)


@dataclass(frozen=True, slots=True)
class Basis:
    """What the parameters of one target rest on.

    Attributes:
        size: connections of one pool, 1 or more.
        trial: the open-loop trial at that size and the target rate; None: not verified.
        crowd: what the gate was seen to do with more callers than connections; None: not tried.
        verified: what the size showed at the target rate; None: verification did not run.
    """

    target: Target
    sizing: Sizing
    size: int
    trial: Trial | None
    crowd: str | None = None
    verified: Verified | None = None

    @property
    def is_verified(self) -> bool:
        """Whether the size ran at the target rate."""
        return self.trial is not None and self.trial.loop == "open"


def row(
    name: str, value: float | bool | str | None, unit: str, because: str, source: Source = "rule"
) -> Parameter:
    """One line of the recommended table."""
    return Parameter(name=name, value=value, unit=unit, because=because, source=source)


def dials_while_verified(basis: Basis) -> str:
    """` (verified so, 2 dials in 8 s)`; empty where the size did not run at the target rate."""
    trial = basis.trial
    if not basis.is_verified or trial is None:
        return ""
    dials = units.plural(trial.connections_opened, "dial")
    return f" (verified so, {dials} in {units.number(trial.window)} s)"


def longest_wait(basis: Basis) -> float | None:
    """Of all trials at the target rate (s); None: there was none, or nobody got a connection."""
    trials = basis.verified.trials if basis.verified is not None else ()
    if not trials and basis.is_verified and basis.trial is not None:
        trials = (basis.trial,)
    known = [trial.wait_time.longest for trial in trials if trial.wait_time.longest is not None]
    return max(known, default=None)


def turn(basis: Basis) -> str:
    """How often each connection is in use, in words; empty where the rate was not tried."""
    trial = basis.trial
    if not basis.is_verified or trial is None or trial.throughput <= 0:
        return ""
    each = trial.pool_size * trial.pools / trial.throughput
    return f"each is used every {units.milliseconds(each)} on average"


def reason_of_size(basis: Basis) -> str:
    """Why the pool has this size, with what verification saw, and what it makes of a fleet."""
    sizing, size, trial = basis.sizing, basis.size, basis.trial
    if sizing.size == size and sizing.because:
        parts = [sizing.because.strip().rstrip(".")]
    elif sizing.size is not None:
        parts = [f"the curve said {sizing.size}, verification moved it to {size}"]
        if sizing.headroom and size > sizing.size:
            parts.append("none of the headroom asked is left")
    else:
        parts = ["chosen by verification"]
    if basis.verified is not None:
        parts.append(_seen_at_target(basis.verified, basis.target.wait_p99))
    elif basis.is_verified and trial is not None:
        parts.append(
            f"verified at {units.rate(trial.throughput)}: "
            f"p99 wait {units.milliseconds(trial.wait_time.p99)}"
        )
    pools = basis.target.pools
    for limit in sizing.limits:
        most = "all pools together must stay within that"
        parts.append(f"{limit.seen}; {most}")
    if pools > 1:
        parts.append(
            f"of one pool: {pools} pools make {pools * size} of at most "
            f"{basis.target.max_size} connections"
        )
    if basis.target.surge and basis.target.budget is not None:
        rolling = basis.target.pools_rolling
        parts.append(
            f"while a deploy rolls {rolling} pools may open {rolling * size} of the "
            f"{basis.target.budget} connections that the server has for them"
        )
    return "; ".join(parts)


def _seen_at_target(seen: Verified, allowed: float | None) -> str:
    """The verification's own figures, over all trials of the size, and the trials over the limit.

    The decision rests on the trials together; one that was worse is told, not averaged away.
    """
    found = seen.verification
    said = (
        f"{'in doubt' if seen.is_in_doubt else 'verified'} at {units.rate(found.achieved_rate)}: "
        f"p99 wait {units.milliseconds(found.wait_p99)}"
    )
    if len(seen.trials) < 2:
        return said
    said += f" in {len(seen.trials)} trials together"
    over = [
        trial.wait_time.p99
        for trial in seen.trials
        if allowed is not None and (trial.wait_time.p99 or 0.0) > allowed
    ]
    if over:
        said += (
            f", {len(over)} of them over the {units.milliseconds(allowed)} allowed "
            f"({units.listed([units.milliseconds(p99, 3) for p99 in over])})"
        )
    return said


def hold_p99(basis: Basis) -> tuple[float | None, str]:
    """The p99 of the hold time (s) nearest to the recommended operation, and where it was seen."""
    trial = basis.trial
    if trial is not None and trial.hold_time.p99 is not None:
        where = f"hold p99 at {units.plural(trial.pool_size, 'connection')}"
        if trial.pools > 1:
            where += f" in each of {trial.pools} pools"
        if trial.arrival_rate is not None:
            where += f" and {units.rate(trial.arrival_rate)}"
        return trial.hold_time.p99, where
    points = basis.sizing.points
    if not points:
        # A climb that was stopped: what it saw is in the predictions.
        for one in basis.sizing.predictions:
            if one.pool_size == basis.size and one.hold_time > 0:
                where = f"hold p99, taken as {EXPONENTIAL_P99:.1f} times the mean predicted,"
                return EXPONENTIAL_P99 * one.hold_time, where
        if (mean := basis.sizing.hold_at_one) is not None:  # of averages: whatever the load
            return (
                EXPONENTIAL_P99 * mean,
                f"hold p99, taken as {EXPONENTIAL_P99:.1f} times the mean,",
            )
        return None, ""
    point = min(points, key=lambda p: (abs(p.pool_size - basis.size), -p.pool_size))
    where = (
        f"hold p99 at {units.plural(point.pool_size, 'connection')}, taken as "
        f"{EXPONENTIAL_P99:.1f} times the mean,"
    )
    return EXPONENTIAL_P99 * point.hold_time, where
