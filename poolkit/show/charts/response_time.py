"""Response time over pool size at the target rate: does a larger pool help, or move the queue?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.records import PredictedWait, Recommendation, Sizing, Trial
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.show.charts.labels import Placer
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
    given = axes
    best = min((p.response_time or 0.0 for p in known(sizing)), default=0.001)
    shown = [p for p in known(sizing) if (p.response_time or 0.0) <= _IN_SIGHT * best]
    with style.house():
        axes = single_axes(axes, HEIGHT)
        sizes = [p.pool_size for p in shown] or [1]
        holds = [p.hold_time * 1000 for p in shown]
        responses = [(p.response_time or 0.0) * 1000 for p in shown]
        seen = in_service(trials, recommendation)
        measured = None if seen is None else seen.response_time.mean
        top = max([*responses, (measured or 0.0) * 1000, 1e-6]) * 1.3
        axes.set_xlim(sizes[0] - 0.5, sizes[-1] + 0.5)
        axes.set_ylim(0, top)
        axes.set_xlabel("pool size (connections of one pool)", loc="left")
        axes.set_ylabel("mean time (ms)")
        entitle(axes, response_finding(sizing, recommendation), given)
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        placer = Placer(axes)
        if shown:
            axes.fill_between(sizes, 0, holds, color=style.BLUE, alpha=0.22, lw=0)
            waits = axes.fill_between(sizes, holds, responses, alpha=0.55, lw=0, hatch="//")
            waits.set(facecolor=style.VERMILION, edgecolor=style.PAPER)
            axes.plot(sizes, responses, color=style.INK, lw=1.8, marker="o", ms=4)
            placer.take_line(sizes, responses, width=4)
            placer.take_line(sizes, holds, width=2)
        size = recommendation.recommended_size
        if size is not None:
            axes.axvline(size, color=style.GREEN, lw=2.4, zorder=2)
            placer.take_line([size, size], [0, top], width=3)
            words, at = f"recommended {size}", (size, 0.9 * top)
            placer.put(words, at, colour=style.GREEN, side=(1, 0), along="y", fontweight="bold")
        if response_p99 is not None and response_p99 * 1000 <= top:
            axes.axhline(response_p99 * 1000, color=style.VERMILION, lw=1.2, ls=":")
        if seen is not None and measured is not None:
            axes.plot([seen.pool_size], [measured * 1000], "D", color=style.GREEN, ms=8, zorder=6)
            placer.take_points([seen.pool_size], [measured * 1000], size=8)
            words = f"measured {milliseconds(measured)}"
            placer.put(words, (seen.pool_size, measured * 1000), colour=style.GREEN, side=(1, 1))
        if shown:
            _names(placer, sizes, holds, responses, sizing)
    return axes


def _names(
    placer: Placer,
    sizes: Sequence[int],
    holds: Sequence[float],
    responses: Sequence[float],
    sizing: Sizing,
) -> None:
    rate = short_rate(sizing.rate_per_pool)
    words = f"response = wait + hold,\npredicted at {rate}"
    placer.put(words, (sizes[-1], responses[-1]), colour=style.INK, side=(-1, 1))
    placer.put("hold", (sizes[-1], holds[-1] / 2), colour=style.BLUE, side=(-1, 0))
    gap = max(range(len(sizes)), key=lambda i: responses[i] - holds[i])
    if responses[gap] - holds[gap] > 0.02 * responses[gap]:
        middle = (responses[gap] + holds[gap]) / 2
        placer.put("wait", (sizes[gap], middle), colour=style.VERMILION, side=(1, 1))
