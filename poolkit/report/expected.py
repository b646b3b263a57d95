"""What the queue model expects of a size in service: the waits to set against the measured ones."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.analysis.model import fit_points, model
from poolkit.analysis.verdict import why_not
from poolkit.records import Sweep, Trial
from poolkit.targets.objective import Objective

_STEPS = 120


def expected_waits(
    trials: Sequence[Trial], serving: Trial, limit: float | None = None
) -> list[tuple[float, float]]:
    """Waits (s), ascending, and the share of calls that should wait longer, in a trial in service.

    `limit` (s) is one of the waits.
    Read off the closed-loop trials alone, without any off the climb to the target rate, so the
    trial in service is no part of its own prediction. Empty where these or the rate allow none.
    """
    curve = tuple(t for t in trials if t.is_of_curve)
    climb = tuple(t for t in trials if t.purpose == "approach")
    sweep = Sweep(target=serving.target, trials=curve or climb)
    is_known = len(fit_points(sweep)) > 1 if curve else why_not(sweep, ()) is None
    if serving.arrival_rate is None or not is_known:
        return []
    objective = Objective(
        target_rate=serving.arrival_rate,
        wait_p99=1.0,  # of no matter here
        max_size=serving.pool_size * serving.pools,
        workers=serving.pools,
    )
    predictions = model(sweep, objective).predictions()
    if len(predictions) < serving.pool_size:
        return []
    met = predictions[serving.pool_size - 1]
    if not met.is_stable:
        return []
    longest = 4.0 * max(met.wait_p99 or 0.0, serving.wait_time.longest or 0.0, 1e-3)
    waits = [longest * i / _STEPS for i in range(_STEPS + 1)]
    if limit is not None:
        waits = sorted({*waits, limit})
    return [(wait, met.exceedance(wait)) for wait in waits]
