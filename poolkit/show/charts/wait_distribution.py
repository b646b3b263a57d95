"""How long calls wait at the recommended size: shares beyond each wait, predicted and seen."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.histogram import share_above
from poolkit.records import Trial
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.show.charts.labels import Placer
from poolkit.show.words import pool_phrase
from poolkit.units import milliseconds, number, plural, share, short_rate

HEIGHT = 3.9  # inches
ALLOWED = 0.01  # share of the calls that may wait longer: what a p99 says
_STEPS = 160

Points = Sequence[tuple[float, float]]  # (wait in s, share of the calls that wait longer)


def beyond(trial: Trial, longest: float) -> list[tuple[float, float]]:
    """The measured share of calls that wait longer, at waits from 0 to `longest` (s)."""
    waits = [longest * i / _STEPS for i in range(_STEPS + 1)]
    return [(w, share_above(trial.wait_time.buckets, w)) for w in waits]


def wait_finding(trial: Trial, predicted: Points, wait_p99: float | None) -> str:
    """The finding as a sentence: the share that waits too long, measured and predicted."""
    at = short_rate(trial.arrival_rate)
    limit = wait_p99
    if limit is None:
        waited = share_above(trial.wait_time.buckets, 0.001)
        return f"{share(waited, 1)} of the calls waited longer than 1 ms at {at}"
    seen = share_above(trial.wait_time.buckets, limit)
    text = f"{share(seen, 1)} of the calls waited longer than {milliseconds(limit)} at {at}"
    expected = at_wait(predicted, limit)
    if expected is not None:
        text += f"; {share(expected, 1)} were predicted"
    return text


def at_wait(predicted: Points, wait: float) -> float | None:
    """The predicted share at a wait (s), read off the points; None beyond them."""
    for w, p in predicted:
        if w >= wait:
            return p
    return None


def wait_alt(trial: Trial, predicted: Points, wait_p99: float | None) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    seen = trial.wait_time
    parts = [
        wait_finding(trial, predicted, wait_p99) + ".",
        f"Share of calls that wait longer, over the wait, with "
        f"{pool_phrase(trial.pool_size, trial.pools)}: of {plural(seen.count, 'call')} half "
        f"waited {milliseconds(seen.p50)} or less, 99 % {milliseconds(seen.p99)} or less, the "
        f"longest {milliseconds(seen.longest)}.",
    ]
    if wait_p99 is not None:
        parts.append(f"Asked: at most 1 % wait longer than {milliseconds(wait_p99)}.")
    return " ".join(parts)


def wait_distribution(
    trial: Trial,
    predicted: Points,
    wait_p99: float | None,
    *,
    axes: Axes | None = None,
) -> Axes:
    """Draw the share of calls that wait longer than each wait; without `axes` a figure is made.

    Args:
        trial: the size in service at the target rate.
        predicted: the queue model's shares, waits ascending; empty where there is no prediction.
        wait_p99: s, longest wait that is still good; None: not asked.
    """
    given = axes
    seen = trial.wait_time
    longest = max(2.0 * (wait_p99 or 0.0), 1.1 * (seen.longest or 0.0), 0.001)
    longest = min(longest, 6.0 * (wait_p99 or longest))
    with style.house():
        axes = single_axes(axes, HEIGHT)
        floor = min(0.5 / max(seen.count, 1), 5e-4)
        axes.set_yscale("log")
        axes.set_xlim(0, longest * 1000)
        axes.set_ylim(floor, 1.3)
        shares = [s for s in (1.0, 0.1, 0.01, 0.001, 0.0001) if s >= floor]
        axes.set_yticks(shares, labels=[f"{s * 100:g} %" for s in shares])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel("wait for a connection (ms)", loc="left")
        axes.set_ylabel("calls that wait longer")
        entitle(axes, wait_finding(trial, predicted, wait_p99), given)
        placer = Placer(axes)
        if wait_p99 is not None:
            _asked(axes, placer, wait_p99)
        measured = [(w, s) for w, s in beyond(trial, longest) if s >= floor]
        expected = [(w, s) for w, s in predicted if s >= floor and w <= longest]
        _curve(axes, placer, expected, style.MUTED, (0, (5, 3)))
        _curve(axes, placer, measured, style.BLUE, "-")
        if measured:
            _name(placer, measured, f"measured, {plural(seen.count, 'call')}", style.BLUE, -1)
        if expected:
            _name(placer, expected, "predicted from the curve", style.MUTED, 1)
    return axes


def _asked(axes: Axes, placer: Placer, limit: float) -> None:
    """The corner that is not allowed, with its two edges named."""
    x, (low, high) = limit * 1000, axes.get_xlim()
    bottom, top = axes.get_ylim()
    axes.fill_between([x, high], ALLOWED, top, color=style.VERMILION, alpha=0.10, lw=0)
    axes.plot([x, x], [bottom, top], color=style.VERMILION, lw=1.3, ls=":")
    axes.plot([low, high], [ALLOWED, ALLOWED], color=style.VERMILION, lw=1.3, ls=":")
    placer.take_line([x, x], [bottom, top], width=2)
    placer.take_line([low, high], [ALLOWED, ALLOWED], width=2)
    words = f"asked: at most 1 % of the calls\nwait longer than {milliseconds(limit)}"
    placer.put(words, (x, 0.3), colour=style.VERMILION, side=(1, 0), along="y")


def _curve(axes: Axes, placer: Placer, points: Points, colour: str, dash: object) -> None:
    if points:
        xs, ys = [w * 1000 for w, _ in points], [s for _, s in points]
        axes.plot(xs, ys, color=colour, lw=2.0 if dash == "-" else 1.5, ls=dash, zorder=4)
        placer.take_line(xs, ys, width=4)


def _name(placer: Placer, points: Points, words: str, colour: str, side: int) -> None:
    wait, height = points[len(points) // 3]
    placer.put(words, (wait * 1000, height), colour=colour, side=(side, 0.3 * side))
