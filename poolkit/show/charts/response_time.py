"""Response time over pool size at the target rate: does a larger pool help, or move the queue?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.records import PredictedWait, Recommendation, Sizing, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, single_axes
from poolkit.show.charts.time_budget import in_service
from poolkit.units import milliseconds, plural, short_rate

HEIGHT = 3.6  # inches
_SAME = 0.05  # share by which two response times may differ and be called the same
_IN_SIGHT = 6.0  # times the best response time: what takes longer leaves the chart


def known(sizing: Sizing) -> list[PredictedWait]:
    """The predicted sizes that carry the rate, in order."""
    found = [p for p in sizing.predictions if p.response_time is not None]
    return sorted(found, key=lambda p: p.pool_size)


def response_finding(sizing: Sizing, recommendation: Recommendation) -> str:
    """The finding as a sentence: what a larger pool than the recommended one would do."""
    shown = known(sizing)
    size = recommendation.recommended_size
    at = next((p for p in shown if p.pool_size == size), None)
    if at is None or at.response_time is None:
        return "No size carries the target rate: response times grow without end"
    largest = shown[-1]
    assert largest.response_time is not None
    here = milliseconds(at.response_time)
    if largest.pool_size == at.pool_size:
        return f"With {plural(at.pool_size, 'connection')} a call takes {here}"
    gained = at.response_time - largest.response_time
    more = f"{largest.pool_size} connections in place of {at.pool_size}"
    if sizing.only_moves_queue or abs(gained) <= _SAME * at.response_time:
        return f"{more} would serve nobody sooner: a call takes {here} either way"
    there = milliseconds(largest.response_time)
    verb = "shorten" if gained > 0 else "lengthen"
    return f"{more} would {verb} a call from {here} to {there}"


def response_alt(sizing: Sizing, trials: Sequence[Trial], recommendation: Recommendation) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    parts = [response_finding(sizing, recommendation) + "."]
    for p in {p.pool_size: p for p in (known(sizing)[:1] + known(sizing)[-1:])}.values():
        response = p.response_time or 0.0
        parts.append(
            f"Predicted with {plural(p.pool_size, 'connection')}: mean response "
            f"{milliseconds(response)}, of which {milliseconds(max(0.0, response - p.hold_time))} "
            "wait."
        )
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
    best = min((p.response_time or 0.0 for p in known(sizing)), default=0.001)
    shown = [p for p in known(sizing) if (p.response_time or 0.0) <= _IN_SIGHT * best]
    sizes = [p.pool_size for p in shown] or [1]
    holds = [p.hold_time * 1000 for p in shown]
    responses = [(p.response_time or 0.0) * 1000 for p in shown]
    served = in_service(trials, recommendation)
    measured = None if served is None else served.response_time.mean
    named: list[tuple[Artist, str]] = []
    with single_axes(axes, HEIGHT, response_finding(sizing, recommendation)) as axes:
        top = max([*responses, (measured or 0.0) * 1000, 1e-6]) * 1.15
        axes.set_xlim(sizes[0] - 0.5, sizes[-1] + 0.5)
        axes.set_ylim(0, top)
        axes.set_xlabel("pool size (connections of one pool)", loc="left")
        axes.set_ylabel("mean time (ms)")
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        size = recommendation.recommended_size
        if size is not None:
            line = axes.axvline(size, color=style.GREEN, lw=2.4, zorder=2)
            named.append((line, f"recommended {size}"))
        if served is not None and measured is not None:
            point: Any = {"color": style.GREEN, "ms": 8, "ls": "", "zorder": 6}
            (mark,) = axes.plot([served.pool_size], [measured * 1000], marker="D", **point)
            named.append((mark, f"measured {milliseconds(measured)}"))
        if shown:
            hold = axes.fill_between(sizes, 0, holds, color=style.BLUE, alpha=0.22, lw=0)
            wait = axes.fill_between(sizes, holds, responses, alpha=0.55, lw=0, hatch="//")
            wait.set(facecolor=style.VERMILION, edgecolor=style.PAPER)
            (line,) = axes.plot(sizes, responses, color=style.INK, lw=1.8, marker="o", ms=4)
            at = short_rate(sizing.rate_per_pool)
            named += [
                (line, f"response = wait + hold,\npredicted at {at}"),
                (wait, "wait"),
                (hold, "hold"),
            ]
        if response_p99 is not None and response_p99 * 1000 <= top:
            line = axes.axhline(response_p99 * 1000, color=style.VERMILION, lw=1.2, ls=":")
            named.append((line, f"p99 asked: {milliseconds(response_p99)}"))
        legend_beside(axes, named)
    return axes
