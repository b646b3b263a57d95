"""Does the size hold? Open-loop load at the target rate and above it, and the signs it shows.

Prediction narrows the search, measurement decides: sizes are tried upwards and downwards until the
smallest that clearly passes is found.
"""

from poolkit.measure.verify.evidence import failed_share, late_interval
from poolkit.measure.verify.plan import (
    LEAST_SECONDS,
    OVERLOAD,
    SETTLED,
    at_target,
    calm_rate,
    chosen_size,
    next_trial,
)
from poolkit.measure.verify.signals import verification

__all__ = [
    "LEAST_SECONDS",
    "OVERLOAD",
    "SETTLED",
    "at_target",
    "calm_rate",
    "chosen_size",
    "failed_share",
    "late_interval",
    "next_trial",
    "verification",
]
