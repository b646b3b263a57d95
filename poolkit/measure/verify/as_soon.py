"""What open-loop trials say of a size where nothing is asked of the times.

Then the size is the smallest with which callers are served as soon as with any, and no trial can
show that: 2 % of a mean are far within the noise of some seconds. The curve shows it. What a trial
can show is that callers are served later than the curve says, as they are where a pool is too small
for the rate. So a size passes unless its trials speak against it: mean or p99 response beyond the
best that is known by more than prediction and noise explain.

The best that is known is what was predicted, or what trials with a much roomier pool at the same
rate were seen to need where that is more: then the upstream is slower than its curve, and a larger
pool is of no help.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from poolkit import units
from poolkit.histogram import quantile, share_above, value_of
from poolkit.measure.verify.evidence import FEWEST_OBSERVATIONS, clustering
from poolkit.records import PredictedWait, Sizing, Trial
from poolkit.targets.objective import Objective

# How far predictions were off in simulated trials of known curves (tests/analysis/test_response.py
# has the p99): shares of the mean and of the p99 response.
OFF_IN_MEAN = 0.05
OFF_IN_P99 = 0.12
ONE_SIDED = 1.645  # standard errors that a right size exceeds by chance in one trial of twenty
ROOMY = 1.25  # times the connections: from here on a pool shows what a larger one would do
AT_RATE = 0.95  # of the target rate


@dataclass(frozen=True, slots=True)
class Served:
    """Whether callers were served as soon as can be told, and what was seen."""

    passed: bool
    seen: str


def served_as_soon(
    trials: Sequence[Trial], pool_size: int, objective: Objective, sizing: Sizing
) -> Served:
    """Hold the trials of a size at the target rate (one at least) against the best that is known.

    Late replies come in clusters, so n calls are worth fewer independent ones
    (`evidence.clustering`).

    Args:
        trials: of the target, of every purpose.
    """
    at_rate = [
        t
        for t in trials
        if t.purpose in ("verify", "approach")
        and t.response_time.count
        and (t.arrival_rate or 0.0) >= AT_RATE * objective.rate
    ]
    own = [t for t in at_rate if t.purpose == "verify" and t.pool_size == pool_size]
    row = next((p for p in sizing.predictions if p.pool_size == sizing.size), None)
    if not own:
        return Served(False, "no call was answered")
    if row is None or row.response_time is None or row.response_p99 is None:
        return Served(True, "nothing was predicted")
    roomy = [t for t in at_rate if t.pool_size >= ROOMY * pool_size]
    best_mean, best_p99 = row.response_time, row.response_p99
    if roomy:
        best_mean = max(best_mean, min(map(_mean, roomy)))
        best_p99 = max(best_p99, min(quantile(t.response_time.buckets, 0.99) for t in roomy))
    buckets: Counter[int] = Counter()
    for trial in own:
        buckets.update(trial.response_time.buckets)
    calls = buckets.total()
    mean = sum(_mean(t) * t.response_time.count for t in own) / calls
    squares = sum(count * value_of(at) ** 2 for at, count in buckets.items()) / calls
    worth = max(calls / _clustered(row, objective, sizing), FEWEST_OBSERVATIONS * len(own))
    noise = ONE_SIDED * math.sqrt(max(squares - mean**2, 0.0) / worth)
    late = share_above(buckets, (1.0 + OFF_IN_P99) * best_p99)
    allowed = objective.allowance
    allowed += ONE_SIDED * math.sqrt(allowed / worth)
    return Served(
        mean <= (1.0 + OFF_IN_MEAN) * best_mean + noise and late <= allowed,
        f"mean response {units.milliseconds(mean, 3)}, p99 "
        f"{units.milliseconds(quantile(buckets, 0.99), 3)}; the best known is "
        f"{units.milliseconds(best_mean, 3)} and {units.milliseconds(best_p99, 3)}, and "
        f"{units.milliseconds(noise)} of the mean may be chance",
    )


def _mean(trial: Trial) -> float:
    return trial.response_time.mean or 0.0


def _clustered(row: PredictedWait, objective: Objective, sizing: Sizing) -> float:
    """d: how many calls are worth one independent observation."""
    busy = row.utilisation
    if sizing.plateau is not None:
        busy = max(busy, objective.rate / sizing.plateau.throughput)
    return clustering(busy)
