"""How long calls wait at the recommended size: shares beyond each wait, predicted and seen."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from poolkit.histogram import share_above
from poolkit.records import Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import legend_beside, single_axes
from poolkit.show.words import pool_phrase
from poolkit.units import milliseconds, number, plural, share, short_rate

HEIGHT = 3.9  # inches
ALLOWED = 0.01  # share of the calls that may wait longer: what a p99 says
_STEPS = 160

Points = Sequence[tuple[float, float]]  # (wait in s, share of the calls that wait longer)


def wait_finding(trial: Trial, predicted: Points, wait_p99: float | None) -> str:
    """The finding as a sentence: the share that waits too long, measured and predicted."""
    limit = 0.001 if wait_p99 is None else wait_p99
    seen = share(share_above(trial.wait_time.buckets, limit), 1)
    at = short_rate(trial.arrival_rate)
    text = f"{seen} of the calls waited longer than {milliseconds(limit)} at {at}"
    expected = next((p for w, p in predicted if w >= limit), None)
    if wait_p99 is None or expected is None:
        return text
    return f"{text}; {share(expected, 1)} were predicted"


def wait_alt(trial: Trial, predicted: Points, wait_p99: float | None) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    seen = trial.wait_time
    text = (
        f"{wait_finding(trial, predicted, wait_p99)}. "
        f"Share of calls that wait longer, over the wait, with "
        f"{pool_phrase(trial.pool_size, trial.pools)}: of {plural(seen.count, 'call')} half "
        f"waited {milliseconds(seen.p50)} or less, 99 % {milliseconds(seen.p99)} or less, the "
        f"longest {milliseconds(seen.longest)}."
    )
    if wait_p99 is None:
        return text
    return f"{text} Asked: at most 1 % wait longer than {milliseconds(wait_p99)}."


def wait_distribution(
    trial: Trial, predicted: Points, wait_p99: float | None, *, axes: Axes | None = None
) -> Axes:
    """Draw the share of calls that wait longer than each wait; without `axes` a figure is made.

    Args:
        trial: the size in service at the target rate.
        predicted: the queue model's shares, waits ascending; empty where there is no prediction.
        wait_p99: s, longest wait that is still good; None: not asked.
    """
    seen = trial.wait_time
    longest = max(2.0 * (wait_p99 or 0.0), 1.1 * (seen.longest or 0.0), 0.001)
    longest = min(longest, 6.0 * (wait_p99 or longest))
    with single_axes(axes, HEIGHT, wait_finding(trial, predicted, wait_p99)) as axes:
        floor = min(0.5 / max(seen.count, 1), 5e-4)
        axes.set_yscale("log")
        axes.set_xlim(0, longest * 1000)
        axes.set_ylim(floor, 1.3)
        shares = [s for s in (1.0, 0.1, 0.01, 0.001, 0.0001) if s >= floor]
        axes.set_yticks(shares, labels=[f"{s * 100:g} %" for s in shares])
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_xlabel("wait for a connection (ms)")
        axes.set_ylabel("calls that wait longer")
        waits = [longest * i / _STEPS for i in range(_STEPS + 1)]
        measured = [(w, share_above(seen.buckets, w)) for w in waits]
        named: list[tuple[Artist, str]] = []
        for points, words, colour, dash in (
            (measured, f"measured,\n{plural(seen.count, 'call')}", style.BLUE, "-"),
            (predicted, "predicted\nfrom the curve", style.MUTED, (0, (5, 3))),
        ):
            shown = [(w * 1000, s) for w, s in points if s >= floor and w <= longest]
            if shown:
                xs, ys = zip(*shown, strict=True)
                (line,) = axes.plot(xs, ys, color=colour, lw=2.0, ls=dash, zorder=4)
                named.append((line, words))
        if wait_p99 is not None:
            words = f"asked: at most 1 % of the\ncalls wait longer than\n{milliseconds(wait_p99)}"
            named.append((_asked(axes, wait_p99), words))
        legend_beside(axes, named)
    return axes


def _asked(axes: Axes, limit: float) -> Artist:
    """The corner that is not allowed, with its two edges."""
    x, high, top = limit * 1000, axes.get_xlim()[1], axes.get_ylim()[1]
    axes.fill_between([x, high], ALLOWED, top, color=style.VERMILION, alpha=0.10, lw=0)
    axes.axhline(ALLOWED, color=style.VERMILION, lw=1.3, ls=":")
    return axes.axvline(x, color=style.VERMILION, lw=1.3, ls=":")
