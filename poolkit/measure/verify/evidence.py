"""What open-loop trials say about P(a call waits too long) at their size, and at its neighbours.

Calls that wait too long come in clusters: a busy spell makes many of them, one after the other. So
a few thousand calls are only a few independent observations, and every figure here counts with it.

The queue model knows how P falls with each further connection far better than it knows its level:
a curve measured a little too low lifts P at every size alike. So all that is uncertain is taken as
one shift, the same for every size:

    ln P(c) = ln P_model(c) + shift

Every trial, at whatever size, tells of the shift, which lets a few seconds at one size speak for
its neighbours. Before any trial the shift follows Student's t: against long simulations of 29
upstreams the model was off by 0.5 in ln P (one standard deviation), with tails a little heavier
than normal. A trial of n independent observations with a share s of late calls weighs a shift by
the Poisson likelihood of n * s events where n * P are expected (Cox and Hinkley 1974, ch. 2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when they are first used

from poolkit.analysis.curve import Z95
from poolkit.analysis.late import late_and_all
from poolkit.histogram import quantile, share_above, value_of
from poolkit.load.measurement import Floats, Measurement
from poolkit.records import Interval, Purpose, Trial
from poolkit.targets.objective import Objective

BATCHES = 20
FEWEST_BATCHES = 10
RESPONSE_ALLOWANCE = 0.01  # share of the calls that may take longer than a response_p99
LEAST_CALLS = 2000  # a p99 of fewer calls rests on a handful of waits
MOST_BUSY = 0.97  # utilisation beyond which the clusters' formula grows without end
FEWEST_OBSERVATIONS = 4.0  # independent observations that any trial is worth

MODEL_SCALE = 0.45  # of the shift, in ln P
MODEL_FREEDOM = 5.0  # degrees of freedom of its t distribution: standard deviation 0.58
# The model's slope is not exact either: however many clusters of late calls a trial saw, it tells
# no more of the shift than this many would. So one dire trial does not speak for sizes far off.
MOST_EVENTS = 8.0
SHIFTS = np.linspace(-4.0, 4.0, 321)
TAIL, BODY = 0.01, 0.05  # shares of the calls beyond the p99, and beyond where the tail begins
LEAST = 1e-9  # of a probability: below it nothing can be told apart


def of_size(trials: Sequence[Trial], pool_size: int, purpose: Purpose) -> list[Trial]:
    """The trials of a size and purpose, in the order in which they ran."""
    return [t for t in trials if t.purpose == purpose and t.pool_size == pool_size]


def latest(trials: Sequence[Trial], pool_size: int, purpose: Purpose) -> Trial | None:
    """The latest trial of a size and purpose; None before there is one."""
    found = of_size(trials, pool_size, purpose)
    return found[-1] if found else None


def failed_share(trial: Trial, wait_target: float | None) -> float:
    """The share (0 to 1) of calls that waited longer than `wait_target` (s), or never got through.

    None for the target: any wait is good.
    """
    return pooled_share([trial], wait_target)


def pooled_share(trials: Sequence[Trial], wait_target: float | None) -> float:
    """The share (0 to 1) of late calls in several trials together."""
    counts = [late_and_all(t.wait_time, t.outcomes, wait_target) for t in trials]
    late, calls = np.sum(counts, axis=0)
    return float(late / calls) if calls else 1.0


def answers_late(trials: Sequence[Trial], objective: Objective) -> float:
    """The share (0 to 1) of calls that took longer than response_p99; 0 where none is asked."""
    limit = objective.response_p99
    if limit is None:
        return 0.0
    times = [trial.response_time for trial in trials]
    calls = sum(one.count for one in times)
    late = sum(share_above(one.buckets, limit) * one.count for one in times)
    return late / calls if calls else 1.0


def meets(trials: Sequence[Trial], objective: Objective) -> bool:
    """Whether trials at the target rate, taken together, met what was asked of them."""
    if pooled_share(trials, objective.wait_p99) > objective.allowance:
        return False
    return answers_late(trials, objective) <= RESPONSE_ALLOWANCE


def late_interval(measurement: Measurement, wait_target: float | None) -> Interval | None:
    """The 95 % interval of the share of calls that waited longer than `wait_target` (s).

    By batch means over the calls' due times, for a ratio of late calls to calls (Cochran 1977,
    "Sampling Techniques", ch. 6). None below 10 batches. It is not cut off at 0, so that half of
    its width stays a multiple of the standard error.
    """
    first = math.ceil(measurement.warm_up / measurement.segment_seconds - 1e-9)
    counts = np.array(
        [
            late_and_all(segment.wait.distribution(), segment.outcomes, wait_target)
            for segment in measurement.segments[first:]
        ]
    )
    batches = min(BATCHES, len(counts))
    if batches < FEWEST_BATCHES:
        return None
    per_batch = len(counts) // batches
    sums = counts[len(counts) - batches * per_batch :].reshape(batches, per_batch, 2).sum(axis=1)
    late, calls = sums[:, 0], sums[:, 1]
    if calls.sum() == 0:
        return None
    share = float(late.sum() / calls.sum())
    spread = float(((late - share * calls) ** 2).sum()) / (batches - 1)
    error = math.sqrt(spread / batches) / float(calls.mean())
    half = float(scipy.special.stdtrit(batches - 1, 0.975)) * error
    return (share - half, share + half)


@dataclass(frozen=True, slots=True)
class Tally:
    """Trials of one size at the target rate, pooled.

    Attributes:
        share: P(a call waits too long or never gets through), 0 to 1; 1 without calls.
        observations: what the calls are worth in independent ones.
    """

    pool_size: int
    share: float
    observations: float


def tally(trials: Sequence[Trial], objective: Objective, busy: float) -> Tally:
    """Pool trials of one size (one at least); `busy` is the utilisation of what serves the calls.

    The calls of a trial are worth calls / d independent ones. d, the design effect, is the larger
    of what the trial's own batches show and what busy spells lead one to expect (`clustering`).
    In simulated trials of 5 s it was right within a factor of two from 60 to 90 % of the plateau.
    """
    expected = clustering(busy)
    observations = 0.0
    for trial in trials:
        _, calls = late_and_all(trial.wait_time, trial.outcomes, objective.wait_p99)
        clustered = max(expected, design_effect(trial, objective.wait_p99), 1.0)
        observations += max(calls / clustered, min(calls, FEWEST_OBSERVATIONS))
    return Tally(trials[0].pool_size, pooled_share(trials, objective.wait_p99), observations)


def clustering(busy: float) -> float:
    """How many late calls are worth one independent one, by the upstream's utilisation (0 to 0.97).

    They come in clusters like the calls served in a busy period of M/M/1, N of them with
    E[N^2] / E[N] = (1 + busy^2) / (1 - busy)^2 (moments of the busy period: Takacs 1962,
    "Introduction to the Theory of Queues", ch. 1).
    """
    rho = min(max(busy, 0.0), MOST_BUSY)
    return (1.0 + rho * rho) / (1.0 - rho) ** 2


def design_effect(trial: Trial, wait_target: float | None) -> float:
    """Variance of the measured share over that of as many independent calls; 0: not known."""
    late, calls = late_and_all(trial.wait_time, trial.outcomes, wait_target)
    if trial.late_interval95 is None or not 0 < late < calls:
        return 0.0
    low, high = trial.late_interval95
    share = late / calls
    error = (high - low) / 2 / float(scipy.special.stdtrit(BATCHES - 1, 0.975))
    return error**2 * calls / (share * (1.0 - share))


def p99_interval(trials: Sequence[Trial], objective: Objective, busy: float) -> Interval | None:
    """The 95 % interval of the p99 wait (s) of trials of one size, pooled.

    From the variance of a sample quantile, p (1 - p) / (n f^2) (Serfling 1980, "Approximation
    Theorems of Mathematical Statistics", 2.3.3), with n independent observations (`tally`). The
    density f at the p99 is that of an exponential tail, which waits have far out (Asmussen 2003,
    "Applied Probability and Queues", ch. XIII): 1 % over its mean excess. Upwards that excess may
    be as large as its own interval lets it be. None where fewer than one independent observation
    lies beyond the p99.
    """
    buckets: Counter[int] = Counter()
    for trial in trials:
        buckets.update(trial.wait_time.buckets)
    n = tally(trials, objective, busy).observations
    if not buckets or TAIL * n < 1.0:
        return None
    p99, body = quantile(buckets, 1.0 - TAIL), quantile(buckets, 1.0 - BODY)
    beyond = {value_of(i): count for i, count in buckets.items() if value_of(i) > body}
    calls = sum(beyond.values())
    excess = sum((wait - body) * count for wait, count in beyond.items()) / calls if calls else 0.0
    half = Z95 * excess * math.sqrt((1.0 - TAIL) / (TAIL * n))
    return (max(0.0, p99 - half), p99 + half * math.exp(Z95 / math.sqrt(BODY * n)))


@dataclass(frozen=True, slots=True)
class Belief:
    """What is thought of each size; `shares` is P_model(c) by size, `weights` one a shift."""

    shares: Mapping[int, float]
    weights: Floats

    def holds(self, pool_size: int, allowance: float) -> float:
        """The probability (0 to 1) that at this size no more than `allowance` of calls are late.

        0 below the sizes that the model knows, above them that of the largest, and 1 where it knows
        none: then nothing speaks against a size but its own trials.
        """
        if not self.shares:
            return 1.0
        if pool_size not in self.shares:
            if pool_size < min(self.shares):
                return 0.0
            pool_size = max(self.shares)
        good = _lifted(self.shares[pool_size]) <= allowance
        return float(self.weights[good].sum())


def belief(shares: Mapping[int, float], tallies: Sequence[Tally]) -> Belief:
    """Prior and trials put together; `shares` are the model's P(wait > target) by size."""
    log = -(MODEL_FREEDOM + 1.0) / 2.0 * np.log1p((SHIFTS / MODEL_SCALE) ** 2 / MODEL_FREEDOM)
    for one in tallies:
        if one.pool_size in shares:
            observations = min(one.observations, MOST_EVENTS / max(one.share, LEAST))
            expected = observations * _lifted(shares[one.pool_size])
            log = log + observations * one.share * np.log(expected) - expected
    weights = np.exp(log - log.max())
    return Belief(shares, np.asarray(weights / weights.sum()))


def _lifted(share: float) -> Floats:
    """P at a size for every shift, from the model's."""
    return np.asarray(np.minimum(1.0, max(share, LEAST) * np.exp(SHIFTS)))
