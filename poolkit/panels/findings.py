"""What a finished sweep gives, measured now or recorded."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.analysis.objective import Objective, lost_with_zone
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.report.folder import Settings
from poolkit.targets import Target
from poolkit.targets.together import DEFAULT_SIZES, locking_floor


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
        growth=settings.growth,
        headroom=settings.headroom,
        max_size=settings.max_size or DEFAULT_SIZES["max_size"],
        max_connections=settings.max_connections,
        reserved_connections=settings.reserved_connections,
        used_connections=settings.used_connections,
        replicas=settings.replicas,
        workers=settings.workers,
        lost_replicas=settings.lost_replicas
        if settings.zones is None
        else lost_with_zone(settings.replicas, settings.zones),
        floor=locking_floor(settings.tasks, settings.connections_per_task),
    )
