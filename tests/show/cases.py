"""Sweeps of every shape and ending, by name; charts and tables are tried on all of them."""

from __future__ import annotations

from dataclasses import replace

from poolkit.records import Recommendation, Sizing, Trial
from tests.report.synthetic_review import (
    CONTENDED,
    CPU,
    DATABASE,
    HTTP,
    Made,
    recommendation_of,
    sizing_of,
    soft,
    trials_of,
    workers,
)

SMALL = (1, 2, 4, 8, 16, 32)
CURVE = soft(785, 0.0164)
TARGET_ONLY = Made("orders-api", workers(12, 0.0201), (), 350, 11, climbs=True, push=False)

CASES: dict[str, Made] = {
    "a sharp knee": HTTP,
    "a soft knee": CPU,
    "a very soft knee, three repeats": CONTENDED,
    "a database, the largest size failed its checks": DATABASE,
    "four sizes, knee at 2": Made("a", soft(120, 0.0164, 4), (1, 2, 4, 8), 60, 2),
    "twelve sizes, knee at 40": Made(
        "a", workers(40, 0.03), (1, 2, 4, 8, 16, 24, 32, 40, 48, 64, 96, 128), 1000, 34
    ),
    "target above the plateau": Made("a", CURVE, SMALL, 1200, None, out_of_reach=True),
    "target far above the plateau": Made("a", CURVE, SMALL, 5200, None, out_of_reach=True),
    "target just below the plateau": Made(
        "a", workers(24, 0.0252), (1, 2, 4, 8, 12, 16, 20, 24, 32, 48), 940, 32
    ),
    "one connection is enough": Made("a", workers(24, 0.0252), (1, 2, 4, 8, 16, 32), 12, 1),
    "stopped after three sizes": Made(
        "a", CURVE, (1, 2, 4), 500, None, status="stopped", repeats=1
    ),
    "stopped after one size": Made("a", CURVE, (8,), 500, None, status="stopped", repeats=1),
    "predicted, not verified": Made("a", CURVE, SMALL, 500, 14, verified=None),
    "verification failed": Made("a", CURVE, SMALL, 650, 22, verified=False),
    "four pools": Made("a", CURVE, SMALL, 500, 4, pools=4),
    "every trial failed": Made("a", CURVE, (1, 2, 4, 8), 500, None, failed_sizes=(1, 2, 4, 8)),
    "a long name": Made("orders-api-of-the-northern-region-v2", CURVE, SMALL, 500, 15),
    "large rates": Made("a", soft(910_000, 0.00001, 3), SMALL, 500_000, 6, wait=0.0005),
    "states over a sweep": replace(CPU, climbs=True),
    "not pushed": TARGET_ONLY,
    "not pushed, not verified": replace(TARGET_ONLY, verified=None),
    "not pushed, no size": replace(TARGET_ONLY, size=None, because="cannot say yet"),
    "not pushed, little was seen": replace(TARGET_ONLY, rate=3, size=1),
    "not pushed, four pools": replace(TARGET_ONLY, size=4, pools=4),
    "not pushed, most in use far below the size": replace(TARGET_ONLY, rate=80, size=40),
}
UNSWEPT = [name for name, made in CASES.items() if not made.push]
# Those of which tests/golden keeps every word.
KEPT = {name: made for name, made in CASES.items() if name not in UNSWEPT[1:]}


def records(made: Made) -> tuple[Sizing, tuple[Trial, ...], Recommendation]:
    """What a review keeps of such a target."""
    trials = trials_of(made)
    sizing = sizing_of(made, trials)
    return sizing, trials, recommendation_of(made, sizing, trials)
