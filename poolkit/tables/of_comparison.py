"""The table of what changed since an earlier review."""

from __future__ import annotations

from poolkit.compare import Comparison, Difference
from poolkit.tables.table import Table
from poolkit.units import NONE, milliseconds, number, rate

QUANTITIES = {
    "target_rate": "rate asked",
    "wait_p99": "longest p99 wait",
    "recommended_size": "size",
    "hold_time.at_one": "hold time at one connection",
    "hold_time.at_recommended": "hold time at the size",
}


def changes(comparison: Comparison) -> Table:
    """Then and now, and whether the difference is larger than the noise of both."""
    rows = tuple(
        (
            d.target,
            QUANTITIES.get(d.quantity, d.quantity.replace("_", " ")),
            _value(d, d.before),
            _value(d, d.after),
            _noise(d),
        )
        for d in comparison.differences
    )
    columns = ("target", "quantity", "then", "now", "larger than the noise")
    caption = f"What changed since the review of {comparison.before[:10]}"
    return Table(caption, columns, rows, frozenset({2, 3}))


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
