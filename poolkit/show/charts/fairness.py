"""Do all callers wait alike when there are more of them than connections, with and without gate?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.records import Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, log_times, row_axes
from poolkit.show.charts.spreads import draw_spread, points
from poolkit.units import milliseconds, number, plural


def pair(trials: Sequence[Trial]) -> tuple[Trial, Trial] | None:
    """The latest crowded trials without and with the gate; None where one was not made."""
    crowded = [t for t in trials if t.purpose == "fairness" and t.wait_time.longest is not None]
    without = [t for t in crowded if t.gate is None]
    gated = [t for t in crowded if t.gate is not None]
    return (without[-1], gated[-1]) if without and gated else None


def fairness_finding(without: Trial, gated: Trial) -> str:
    """The finding as a sentence: the longest wait of each."""
    alone, behind = without.wait_time.longest or 0.0, gated.wait_time.longest or 0.0
    if behind >= 0.8 * alone:
        return f"With the gate or without it the longest wait is {milliseconds(alone)}"
    times = number(alone / behind, 2) if behind else "many"
    return (
        f"Without the gate somebody waits {milliseconds(alone)}, {times} times as long as anybody "
        f"does with it"
    )


def fairness_alt(without: Trial, gated: Trial) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    callers = plural(without.callers or 0, "caller")
    parts = [
        fairness_finding(without, gated) + ".",
        f"Waits of {callers} at {plural(without.pool_size, 'connection')}.",
    ]
    for name, t in (("Without the gate", without), ("With the gate", gated)):
        seen = t.wait_time
        parts.append(
            f"{name}: half wait {milliseconds(seen.p50)} or less, 99 % {milliseconds(seen.p99)}, "
            f"the longest {milliseconds(seen.longest)}; {_evenness(t)}."
        )
    return " ".join(parts)


def _evenness(trial: Trial) -> str:
    longest, jain = trial.longest_wait_ratio, trial.fairness
    parts = [] if longest is None else [f"longest {number(longest, 2)} × the mean"]
    parts += [] if jain is None else [f"Jain's index {number(jain, 2)} (1: all alike)"]
    return ", ".join(parts) or "nobody waited"


def fairness(without: Trial, gated: Trial, *, axes: Axes | None = None) -> Axes:
    """Draw the spread of waits of both; without `axes` a figure is made."""
    callers = plural(without.callers or 0, "caller")
    below = f"wait (ms) of {callers} at {plural(without.pool_size, 'connection')}"
    names = ("without gate", "with gate")
    with row_axes(axes, names, fairness_finding(without, gated), below, row=0.7) as axes:
        log_times(axes, [value for t in (without, gated) for value in points(t.wait_time)])
        for row, t in enumerate((without, gated)):
            seen, colour = t.wait_time, style.BLUE if row else style.VERMILION
            longest = draw_spread(axes, row, seen, is_focus=not row)
            beside(axes, f"longest {milliseconds(seen.longest)}", (longest, row), colour)
            words = f"half {milliseconds(seen.p50)} or less; {_evenness(t)}"
            beside(axes, words, (axes.get_xlim()[0], row), xytext=(6, 19))
    return axes
