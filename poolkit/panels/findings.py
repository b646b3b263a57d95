"""What a finished sweep gives, measured now or recorded."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.analysis.objective import Objective
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.report.folder import Settings
from poolkit.targets import Target
from poolkit.targets.together import DEFAULT_SIZES


@dataclass(frozen=True, slots=True)
class Findings:
    """What a finished sweep gives; `target` is None for a recording, whose endpoint is not kept."""

    trials: tuple[Trial, ...]
    sizing: Sizing
    recommendation: Recommendation
    objective: Objective
    target: Target | None = None


def objective_of(settings: Settings) -> Objective:
    """What a recorded target was asked for."""
    return Objective(
        target_rate=settings.target_rate,
        wait_p99=settings.wait_p99,
        response_p99=settings.response_p99,
        max_size=settings.max_size or DEFAULT_SIZES["max_size"],
        replicas=settings.replicas,
        workers=settings.workers,
    )
