"""A service's times before and after other pool parameters, under the same load."""

from __future__ import annotations

from matplotlib.axes import Axes

from poolkit.show.before_after import ServiceComparison
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, log_times, row_axes
from poolkit.units import milliseconds, number, share

_LEAST = 1e-5  # s: a shorter time is drawn here, at the left edge


def _rows(found: ServiceComparison) -> list[tuple[str, float, float]]:
    """What callers felt, then each pool's wait; what one of the runs lacks is left out."""
    before, after = found.before, found.after
    pairs = [
        ("response, p50", before.response_p50, after.response_p50),
        ("response, p99", before.response_p99, after.response_p99),
        *((f"{was.pool}: mean wait", was.wait_time, now.wait_time) for was, now in found.pools),
    ]
    return [(name, was, now) for name, was, now in pairs if was is not None and now is not None]


def before_after_finding(found: ServiceComparison) -> str:
    """The finding as a sentence: p99 and errors."""
    before, after = found.before, found.after
    return (
        f"At {number(before.arrival_rate)}/s the p99 response goes from "
        f"{milliseconds(before.response_p99)} to {milliseconds(after.response_p99)}, errors from "
        f"{share(before.error_share, 1)} to {share(after.error_share, 1)}"
    )


def before_after_alt(found: ServiceComparison) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    first, second = found.before.label, found.after.label
    rows = [
        f"{name}: {milliseconds(was)} {first}, {milliseconds(now)} {second}."
        for name, was, now in _rows(found)
    ]
    return " ".join([f"{before_after_finding(found)}.", *rows])


def before_after(found: ServiceComparison, *, axes: Axes | None = None) -> Axes:
    """Draw a line a time, from before to after, on a log axis; without `axes` a figure is made.

    Raises:
        ValueError: the runs have no time in common.
    """
    rows = _rows(found)
    if not rows:
        raise ValueError("the two runs must have a time in common")
    below = f"ms; triangle: {found.before.label}, circle: {found.after.label}"
    names = [name for name, *_ in rows]
    with row_axes(axes, names, before_after_finding(found), below, row=0.5) as axes:
        log_times(axes, [max(v, _LEAST) * 1000 for _, *times in rows for v in times])
        low, high = axes.get_xlim()
        axes.set_xlim(left=low / (high / low) ** 0.13)  # room for a value left of the shortest
        for row, (_, was, now) in enumerate(rows):
            left, right = (max(value, _LEAST) * 1000 for value in (was, now))
            axes.plot([left, right], [row, row], color=style.FAINT, lw=1.6, zorder=2)
            _mark(axes, row, was, left, style.VERMILION, "^", is_left=left < right)
            _mark(axes, row, now, right, style.GREEN, "o", is_left=right <= left)
    return axes


def _mark(
    axes: Axes, row: int, value: float, at: float, colour: str, marker: str, is_left: bool
) -> None:
    axes.plot([at], [row], marker, color=colour, ms=7.5, zorder=4)
    side = {"xytext": (-9, 0), "ha": "right"} if is_left else {}
    beside(axes, milliseconds(value), (at, row), colour, **side)
