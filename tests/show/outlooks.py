"""Outlooks of every ending, by name."""

from __future__ import annotations

import functools

import numpy as np

from poolkit.analysis.outlook import Outlook, outlook
from poolkit.analysis.weekly import WeeklyPeaks
from poolkit.analysis.what_if import Planner
from tests.analysis.test_outlook import ASKED, PART, WHOLE, demand

FLEET = Planner(
    ASKED.but(replicas=4), WHOLE.verdict, WHOLE.points, WHOLE.upstream, WHOLE.plateau, more=""
)
CAPPED = Planner(
    ASKED.but(max_size=30), WHOLE.verdict, WHOLE.points, WHOLE.upstream, WHOLE.plateau, more=""
)


@functools.cache
def outlooks() -> dict[str, Outlook]:
    """Whether the size runs out, and what of that can be told."""
    holed = demand(450, 0.0)
    rates = [None if week in (9, 10) else rate for week, rate in enumerate(holed.rates)]
    gaps = WeeklyPeaks(
        first_day=holed.first_day, rates=tuple(rates), remarks=("2 weeks without a peak",)
    )
    return {
        "runs out": outlook(demand(400, 0.011), WHOLE, 24),
        "the upstream too": outlook(demand(500, 0.012), WHOLE, 30),
        "the cap too": outlook(demand(450, 0.012), CAPPED, 24),
        "does not run out": outlook(gaps, WHOLE, 24),
        "cannot say": outlook(demand(400, 0.008), PART, 20),
        "has run out": outlook(demand(600, 0.01), PART, 14),
        "a fleet": outlook(demand(400, 0.011), FLEET, 8),
        "too short": outlook(demand(400, 0.01, weeks=30), WHOLE, 24),
        "irregular": outlook(_season(), WHOLE, 30),
    }


def _season() -> WeeklyPeaks:
    at = np.arange(60)
    rates = 500 * (1 + 0.35 * np.sin(2 * np.pi * at / 52 + 1.0))
    return WeeklyPeaks(first_day="2025-01-06", rates=tuple(map(float, rates)))
