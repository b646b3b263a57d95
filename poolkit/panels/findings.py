"""What a finished sweep gives, measured now or recorded."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.records import Recommendation, Sizing, Trial
from poolkit.targets import Target
from poolkit.targets.objective import Objective


@dataclass(frozen=True, slots=True)
class Findings:
    """What a finished sweep gives; `target` is None for a recording, whose endpoint is not kept."""

    trials: tuple[Trial, ...]
    sizing: Sizing
    recommendation: Recommendation
    objective: Objective
    target: Target | None = None
