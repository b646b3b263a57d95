"""What changed between two reviews, and whether it is more than noise; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from poolkit.records import Interval, Recommendation, RecommendedFile, Record, Sizing

# A recommended size is found to within one connection of the smallest that passes.
SIZE_RESOLUTION = 1
NO_INTERVAL = "no interval is known"


class Difference(Record):
    """One quantity of one target, then and now.

    `is_larger_than_noise` is whether the two intervals are apart; None: it cannot be said, and
    `note` says why.
    """

    target: str
    quantity: str
    unit: Literal["connections", "calls/s", "s", ""]
    before: float | str | None
    after: float | str | None
    before_interval: Interval | None = None
    after_interval: Interval | None = None
    is_larger_than_noise: bool | None
    note: str = ""


class Comparison(Record):
    """The whole of since.json; `caution` says why the two may not be comparable at all."""

    schema_: Literal["poolkit.since/1"] = Field("poolkit.since/1", alias="schema")
    before: str  # when the earlier review was made, ISO 8601
    after: str
    caution: str = ""
    differences: tuple[Difference, ...]


def compare(
    before: RecommendedFile,
    after: RecommendedFile,
    caution: str = "",
    *,
    sizings_before: Mapping[str, Sizing] | None = None,
    sizings_after: Mapping[str, Sizing] | None = None,
) -> Comparison:
    """Every quantity of the targets that either review knows, where it is known on either side.

    The sizings, by target, tell how much hold times vary; without them that cannot be said.
    """
    earlier = {r.target: r for r in before.targets}
    later = {r.target: r for r in after.targets}
    differences: list[Difference] = []
    for name in dict.fromkeys((*later, *earlier)):
        old, new = earlier.get(name), later.get(name)
        if old is None or new is None:
            differences.append(
                _exact(
                    name,
                    "target",
                    "",
                    None if old is None else "there",
                    None if new is None else "there",
                )
            )
        else:
            sizings = ((sizings_before or {}).get(name), (sizings_after or {}).get(name))
            differences += _of_target(old, new, *sizings)
    return Comparison(
        before=before.created, after=after.created, caution=caution, differences=tuple(differences)
    )


def are_apart(a: Interval, b: Interval) -> bool:
    """Whether two intervals share no value: a difference larger than the noise of both."""
    return a[1] < b[0] or b[1] < a[0]


def _of_target(
    old: Recommendation, new: Recommendation, old_sizing: Sizing | None, new_sizing: Sizing | None
) -> Iterator[Difference]:
    name = new.target
    if old.status != new.status:
        yield _exact(name, "status", "", old.status, new.status)
    # What was asked of the pool is a setting: any change is a real one, and explains others.
    if old.target_rate != new.target_rate:
        yield _exact(name, "target_rate", "calls/s", old.target_rate, new.target_rate)
    if old.wait_p99 != new.wait_p99:
        yield _exact(name, "wait_p99", "s", old.wait_p99, new.wait_p99)
    if old.recommended_size is not None or new.recommended_size is not None:
        yield _measured(
            name,
            "recommended_size",
            "connections",
            old.recommended_size,
            new.recommended_size,
            _around(old.recommended_size),
            _around(new.recommended_size),
        )
    then, then_interval = _plateau(old)
    now, now_interval = _plateau(new)
    if then is not None or now is not None:
        yield _measured(name, "plateau", "calls/s", then, now, then_interval, now_interval)
    then, then_interval = _knee(old)
    now, now_interval = _knee(new)
    if then is not None or now is not None:
        yield _measured(name, "knee", "connections", then, now, then_interval, now_interval)
    for quantity in ("at_one", "at_recommended"):
        then, then_interval = _hold(old, quantity, old_sizing)
        now, now_interval = _hold(new, quantity, new_sizing)
        if then is not None or now is not None:
            yield _measured(
                name, f"hold_time.{quantity}", "s", then, now, then_interval, now_interval
            )


def _measured(
    target: str,
    quantity: str,
    unit: Literal["connections", "calls/s", "s"],
    before: float | None,
    after: float | None,
    before_interval: Interval | None,
    after_interval: Interval | None,
) -> Difference:
    larger, note = None, ""
    if before is None or after is None:
        note = "measured on one side only"
    elif before_interval is None or after_interval is None:
        note = NO_INTERVAL
    else:
        larger = are_apart(before_interval, after_interval)
    return Difference(
        target=target,
        quantity=quantity,
        unit=unit,
        before=before,
        after=after,
        before_interval=before_interval,
        after_interval=after_interval,
        is_larger_than_noise=larger,
        note=note,
    )


def _exact(
    target: str,
    quantity: str,
    unit: Literal["connections", "calls/s", "s", ""],
    before: float | str | None,
    after: float | str | None,
) -> Difference:
    return Difference(
        target=target,
        quantity=quantity,
        unit=unit,
        before=before,
        after=after,
        is_larger_than_noise=True,
    )


def _around(size: int | None) -> Interval | None:
    return None if size is None else (size - SIZE_RESOLUTION, size + SIZE_RESOLUTION)


def _plateau(recommendation: Recommendation) -> tuple[float | None, Interval | None]:
    plateau = recommendation.plateau
    return (None, None) if plateau is None else (plateau.throughput, plateau.interval95)


def _knee(recommendation: Recommendation) -> tuple[float | None, Interval | None]:
    """The Little's Law knee, the one drawn on every chart."""
    for knee in recommendation.knees:
        if knee.rule == "littles_law":
            return knee.size, knee.interval95
    return None, None


def _hold(
    recommendation: Recommendation, quantity: str, sizing: Sizing | None
) -> tuple[float | None, Interval | None]:
    """A hold time with its interval: as wide, for its size, as that of the throughput there.

    In a closed loop every connection is busy, so hold = connections / throughput, and the interval
    of the one is that of the other. Between the sizes measured the nearest on a log scale counts.
    """
    if recommendation.hold_time is None:
        return None, None
    value: float | None = getattr(recommendation.hold_time, quantity)
    size = 1 if quantity == "at_one" else recommendation.recommended_size
    points = [] if sizing is None else [p for p in sizing.points if p.interval95 is not None]
    if value is None or size is None or not points:
        return value, None
    near = min(points, key=lambda p: abs(math.log(p.pool_size / size)))
    assert near.interval95 is not None
    low, high = near.interval95
    if low <= 0:
        return value, None
    return value, (value * near.throughput / high, value * near.throughput / low)
