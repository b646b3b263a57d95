"""What changed between two reviews, and whether it is more than noise; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from pydantic import Field

from poolkit.records import Interval, Recommendation, RecommendedFile, Record, Sizing

# A recommended size is found to within one connection of the smallest that passes.
SIZE_RESOLUTION = 1
NO_INTERVAL = "no interval is known"
Unit = Literal["connections", "calls/s", "s", ""]


class Difference(Record):
    """One quantity of one target, then and now.

    `is_larger_than_noise` is whether the two intervals are apart; None: it cannot be said, and
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
    sizings = (sizings_before or {}, sizings_after or {})
    differences: list[Difference] = []
    for name in dict.fromkeys((*later, *earlier)):
        old, new = earlier.get(name), later.get(name)
        if old is None or new is None:
            there = [None if entry is None else "there" for entry in (old, new)]
            differences.append(_exact(name, "target", "", *there))
        else:
            differences += _of_target(old, new, *(known.get(name) for known in sizings))
    return Comparison(
        before=before.created, after=after.created, caution=caution, differences=tuple(differences)
    )


def are_apart(a: Interval, b: Interval) -> bool:
    """Whether two intervals share no value: a difference larger than the noise of both."""
    return a[1] < b[0] or b[1] < a[0]


def _of_target(
    old: Recommendation, new: Recommendation, old_sizing: Sizing | None, new_sizing: Sizing | None
) -> Iterator[Difference]:
    # What was asked of the pool is a setting: any change is a real one, and explains others.
    for quantity, unit in _SETTINGS.items():
        was, is_now = getattr(old, quantity), getattr(new, quantity)
        if was != is_now:
            yield _exact(new.target, quantity, unit, was, is_now)
    for quantity, (unit, read) in _MEASURED.items():
        before, after = read(old, old_sizing), read(new, new_sizing)
        if before.value is not None or after.value is not None:
            yield _measured(new.target, quantity, unit, before, after)


def _exact(
    target: str, quantity: str, unit: Unit, before: float | str | None, after: float | str | None
) -> Difference:
    return Difference(
        target=target,
        quantity=quantity,
        unit=unit,
        before=before,
        after=after,
        is_larger_than_noise=True,
    )


class _Figure(NamedTuple):
    """A measured value and its 95 % interval, as far as they are known."""

    value: float | None = None
    interval: Interval | None = None


def _measured(
    target: str, quantity: str, unit: Unit, before: _Figure, after: _Figure
) -> Difference:
    larger, note = None, ""
    if before.value is None or after.value is None:
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


def _size(recommendation: Recommendation, _: Sizing | None) -> _Figure:
    size = recommendation.recommended_size
    if size is None:
        return _Figure()
    return _Figure(size, (size - SIZE_RESOLUTION, size + SIZE_RESOLUTION))


def _plateau(recommendation: Recommendation, _: Sizing | None) -> _Figure:
    plateau = recommendation.plateau
    return _Figure() if plateau is None else _Figure(plateau.throughput, plateau.interval95)


def _knee(recommendation: Recommendation, _: Sizing | None) -> _Figure:
    """The Little's Law knee, the one drawn on every chart."""
    for knee in recommendation.knees:
        if knee.rule == "littles_law":
            return _Figure(knee.size, knee.interval95)
    return _Figure()


def _hold_at_one(recommendation: Recommendation, sizing: Sizing | None) -> _Figure:
    times = recommendation.hold_time
    return _Figure() if times is None else _hold(times.at_one, 1, sizing)


def _hold_at_size(recommendation: Recommendation, sizing: Sizing | None) -> _Figure:
    times = recommendation.hold_time
    if times is None:
        return _Figure()
    return _hold(times.at_recommended, recommendation.recommended_size, sizing)


def _hold(value: float | None, size: int | None, sizing: Sizing | None) -> _Figure:
    """A hold time with its interval: as wide, for its size, as that of the throughput there.

    In a closed loop every connection is busy, so hold = connections / throughput, and the interval
    of the one is that of the other. Between the sizes measured the nearest on a log scale counts.
    """
    points = [] if sizing is None else [p for p in sizing.points if p.interval95 is not None]
    if value is None or size is None or not points:
        return _Figure(value)
    near = min(points, key=lambda p: abs(math.log(p.pool_size / size)))
    assert near.interval95 is not None
    low, high = near.interval95
    if low <= 0:
        return _Figure(value)
    return _Figure(value, (value * near.throughput / high, value * near.throughput / low))


_SETTINGS: dict[str, Unit] = {"status": "", "target_rate": "calls/s", "wait_p99": "s"}
_MEASURED: dict[str, tuple[Unit, Callable[[Recommendation, Sizing | None], _Figure]]] = {
    "recommended_size": ("connections", _size),
    "plateau": ("calls/s", _plateau),
    "knee": ("connections", _knee),
    "hold_time.at_one": ("s", _hold_at_one),
    "hold_time.at_recommended": ("s", _hold_at_size),
}
