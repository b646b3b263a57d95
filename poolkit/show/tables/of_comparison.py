"""The table of what changed since an earlier review."""

from __future__ import annotations

from poolkit.review.compare import Comparison, Difference
from poolkit.show import words
from poolkit.show.tables.table import Column, Columns, Number, Table

_QUANTITY = Column("quantity", words.quantity)
_THEN, _NOW = Number("then", words.then), Number("now", words.now)
_NOISE = Column("larger than the noise", words.is_larger_than_noise)
_OF_ALL: Columns[Difference] = (
    Column("target", lambda d: d.target),
    _QUANTITY,
    _THEN,
    _NOW,
    _NOISE,
)
_OF_ONE: Columns[Difference] = (
    _QUANTITY,
    _THEN,
    Number("95 % interval", lambda d: words.interval_of(d, d.before_interval)),
    _NOW,
    Number("95 % interval", lambda d: words.interval_of(d, d.after_interval)),
    _NOISE,
)


def changes(comparison: Comparison, target: str | None = None) -> Table:
    """Then and now, and whether the difference is larger than the noise of both.

    `target`: of this one alone, with the intervals; of all, each named, by default.
    """
    since = comparison.before[:10]
    if target is None:
        caption = f"What changed since the review of {since}"
        return Table.of(caption, _OF_ALL, comparison.differences)
    of_target = [d for d in comparison.differences if d.target == target]
    return Table.of(f"What changed since {since}", _OF_ONE, of_target)
