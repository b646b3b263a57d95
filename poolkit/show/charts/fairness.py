"""Do all callers wait alike when there are more of them than connections, with and without gate?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.records import Trial
from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.units import milliseconds, number, plural

HEIGHT = 2.6  # inches
_LEAST = 1e-4  # s: a shorter wait is drawn here, at the left edge


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
    """Longest over mean wait, and Jain's index."""
    said = []
    if trial.longest_wait_ratio is not None:
        said.append(f"longest {number(trial.longest_wait_ratio, 2)} × the mean")
    if trial.fairness is not None:
        said.append(f"Jain's index {number(trial.fairness, 2)} (1: all alike)")
    return ", ".join(said) or "nobody waited"


def fairness(without: Trial, gated: Trial, *, axes: Axes | None = None) -> Axes:
    """Draw the spread of waits of both; without `axes` a figure is made."""
    given = axes
    with style.house():
        axes = single_axes(axes, HEIGHT)
        rows = (
            ("without gate", without, style.VERMILION, "^"),
            ("with gate", gated, style.BLUE, "o"),
        )
        waits = [max(w or 0.0, _LEAST) for _, t, *_ in rows for w in _spread(t)]
        axes.set_xscale("log")
        span = max(waits) / min(waits) * 2
        # Room for the name of the longest wait, right of its mark.
        axes.set_xlim(min(waits) * 1000 / 1.6, max(waits) * 1000 * span**0.22)
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda value, _: number(value))
        axes.set_yticks([0, 1], labels=[name for name, *_ in rows])
        axes.set_ylim(1.6, -0.7)
        axes.tick_params(axis="y", length=0)
        callers = plural(without.callers or 0, "caller")
        axes.set_xlabel(
            f"wait (ms) of {callers} at {plural(without.pool_size, 'connection')}", loc="left"
        )
        entitle(axes, fairness_finding(without, gated), given)
        for row, (_, t, colour, marker) in enumerate(rows):
            _row(axes, row, t, colour, marker)
    return axes


def _spread(trial: Trial) -> tuple[float | None, ...]:
    seen = trial.wait_time
    return seen.p50, seen.p95, seen.p99, seen.longest


def _row(axes: Axes, row: int, trial: Trial, colour: str, marker: str) -> None:
    p50, p95, p99, longest = (max(w or 0.0, _LEAST) * 1000 for w in _spread(trial))
    axes.plot([p50, longest], [row, row], color=colour, lw=1.4, zorder=3)
    axes.plot([p50, p95], [row, row], color=colour, lw=6, alpha=0.45, zorder=3)
    axes.plot([p50], [row], "|", color=colour, ms=14, mew=2.2, zorder=4)
    axes.plot([p99], [row], "|", color=colour, ms=10, mew=1.4, zorder=4)
    axes.plot([longest], [row], marker, color=colour, ms=7.5, zorder=5)
    small = style.LABEL_SIZE - 0.5
    axes.annotate(
        f"longest {milliseconds(trial.wait_time.longest)}",
        (longest, row),
        (8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=small,
    )
    axes.annotate(
        f"half {milliseconds(trial.wait_time.p50)} or less; {_evenness(trial)}",
        (axes.get_xlim()[0], row),
        (6, 15),
        textcoords="offset points",
        color=style.INK,
        fontsize=small,
    )
