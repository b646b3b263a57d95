"""All the load of one target, in this process: sweep, sizing, verification, reported as events.

Decisions are made elsewhere, in pure functions; this package only carries them out, one trial after
the other, each on disk before the next begins.
"""

from poolkit.measure.run import SEED, SIZE_BUDGET, SWEEP_BUDGET, measure, measure_arrivals

__all__ = ["SEED", "SIZE_BUDGET", "SWEEP_BUDGET", "measure", "measure_arrivals"]
