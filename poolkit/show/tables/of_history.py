"""The reviews of a target over time, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.review.trend import QUANTITIES, Reviewed, Trend
from poolkit.show import over_time
from poolkit.show.tables.table import Column, Number, Table
from poolkit.units import NONE, plural

_CHANGED = Column[Reviewed]("since the one before", over_time.changed)


def history(trend: Trend) -> Table:
    """One row a review, the latest last."""
    return _of(trend, trend.reviews, (_measured(trend), *_figures(trend), _CHANGED))


def history_in_short(trend: Trend, most: int | None = None) -> tuple[Table, Table]:
    """The figures, and what changed where something did: two tables that a terminal has room for.

    Of the latest `most` reviews, or of all.
    """
    shown = trend.reviews[-most:] if most else trend.reviews
    changed = [review for review in shown if over_time.changed(review) != NONE]
    what = Table.of("What changed since the review before", (_measured(trend), _CHANGED), changed)
    return _of(trend, shown, (_measured(trend), *_figures(trend))), what


def _measured(trend: Trend) -> Column[Reviewed]:
    """The date, with the time (UTC) where several reviews are of one day."""
    days = {review.measured[:10] for review in trend.reviews}
    length = 10 if len(days) == len(trend.reviews) else 16
    return Column("measured", lambda review: review.measured[:length].replace("T", " "))


def _figures(trend: Trend) -> list[Column[Reviewed]]:
    """A column for each quantity that any review has."""

    def of(quantity: str) -> Number[Reviewed]:
        return Number(
            over_time.name(quantity),
            lambda review: over_time.figure(quantity, review.figures.get(quantity)),
        )

    there = (name for name in QUANTITIES if any(name in one.figures for one in trend.reviews))
    return [*map(of, there)]


def _of(trend: Trend, shown: Sequence[Reviewed], columns: Sequence[Column[Reviewed]]) -> Table:
    caption = f"{trend.target}: {plural(len(trend.reviews), 'review')}"
    if len(shown) < len(trend.reviews):
        caption += f", the latest {len(shown)}"
    stepped = {step.measured for step in trend.steps}
    return Table.of(caption, columns, shown, lambda review: review.measured in stepped)
