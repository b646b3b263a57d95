"""What a finished sweep gives, measured now or recorded."""

from __future__ import annotations

from dataclasses import dataclass

from poolkit.analysis.objective import Objective
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.report.folder import Settings
from poolkit.targets import Target
from poolkit.targets.asked import Asked


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
    known = {key: getattr(settings, key, None) for key in Asked.model_fields}
    asked = {key: value for key, value in known.items() if value is not None}
    return Objective.of_target(Asked.model_validate(asked))
