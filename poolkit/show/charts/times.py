"""The lower half of the throughput curve: median and p99 of hold and wait over the pool size."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from poolkit.records import Recommendation, Sizing, Trial
from poolkit.show.charts import style
from poolkit.show.charts.labels import Placer
from poolkit.show.charts.scene import Scene
from poolkit.units import milliseconds, number

Series = list[tuple[float, float]]  # (connections, ms)


def draw_times(axes: Axes, scene: Scene) -> None:
    """Draw hold time (squares) as the sweep saw it, and wait (triangles) at the target rate.

    A closed loop's waits say nothing of the target rate: waits are those of open-loop trials.
    """
    trials, recommendation = scene.trials, scene.recommendation
    limit = recommendation.wait_p99 if recommendation else None
    hold_p50, hold_p99 = hold_series(trials, "p50"), hold_series(trials, "p99")
    wait_p50, wait_p99 = _wait(trials, recommendation, "p50"), _wait(trials, recommendation, "p99")
    predicted = predicted_series(scene.sizing, scene.left, axes.get_xlim())
    top = _top(hold_p50, hold_p99, wait_p99, limit)
    axes.set_ylim(-0.03 * top, top)
    placer = Placer(axes)
    if scene.recommended is not None:
        placer.take_line([scene.recommended] * 2, [0, top], width=3)
    if limit is not None:
        axes.axhline(limit * 1000, color=style.VERMILION, lw=1.2, ls=":", zorder=2)
        placer.take_line(list(axes.get_xlim()), [limit * 1000] * 2, width=2)
    _line(axes, placer, hold_p99, style.BLUE, "s", dashed=True)
    _line(axes, placer, hold_p50, style.BLUE, "s", dashed=False)
    _line(axes, placer, predicted, style.VERMILION, "", dashed=True)
    _marks(axes, placer, wait_p99, "^", filled=True)
    _marks(axes, placer, wait_p50, "v", filled=False)
    _name(placer, "hold p99", _in_sight(hold_p99, top)[-1:], style.BLUE, (-0.4, 1))
    _name(placer, "hold p50", _in_sight(hold_p50, top)[-1:], style.BLUE, (-0.4, -1))
    if limit is not None:
        low, high = axes.get_xlim()
        at = (low * (high / low) ** 0.13, limit * 1000)
        words = f"wait target {milliseconds(limit)}"
        placer.put(words, at, colour=style.VERMILION, side=(0, 1), along="x")
    if wait_p99:
        words = f"wait at target: p99 ▲ {number(wait_p99[-1][1], 2)} ms"
        if wait_p50:
            words += f", p50 ▽ {number(wait_p50[-1][1], 2)} ms"
        at = (wait_p99[-1][0], min(wait_p99[-1][1], top))
        _name(placer, words, [at], style.VERMILION, (1, 0.4))
    _name(placer, "wait p99, predicted", _in_sight(predicted, top)[:1], style.VERMILION, (-1, 0))


def hold_series(trials: Sequence[Trial], quantile: str) -> Series:
    """The hold time at each size of the curve; `quantile` is p50, p95 or p99."""
    by_size: dict[int, list[float]] = {}
    for t in trials:
        seen: float | None = getattr(t.hold_time, quantile)
        if t.is_of_curve and t.is_usable and seen is not None:
            by_size.setdefault(t.pool_size * t.pools, []).append(seen * 1000)
    return [(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]


def _wait(trials: Sequence[Trial], recommendation: Recommendation | None, quantile: str) -> Series:
    """Waits measured in open loop at the target rate (not in the trial above it)."""
    if recommendation is None:
        return []
    marks = []
    for t in trials:
        seen: float | None = getattr(t.wait_time, quantile)
        if t.purpose == "verify" and seen is not None and t.is_usable:
            marks.append((float(t.pool_size * t.pools), seen * 1000))
    return sorted(marks)


def predicted_series(sizing: Sizing | None, pools: int, limits: tuple[float, float]) -> Series:
    """The predicted p99 wait over the connections of `pools` pools, within these limits."""
    if sizing is None:
        return []
    return sorted(
        (p.pool_size * pools, p.wait_p99 * 1000)
        for p in sizing.predictions
        if p.wait_p99 is not None and limits[0] <= p.pool_size * pools <= limits[1]
    )


def _top(hold_p50: Series, hold_p99: Series, wait: Series, limit: float | None) -> float:
    """The height (ms): that of hold times and wait target; a saturated pool's waits leave it."""
    nothing = limit * 1000 if limit is not None else 1.0
    median = max((y for _, y in hold_p50), default=nothing)
    high = [median, *(y for _, y in hold_p99 if y <= 6 * median)]
    if limit is not None:
        high.append(min(limit * 1000 * 1.3, 6 * median))
    high += [y for _, y in wait if y <= 2 * max(high)]
    return max(high) * 1.3


def _in_sight(series: Series, top: float) -> Series:
    return [(x, y) for x, y in series if y <= top]


def _line(
    axes: Axes, placer: Placer, series: Series, colour: str, marker: str, *, dashed: bool
) -> None:
    if not series:
        return
    xs, ys = zip(*series, strict=True)
    axes.plot(
        xs,
        ys,
        color=colour,
        lw=1.2 if dashed else 1.8,
        ls=(0, (4, 2.5)) if dashed else "-",
        marker=marker or None,
        ms=4.2 if dashed else 5.2,
        mfc=style.PAPER if dashed else colour,
        mec=colour if dashed else style.PAPER,
        mew=0.9,
        zorder=4 if dashed else 5,
    )
    placer.take_line(xs, ys, width=4)


def _marks(axes: Axes, placer: Placer, series: Series, marker: str, *, filled: bool) -> None:
    if not series:
        return
    low, high = axes.get_ylim()
    xs = [x for x, _ in series]
    ys = [min(y, high - 0.03 * (high - low)) for _, y in series]
    axes.plot(
        xs,
        ys,
        marker,
        color=style.VERMILION,
        mfc=style.VERMILION if filled else style.PAPER,
        mec=style.PAPER if filled else style.VERMILION,
        ms=8.5 if filled else 6,
        mew=0.9,
        ls="",
        zorder=7 if filled else 8,
    )
    placer.take_points(xs, ys, size=7)


def _name(placer: Placer, words: str, at: Series, colour: str, side: tuple[float, float]) -> None:
    for point in at:
        placer.put(words, point, colour=colour, side=side, fontsize=style.LABEL_SIZE - 0.5)
