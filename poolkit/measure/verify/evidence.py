"""What open-loop trials of one size say about P(a call waits too long), and how surely.

Calls that wait too long come in clusters: a busy spell makes many of them, one after the other. A
few thousand calls so hold only a few independent looks, which every figure here takes into account.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from poolkit.histogram import share_above
from poolkit.load.measurement import Measurement, Segment
from poolkit.records import Interval, Purpose, Trial
from poolkit.targets.objective import Objective

BATCHES = 20
FEWEST_BATCHES = 10
RESPONSE_ALLOWANCE = 0.01  # share of the calls that may take longer than a response_p99
REACHED = 0.95  # of the planned rate: less was carried, so waits of the rest say nothing
LEAST_CALLS = 2000  # a p99 of fewer calls rests on a handful of waits
MOST_BUSY = 0.97  # utilisation beyond which the clusters' formula grows without end
FEWEST_LOOKS = 4.0  # independent looks that any trial is worth


@dataclass(frozen=True, slots=True)
class Tally:
    """Trials of one size at the target rate, pooled.

    Attributes:
        calls, late: how many calls, and how many of them waited too long or never got through.
        looks: what the calls are worth in independent ones.
    """

    pool_size: int
    trials: int
    calls: float
    late: float
    looks: float

    @property
    def share(self) -> float:
        """P(a call waits too long), 0 to 1, as measured; 1 without calls."""
        return self.late / self.calls if self.calls else 1.0


def of_size(trials: Sequence[Trial], pool_size: int, purpose: Purpose) -> list[Trial]:
    """The trials of a size and purpose, in the order in which they ran."""
    return [t for t in trials if t.purpose == purpose and t.pool_size == pool_size]


def latest(trials: Sequence[Trial], pool_size: int, purpose: Purpose) -> Trial | None:
    """The latest trial of a size and purpose; None before there is one."""
    found = of_size(trials, pool_size, purpose)
    return found[-1] if found else None


def failed_share(trial: Trial, wait_target: float | None) -> float:
    """The share (0 to 1) of calls that waited longer than `wait_target` (s), or never got through.

    None for the target: any wait is good. A call that gave up waiting or was still waiting at the
    end has no wait_time; it counts as too long.
    """
    return pooled_share([trial], wait_target)


def _counts(trial: Trial, wait_target: float | None) -> tuple[float, float]:
    lost = trial.outcomes.get("pool_timeout", 0) + trial.outcomes.get("unfinished", 0)
    seen = trial.wait_time.count
    late = _share_above(trial.wait_time.buckets, wait_target) * seen if seen else 0.0
    return float(seen + lost), late + lost


def _share_above(buckets: Mapping[int, int], limit: float | None) -> float:
    return 0.0 if limit is None else share_above(buckets, limit)


def tally(trials: Sequence[Trial], objective: Objective, busy: float) -> Tally:
    """Pool trials of one size (one at least); `busy` is the utilisation of what serves the calls.

    The calls of a trial are worth calls / d independent ones. d, the design effect, is the larger
    of what the trial's own batches show and what busy spells lead one to expect: late calls come
    in clusters like the calls served in a busy period of M/M/1, N of them with E[N^2] / E[N] =
    (1 + busy^2) / (1 - busy)^2 (moments of the busy period: Takacs 1962, "Introduction to the
    Theory of Queues", ch. 1). In simulated trials of 5 s it was right within a factor of two from
    60 to 90 % of the plateau.
    """
    rho = min(max(busy, 0.0), MOST_BUSY)
    expected = (1.0 + rho * rho) / (1.0 - rho) ** 2
    calls = late = looks = 0.0
    for trial in trials:
        of_trial, late_of_trial = _counts(trial, objective.wait_p99)
        calls += of_trial
        late += late_of_trial
        clustered = max(expected, _design_effect(trial, of_trial, late_of_trial), 1.0)
        looks += max(of_trial / clustered, min(of_trial, FEWEST_LOOKS))
    return Tally(trials[0].pool_size, len(trials), calls, late, looks)


def _design_effect(trial: Trial, calls: float, late: float) -> float:
    """Variance of the measured share over that of as many independent calls; 0: not known."""
    if trial.late_interval95 is None or not 0 < late < calls:
        return 0.0
    low, high = trial.late_interval95
    share = late / calls
    error = (high - low) / 2 / float(stdtrit(BATCHES - 1, 0.975))
    return error**2 * calls / (share * (1.0 - share))


def late_interval(measurement: Measurement, wait_target: float | None) -> Interval | None:
    """The 95 % interval of the share of calls that waited longer than `wait_target` (s).

    By batch means over the calls' due times, for a ratio of late calls to calls (Cochran 1977,
    "Sampling Techniques", ch. 6). None below 10 batches. It is not cut off at 0, so that half of
    its width stays a multiple of the standard error.
    """
    width = measurement.segment_seconds
    first = math.ceil(measurement.warm_up / width - 1e-9)
    counts = np.array([_late_and_all(segment, wait_target) for segment in measurement.segments])
    counts = counts[first:]
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
    half = float(stdtrit(batches - 1, 0.975)) * error
    return (share - half, share + half)


def _late_and_all(segment: Segment, wait_target: float | None) -> tuple[float, float]:
    lost = segment.outcomes["pool_timeout"] + segment.outcomes["unfinished"]
    waits = segment.wait.distribution()
    late = _share_above(waits.buckets, wait_target) * waits.count if waits.count else 0.0
    return late + lost, float(waits.count + lost)


def pooled_buckets(trials: Sequence[Trial]) -> Counter[int]:
    """The waits of several trials together, by bucket."""
    pooled: Counter[int] = Counter()
    for trial in trials:
        pooled.update(trial.wait_time.buckets)
    return pooled


def carried(trial: Trial) -> bool:
    """Whether the planned rate was carried at all."""
    return trial.throughput >= REACHED * (trial.arrival_rate or math.inf)


def answers_late(trials: Sequence[Trial], objective: Objective) -> float:
    """The share (0 to 1) of calls that took longer than response_p99; 0 where none is asked."""
    if objective.response_p99 is None:
        return 0.0
    calls = late = 0.0
    for trial in trials:
        count = trial.response_time.count
        calls += count
        late += share_above(trial.response_time.buckets, objective.response_p99) * count
    return late / calls if calls else 1.0


def pooled_share(trials: Sequence[Trial], wait_target: float | None) -> float:
    """The share (0 to 1) of late calls in several trials together."""
    counts = [_counts(trial, wait_target) for trial in trials]
    calls = sum(calls for calls, _ in counts)
    return sum(late for _, late in counts) / calls if calls else 1.0


def meets(trials: Sequence[Trial], objective: Objective) -> bool:
    """Whether trials at the target rate, taken together, met what was asked of them."""
    if pooled_share(trials, objective.wait_p99) > objective.allowance:
        return False
    return answers_late(trials, objective) <= RESPONSE_ALLOWANCE
