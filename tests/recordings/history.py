"""A made history of fourteen weekly reviews, from the recorded review of the lab.

    python -m tests.recordings.history

Synthetic: the figures are those of `lab-review`, scattered by 1.5 %, with changes that are known:

- review 1 ran on another kind of machine, so it is not comparable;
- from review 10 on the upstream of `lab-cpu` holds a connection a quarter longer: its plateau falls
  by a fifth, and the size rises;
- review 6 came with another aiohttp, which changed nothing;
- the rate asked of `lab-db` grew in reviews 5 and 11.

The latest review keeps the closed loops that its sizes were read off, and `demand/` beside the
records holds a year of weekly peaks of each target, which grow by 1 % of the first one a week.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from poolkit.histogram import GROWTH
from poolkit.measure.store import TrialLog
from poolkit.records import Recommendation, Sizing, Trial
from poolkit.report.source import RECORDED, shared
from poolkit.review.export import RECOMMENDED, read_recommended, read_sizings, to_json
from poolkit.review.kept import CURVE, date_of, named, slim
from poolkit.review.manifest import MANIFEST, Manifest, read_manifest

REVIEWS, ELSEWHERE, SLOWER, NEW_AIOHTTP = 14, 1, 10, 6
SLOWED = 1.25  # times the hold time of lab-cpu
TARGETS = ("lab-cpu", "lab-db")
RATES = {5: 345.0, 11: 370.0}  # calls/s asked of lab-db, from that review on
FIRST = datetime(2026, 8, 3, 6, 30, tzinfo=UTC)
WEEKS = 60
PEAKS = {"lab-cpu": 400.0, "lab-db": 320.0}  # calls/s expected of the last week
SCATTER = 0.015
SEED = 20260803


def scaled(entry: Recommendation, sizing: Sizing, by: float) -> tuple[Recommendation, Sizing]:
    """As on an upstream that holds a connection `by` times as long, with what a history reads."""
    plateau, times, size = entry.plateau, entry.hold_time, entry.recommended_size
    assert plateau is not None
    assert plateau.interval95 is not None
    assert times is not None
    assert times.at_one is not None
    assert times.at_recommended is not None
    assert size is not None
    low, high = plateau.interval95
    throughput = {
        "throughput": plateau.throughput / by,
        "interval95": (low / by, high / by),
    }
    held = {"at_one": times.at_one * by, "at_recommended": times.at_recommended * by}
    changes = {
        "recommended_size": round(size * by),
        "plateau": plateau.model_copy(update=throughput),
        "hold_time": times.model_copy(update=held),
        # A history reads none of these.
        "knees": (),
        "parameters": (),
        "rules_of_thumb": (),
        "verification": None,
        "checks": (),
    }
    points = []
    for point in sizing.points[:: max(1, len(sizing.points) // 6)]:
        around = point.interval95
        update = {
            "throughput": point.throughput / by,
            "hold_time": point.hold_time * by,
            "interval95": None if around is None else (around[0] / by, around[1] / by),
        }
        points.append(point.model_copy(update=update))
    unread = {"predictions": (), "states": (), "rules_of_thumb": (), "knees": ()}
    curve = sizing.model_copy(update={"points": tuple(points), **unread})
    return entry.model_copy(update=changes), curve


def kept_trials(trials: Sequence[Trial], by: float) -> str:
    """The closed loops, as on that upstream: the same in other units of time."""
    lines = []
    for trial in (slim(trial) for trial in trials if trial.is_of_curve):
        held, around = trial.hold_time, trial.throughput_interval95
        moved = round(math.log(by) / math.log(GROWTH))
        times = {key: getattr(held, key) * by for key in ("mean", "p50", "p95", "p99", "longest")}
        buckets = {bucket + moved: count for bucket, count in held.buckets.items()}
        update = {
            "window": trial.window * by,
            "throughput": trial.throughput / by,
            "throughput_interval95": around and (around[0] / by, around[1] / by),
            "hold_time": held.model_copy(update={**times, "buckets": buckets}),
            "in_use": (),
            "server_side": None,
        }
        lines.append(trial.model_copy(update=update).model_dump_json(exclude_defaults=True))
    return "\n".join(lines) + "\n"


def demand(peak: float, rng: np.random.Generator) -> str:
    """A CSV of weekly peaks up to the latest review, `peak` (calls/s) in the last week."""
    first = FIRST.date() + timedelta(weeks=REVIEWS - WEEKS)
    rates = peak * (1 + 0.01 * np.arange(WEEKS)) / (1 + 0.01 * (WEEKS - 1))
    rates *= rng.lognormal(0.0, 0.03, WEEKS)
    rows = [f"{first + timedelta(weeks=week)},{rate:.1f}" for week, rate in enumerate(rates)]
    return "\n".join(["week,rate", *rows]) + "\n"


def manifest_of(number: int, recorded: Manifest, rate: float) -> Manifest:
    """Of the review with this number: versions, machine and settings as planned."""
    old = {"aiohttp": "3.14.4"} if number < NEW_AIOHTTP else {}
    host = recorded.host
    if number == ELSEWHERE:
        host = host.model_copy(update={"cores": 4, "cores_total": 4, "cpu": "another processor"})
    settings = {name: dict(recorded.targets[name]) for name in TARGETS}
    settings["lab-db"]["target_rate"] = rate
    parameters = {**recorded.parameters, "targets": settings, "synthetic": True}
    versions = {
        name: recorded.versions[name] for name in ("poolkit", "python", "aiohttp", "asyncpg")
    }
    update = {"versions": versions | old, "host": host, "parameters": parameters, "files": {}}
    return recorded.model_copy(update=update)


def write(out: Path) -> Path:
    """Write the records to `out`, which is made."""
    source = shared(RECORDED)
    written = read_recommended(source)
    entries = {entry.target: entry for entry in written.targets}
    sizings, recorded = read_sizings(source, written), read_manifest(source)
    rng, rate = np.random.default_rng(SEED), 330.0
    scales: dict[str, float] = {}
    for number in range(1, REVIEWS + 1):
        created = (FIRST + timedelta(weeks=number - 1)).isoformat().replace("+00:00", "Z")
        record = out / named(date_of(created), 1)
        record.mkdir(parents=True, exist_ok=True)
        rate = RATES.get(number, rate)
        found = []
        for name in TARGETS:
            by = float(np.exp(rng.normal(0.0, SCATTER)))
            by *= SLOWED if name == "lab-cpu" and number >= SLOWER else 1.0
            by *= 0.6 if number == ELSEWHERE else 1.0
            scales[name] = by
            entry, sizing = scaled(entries[name], sizings[name], by)
            asked = {"target_rate": rate} if name == "lab-db" else {}
            found.append(entry.model_copy(update=asked))
            text = sizing.model_dump_json(exclude_defaults=True)
            (record / f"{name}.sizing.json").write_text(text + "\n")
        (record / RECOMMENDED).write_text(to_json(found, created))
        manifest = manifest_of(number, recorded, rate).model_copy(update={"created": created})
        (record / MANIFEST).write_text(manifest.model_dump_json() + "\n")
    for name in TARGETS:
        trials = TrialLog(source / f"{name}.trials.jsonl").read()
        (record / f"{name}{CURVE}").write_text(kept_trials(trials, scales[name]))
        path = out / "demand" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(demand(PEAKS[name], rng))
    return out


if __name__ == "__main__":
    write(shared(RECORDED).parent / "history")
