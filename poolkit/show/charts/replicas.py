"""Were the replicas of a fleet served alike? The p99 wait of each and what it carried."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.records import GeneratorShare, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, new_figure, set_margins, title_lines
from poolkit.units import milliseconds, number, plural, share

MOST_ROWS = 12  # of many replicas those that wait longest
_ROW = 0.36  # inches
_LEFT, _RIGHT = 96, 24  # px beside the axes


def verified_by_replicas(trials: Sequence[Trial], pool_size: int | None) -> Trial | None:
    """The last trial that verified the size with two generators or more; None: there is none."""
    found = [
        t
        for t in trials
        if t.purpose == "verify" and t.pool_size == pool_size and len(t.generators) > 1
    ]
    return found[-1] if found else None


def replicas_finding(trial: Trial) -> str:
    """The finding as a sentence: whether they waited alike, and carried alike."""
    each = trial.generators
    slowest = max(each, key=_wait)
    others = [_wait(one) for one in each if one is not slowest]
    rates = [one.throughput / one.pools for one in each]
    low, high = number(min(rates)), number(max(rates))
    carried = f"{low if low == high else f'{low} to {high}'} calls/s for each pool"
    if all(check.passed for check in trial.checks if check.name == "replicas_alike"):
        return (
            f"{plural(len(each), 'replica')} served alike: p99 waits of "
            f"{milliseconds(min(others))} to {milliseconds(_wait(slowest))}, {carried}"
        )
    usual = sum(others) / len(others)
    return (
        f"Replicas are not served alike: p99 wait {milliseconds(_wait(slowest))} at "
        f"{slowest.name}, {milliseconds(usual)} at the others on average; {carried}"
    )


def replicas_alt(trial: Trial) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [
        f"{one.name}: p99 wait {milliseconds(one.wait_p99)}, {share(_part(one, trial), 1)} of the "
        f"calls with {plural(one.pools, 'pool')}."
        for one in _shown(trial)
    ]
    whole = f"All together: p99 wait {milliseconds(trial.wait_time.p99)}."
    return " ".join([replicas_finding(trial) + ".", *said, whole])


def replicas(trial: Trial) -> Axes:
    """Draw the p99 waits on the left and the shares of the calls on the right; the left axes."""
    rows = _shown(trial)
    with style.house():
        height = 1.35 + _ROW * (len(rows) + 1)
        figure = new_figure((style.FIGURE_SIZE[0], height), layout=None)
        waits, parts = figure.subplots(1, 2, sharey=True)
        lines = title_lines(replicas_finding(trial), figure.bbox.width, _LEFT)
        set_margins(figure, len(lines), _LEFT, _RIGHT)
        figure.subplots_adjust(wspace=0.12)
        waits.set_title("\n".join(lines), wrap=False, **style.TITLE)
        names = [*(one.name for one in rows), "all together"]
        waits.set_yticks(range(len(names)), labels=names)
        waits.set_ylim(len(names) - 0.4, -0.6)
        _draw_waits(waits, rows, trial)
        _draw_parts(parts, rows, trial)
        for axes in (waits, parts):
            axes.tick_params(axis="y", length=0, pad=7)
            axes.spines["left"].set_visible(False)
            axes.set_axisbelow(True)
            axes.grid(axis="x", color=style.FAINT, alpha=0.25)
    left: Axes = waits
    return left


def _draw_waits(axes: Axes, rows: Sequence[GeneratorShare], trial: Trial) -> None:
    whole = 1e3 * (trial.wait_time.p99 or 0.0)
    at = [1e3 * _wait(one) for one in rows]
    axes.set_xlim(0, 1.25 * max([*at, whole, 1e-3]))
    axes.axvline(whole, color=style.FAINT, ls=":", lw=1.0)
    axes.plot(at, range(len(rows)), "o", color=style.VERMILION, ms=6, mec=style.PAPER, mew=0.8)
    axes.plot([whole], [len(rows)], "D", color=style.INK, ms=5.5)
    for row, wait in enumerate([*at, whole]):
        colour = style.VERMILION if row < len(rows) else style.INK
        beside(axes, milliseconds(wait / 1e3), (wait, row), colour)
    axes.set_xlabel("p99 wait (ms)")


def _draw_parts(axes: Axes, rows: Sequence[GeneratorShare], trial: Trial) -> None:
    parts = [100 * _part(one, trial) for one in rows]
    even = [100 * one.pools / trial.pools for one in rows]
    axes.set_xlim(0, 1.3 * max([*parts, *even]))
    axes.barh(range(len(rows)), parts, height=0.5, color=style.BLUE)
    for row, (part, fair) in enumerate(zip(parts, even, strict=True)):
        axes.plot([fair, fair], [row - 0.38, row + 0.38], color=style.INK, lw=1.4)
        beside(axes, f"{number(part)} %", (max(part, fair), row), style.BLUE)
    beside(axes, f"{number(trial.throughput)} calls/s", (0, len(rows)), style.INK)
    axes.set_xlabel("share of the calls served (%); upright: its pools' share")


def _shown(trial: Trial) -> list[GeneratorShare]:
    kept = sorted(trial.generators, key=_wait, reverse=True)[:MOST_ROWS]
    return [one for one in trial.generators if one in kept]


def _wait(one: GeneratorShare) -> float:
    return one.wait_p99 or 0.0


def _part(one: GeneratorShare, trial: Trial) -> float:
    whole = sum(each.throughput for each in trial.generators)
    return one.throughput / whole if whole else 0.0
