"""The table of what changed since an earlier review."""

from __future__ import annotations

from poolkit.records import Interval
from poolkit.review.compare import Comparison, Difference
from poolkit.show.tables.table import Table
from poolkit.units import NONE, interval, milliseconds, number, rate

QUANTITIES = {
    "target_rate": "rate asked",
    "wait_p99": "longest p99 wait",
    "recommended_size": "size",
    "knee": "Little's Law knee",
    "hold_time.at_one": "hold time at one connection",
    "hold_time.at_recommended": "hold time at the size",
}


def changes(comparison: Comparison, target: str | None = None) -> Table:
    """Then and now, and whether the difference is larger than the noise of both.

    `target`: of this one alone; of all, each named, by default.
    """
    if target is not None:
        return _of_one(comparison, target)
    rows = tuple(
        (
            d.target,
            _name(d),
            _value(d, d.before),
            _value(d, d.after),
            _noise(d),
        )
        for d in comparison.differences
    )
    columns = ("target", "quantity", "then", "now", "larger than the noise")
    caption = f"What changed since the review of {comparison.before[:10]}"
    return Table(caption, columns, rows, frozenset({2, 3}))


def _of_one(comparison: Comparison, target: str) -> Table:
    rows = tuple(
        (
            _name(d),
            _value(d, d.before),
            _interval(d, d.before_interval),
            _value(d, d.after),
            _interval(d, d.after_interval),
            _noise(d),
        )
        for d in comparison.differences
        if d.target == target
    )
    columns = ("quantity", "then", "95 % interval", "now", "95 % interval", "larger than the noise")
    caption = f"What changed since {comparison.before[:10]}"
    return Table(caption, columns, rows, frozenset({1, 2, 3, 4}))


def changed_since(comparison: Comparison, target: str) -> str:
    """A cell on what changed for one target by more than noise, and from what to what."""
    of_target = [d for d in comparison.differences if d.target == target]
    moved = [
        f"{_name(d)} {_value(d, d.before)} → {_value(d, d.after)}"
        for d in of_target
        if d.is_larger_than_noise and d.before != d.after
    ]
    if not of_target:
        return NONE
    return "; ".join(moved) or "nothing beyond noise"


def _name(difference: Difference) -> str:
    return QUANTITIES.get(difference.quantity, difference.quantity.replace("_", " "))


def _interval(difference: Difference, values: Interval | None) -> str:
    if values is None:
        return NONE
    if difference.unit == "s":
        return f"{interval((values[0] * 1000, values[1] * 1000))} ms"
    return interval(values)


def _value(difference: Difference, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or NONE
    if difference.unit == "s":
        return milliseconds(value)
    return rate(value) if difference.unit == "calls/s" else number(value)


def _noise(difference: Difference) -> str:
    if difference.before == difference.after:
        return "no change"
    if difference.is_larger_than_noise is None:
        return f"cannot be said: {difference.note}"
    return "yes" if difference.is_larger_than_noise else "no"
