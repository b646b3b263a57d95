"""The reviews of a target over time, as a table."""

from __future__ import annotations

from poolkit.review.trend import QUANTITIES, Reviewed, Trend
from poolkit.show import over_time
from poolkit.show.tables.table import Column, Number, Table
from poolkit.units import plural


def history(trend: Trend, most: int | None = None) -> Table:
    """One row a review, the latest last; of the latest `most`, or of all."""

    def of(quantity: str) -> Number[Reviewed]:
        return Number(
            over_time.name(quantity),
            lambda review: over_time.figure(quantity, review.figures.get(quantity)),
        )

    shown = trend.reviews[-most:] if most else trend.reviews
    caption = f"{trend.target}: {plural(len(trend.reviews), 'review')}"
    if len(shown) < len(trend.reviews):
        caption += f", the latest {len(shown)}"
    columns = [
        Column[Reviewed]("measured", lambda review: review.measured[:10]),
        *(of(name) for name in QUANTITIES if any(name in one.figures for one in trend.reviews)),
        Column[Reviewed]("since the one before", over_time.changed),
    ]
    stepped = {step.measured for step in trend.steps}
    return Table.of(caption, columns, shown, lambda review: review.measured in stepped)
