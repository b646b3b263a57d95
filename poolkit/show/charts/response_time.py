"""Response time over pool size at the target rate: does a larger pool help, or move the queue?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.records import Recommendation, Sizing, Trial
from poolkit.show import trust
from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, single_axes
from poolkit.show.charts.points import name_points
from poolkit.show.charts.time_budget import in_service
from poolkit.units import milliseconds, plural, short_rate

HEIGHT = 3.6  # inches
SAME = 0.05  # share by which two response times may differ and be called the same
_IN_SIGHT = 6.0  # times the best response time: what takes longer leaves the chart


class Predicted(NamedTuple):
    """The times (s) that are predicted at a size of one pool; means, but for the last."""

    size: int
    hold: float
    response: float
    p99: float | None  # of the response


def known(sizing: Sizing) -> list[Predicted]:
    """The predicted sizes that carry the rate, in order."""
    return sorted(
        Predicted(p.pool_size, p.hold_time, p.response_time, p.response_p99)
        for p in sizing.predictions
        if p.response_time is not None
    )


def response_finding(sizing: Sizing, recommendation: Recommendation) -> str:
    """The finding as a sentence: what a larger pool than the recommended one would do."""
    shown = known(sizing)
    at = next((p for p in shown if p.size == recommendation.recommended_size), None)
    if at is None:
        return "No size carries the target rate: response times grow without end"
    largest, here = shown[-1], milliseconds(at.response)
    if largest.size == at.size:
        return f"With {plural(at.size, 'connection')} a call takes {here}"
    gained = at.response - largest.response
    more = f"{largest.size} connections in place of {at.size}"
    few = next((p for p in shown if p.size == recommendation.smallest_as_fast), None)
    if few is not None:
        return (
            f"{at.size} connections in place of {few.size} serve nobody sooner: a call takes "
            f"{milliseconds(few.response)} with {few.size} and {here} with {at.size}"
        )
    if abs(gained) <= SAME * at.response:
        there = milliseconds(largest.response)
        takes = f"{here} either way"
        if here != there:
            takes = f"{here} with {at.size} and {there} with {largest.size}"
        return f"{more} would serve nobody sooner: a call takes {takes}"
    verb = "shorten" if gained > 0 else "lengthen"
    return f"{more} would {verb} a call from {here} to {milliseconds(largest.response)}"


def response_alt(sizing: Sizing, trials: Sequence[Trial], recommendation: Recommendation) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    shown = known(sizing)
    parts = [response_finding(sizing, recommendation) + "."]
    sizes = (recommendation.smallest_as_fast, recommendation.recommended_size)
    told = [p for p in shown if p.size in sizes]
    parts += [
        f"Predicted with {plural(p.size, 'connection')}: mean response {milliseconds(p.response)}, "
        f"p99 {milliseconds(p.p99)}; of the mean {milliseconds(max(0.0, p.response - p.hold))} "
        "are wait."
        for p in dict.fromkeys([*shown[:1], *told, *shown[-1:]])
    ]
    seen = in_service(trials, recommendation)
    if seen is not None:
        parts.append(f"Measured with {seen.pool_size}: {milliseconds(seen.response_time.mean)}.")
    return " ".join(parts)


def response_time(
    sizing: Sizing,
    trials: Sequence[Trial],
    recommendation: Recommendation,
    *,
    response_p99: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw mean hold and wait, one upon the other, over the size of one pool at its target rate.

    Args:
        response_p99: s, longest good p99 of the response time; None: not asked.
        axes: to draw on; without it a figure is made.
    """
    best = min((p.response for p in known(sizing)), default=0.001)
    shown = [p for p in known(sizing) if p.response <= _IN_SIGHT * best]
    sizes = [p.size for p in shown] or [1]
    holds, responses = [p.hold * 1000 for p in shown], [p.response * 1000 for p in shown]
    served = in_service(trials, recommendation)
    measured = None if served is None else served.response_time.mean
    size = recommendation.recommended_size
    named: list[tuple[Artist, str]] = []
    is_doubted = trust.was_seen_to_fail(recommendation)
    colour = style.AMBER if is_doubted else style.GREEN
    with single_axes(axes, HEIGHT, response_finding(sizing, recommendation)) as axes:
        top = max([*responses, (measured or 0.0) * 1000, 1e-6]) * 1.15
        axes.set_xlim(sizes[0] - 0.5, sizes[-1] + 0.5)
        axes.set_ylim(0, top)
        axes.set_xlabel("pool size (connections of one pool)")
        axes.set_ylabel("mean time (ms)")
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        if size is not None:
            line = axes.axvline(size, color=colour, lw=2.4, zorder=2)
            named.append((line, f"{'⚠ ' * is_doubted}recommended {size}"))
        few = recommendation.smallest_as_fast
        if few is not None:
            line = axes.axvline(few, color=style.GREEN, lw=1.8, ls=(0, (5, 2)), zorder=2)
            named.append((line, f"{few}: the same\nresponse time"))
        if served is not None and measured is not None:
            point: Any = {"color": colour, "ms": 8, "ls": "", "zorder": 6}
            (mark,) = axes.plot([served.pool_size], [measured * 1000], marker="D", **point)
            name_points(mark, [f"measured with {served.pool_size}: {milliseconds(measured)}"])
            named.append((mark, f"measured {milliseconds(measured)}"))
        if shown:
            hold = axes.fill_between(sizes, 0, holds, color=style.BLUE, alpha=0.22, lw=0)
            wait = axes.fill_between(sizes, holds, responses, alpha=0.55, lw=0, hatch="//")
            wait.set(facecolor=style.VERMILION, edgecolor=style.PAPER)
            (line,) = axes.plot(sizes, responses, color=style.INK, lw=1.8, marker="o", ms=4)
            name_points(line, [_said(p) for p in shown])
            predicted = f"response = wait + hold,\npredicted at {short_rate(sizing.rate_per_pool)}"
            named += [(line, predicted), (wait, "wait"), (hold, "hold")]
        if response_p99 is not None and response_p99 * 1000 <= top:
            line = axes.axhline(response_p99 * 1000, color=style.VERMILION, lw=1.2, ls=":")
            named.append((line, f"p99 asked: {milliseconds(response_p99)}"))
        legend_beside(axes, named)
    return axes


def _said(p: Predicted) -> str:
    wait = milliseconds(max(0.0, p.response - p.hold))
    return (
        f"{plural(p.size, 'connection')}: response {milliseconds(p.response)} = "
        f"wait {wait} + hold {milliseconds(p.hold)}; p99 {milliseconds(p.p99)}"
    )
