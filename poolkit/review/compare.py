"""What changed between two reviews, and whether it is more than noise; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import ConfigDict, Field

from poolkit.records import (
    LARGEST,
    CurvePoint,
    HoldTimes,
    Interval,
    Recommendation,
    RecommendedFile,
    Record,
    Sizing,
)
from poolkit.review.provenance import measured_at

# A recommended size is found to within one connection of the smallest that passes.
SIZE_RESOLUTION = 1
WAIT = "verification.wait_p99"  # the other wait_p99 is what was asked
NO_INTERVAL = "no interval is known"
Unit = Literal["connections", "calls/s", "s", ""]


class Difference(Record):
    """One quantity of one target, then and now.

    `is_larger_than_noise` is whether the two intervals are apart; None: not known, and
    `note` says why.
    """

    target: str
    quantity: str
    unit: Unit
    before: float | str | None
    after: float | str | None
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    is_larger_than_noise: bool | None
    note: str = ""


class Curve(Record):
    """What a comparison reads of a `Sizing`."""

    model_config = ConfigDict(extra="ignore")

    points: tuple[CurvePoint, ...]


class Comparison(Record):
    """The whole of since.json; `caution` says why the two may not be comparable at all."""

    schema_: Literal["poolkit.since/1"] = Field("poolkit.since/1", alias="schema")
    before: str  # when the earlier one was measured, ISO 8601
    after: str
    caution: str = ""
    differences: tuple[Difference, ...]


def compare(
    before: RecommendedFile,
    after: RecommendedFile,
    caution: str = "",
    *,
    sizings_before: Mapping[str, Sizing | Curve] | None = None,
    sizings_after: Mapping[str, Sizing | Curve] | None = None,
) -> Comparison:
    """Every quantity of the targets that either review knows, where it is known on either side.

    The sizings, by target, tell how much hold times vary; without them that is not known.
    """
    earlier = {r.target: r for r in before.targets}
    later = {r.target: r for r in after.targets}
    differences: list[Difference] = []
    for name in dict.fromkeys((*later, *earlier)):
        old, new = earlier.get(name), later.get(name)
        if old is None or new is None:
            there = [_Figure(None if entry is None else "there") for entry in (old, new)]
            differences.append(_difference(name, "target", "", *there, is_exact=True))
            continue
        # What was asked of the pool is a setting: any change is a real one, and explains others.
        for setting, unit in _SETTINGS.items():
            was, now = _Figure(getattr(old, setting)), _Figure(getattr(new, setting))
            if was != now:
                differences.append(_difference(name, setting, unit, was, now, is_exact=True))
        was_measured = measured(old, (sizings_before or {}).get(name))
        now_measured = measured(new, (sizings_after or {}).get(name))
        for quantity, unit in _MEASURED.items():
            was, now = was_measured[quantity], now_measured[quantity]
            if was.value is not None or now.value is not None:
                differences.append(_difference(name, quantity, unit, was, now))
    return Comparison(
        before=measured_at(before.targets, before.created),
        after=measured_at(after.targets, after.created),
        caution=caution,
        differences=tuple(differences),
    )


def are_apart(a: Interval, b: Interval) -> bool:
    """Whether two intervals share no value: a difference larger than the noise of both."""
    return a[1] < b[0] or b[1] < a[0]


class _Figure(NamedTuple):
    """A value and, where it was measured, its 95 % interval, as far as they are known."""

    value: float | str | None = None
    interval: Interval | None = None


def _difference(
    target: str,
    quantity: str,
    unit: Unit,
    before: _Figure,
    after: _Figure,
    *,
    is_exact: bool = False,
) -> Difference:
    larger, note = None, ""
    if is_exact:
        larger = True
    elif before.value is None or after.value is None:
        note = "measured on one side only"
    elif before.interval is None or after.interval is None:
        note = NO_INTERVAL
    else:
        larger = are_apart(before.interval, after.interval)
    return Difference(
        target=target,
        quantity=quantity,
        unit=unit,
        before=before.value,
        after=after.value,
        before_interval=before.interval,
        after_interval=after.interval,
        is_larger_than_noise=larger,
        note=note,
    )


def measured(r: Recommendation, sizing: Sizing | Curve | None) -> dict[str, _Figure]:
    """The figures of `_MEASURED`; the knee is that of Little's Law, drawn on every chart."""
    size, plateau = r.recommended_size, r.plateau
    times = r.hold_time or HoldTimes(at_one=None, at_recommended=None)
    knee = next((knee for knee in r.knees if knee.rule == "littles_law"), None)
    seen = r.verification
    around = None if size is None else (size - SIZE_RESOLUTION, size + SIZE_RESOLUTION)
    return {
        "recommended_size": _Figure(size, around),
        "plateau": _Figure(plateau.throughput, plateau.interval95) if plateau else _Figure(),
        "knee": _Figure(knee.size, knee.interval95) if knee else _Figure(),
        "hold_time.at_one": _hold(times.at_one, 1, sizing),
        "hold_time.at_recommended": _hold(times.at_recommended, size, sizing),
        WAIT: _Figure(seen.wait_p99, seen.wait_p99_interval95) if seen else _Figure(),
    }


def _hold(value: float | None, size: int | None, sizing: Sizing | Curve | None) -> _Figure:
    """A hold time with its interval: as wide, for its size, as that of the throughput there.

    In a closed loop every connection is busy, so hold = connections / throughput, and the interval
    of the one is that of the other. Between the sizes measured the nearest on a log scale counts.
    """
    known = [] if sizing is None else [p for p in sizing.points if p.interval95 is not None]
    if value is None or size is None or not known:
        return _Figure(value)
    near = min(known, key=lambda p: abs(math.log(p.pool_size / size)))
    assert near.interval95 is not None
    low, high = near.interval95
    if low <= 0 or value * near.throughput > LARGEST * low:
        return _Figure(value)
    return _Figure(value, (value * near.throughput / high, value * near.throughput / low))


_SETTINGS: dict[str, Unit] = {"status": "", "target_rate": "calls/s", "wait_p99": "s"}
_MEASURED: dict[str, Unit] = {
    "recommended_size": "connections",
    "plateau": "calls/s",
    "knee": "connections",
    "hold_time.at_one": "s",
    "hold_time.at_recommended": "s",
    WAIT: "s",
}
