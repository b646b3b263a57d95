"""What of a live chart stays the same while sliders move, as a value: equal ones share pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poolkit.show.charts import style
from poolkit.show.charts.scene import Scene, means
from poolkit.show.charts.times import hold_series

Points = tuple[tuple[float, float], ...]

_NICE = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_IN_SIGHT = 2.5  # a target above this many plateaus is named at the edge, not drawn to scale


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything that a background shows; equal sights share one."""

    width: int
    height: int
    dark: bool
    sizes: tuple[int, ...]
    limits: tuple[float, float]  # connections
    top: float  # calls/s
    times_top: float  # ms
    curve: Points
    band: tuple[tuple[float, float, float], ...]
    trials: Points
    unfit: Points
    hold_p50: Points
    hold_p99: Points
    hold_at_one: float | None
    plateau: float | None
    knee: tuple[float, float, float] | None  # size and its interval, where in sight
    slowed: float  # calls are drawn this many times as long as they were measured

    @classmethod
    def of(cls, scene: Scene, width: int, height: int, dark: bool) -> Sight:
        """What of a scene stays the same while its target moves."""
        good = [t for t in scene.curve if t.is_usable]
        points = sorted(scene.sizing.points, key=lambda p: p.pool_size) if scene.sizing else []
        curve = tuple((p.pool_size, p.throughput) for p in points) or tuple(means(good))
        sizes = tuple(sorted({t.pool_size * t.pools for t in scene.curve})) or (1, 2)
        hold_p50, hold_p99 = hold_series(scene.trials, "p50"), hold_series(scene.trials, "p99")
        bend, limits = scene.knee, _limits(sizes, scene.recommended)
        knee = None
        if bend is not None and bend.size is not None and limits[0] < bend.size < limits[1]:
            low, high = bend.interval95 or (bend.size, bend.size)
            knee = (bend.size, min(low, bend.size / 1.006), max(high, bend.size * 1.006))
        return cls(
            width=width,
            height=height,
            dark=dark,
            sizes=sizes,
            limits=limits,
            top=_top(scene, curve),
            times_top=_times_top(scene, hold_p50, hold_p99),
            curve=curve,
            band=tuple((p.pool_size, *p.interval95) for p in points if p.interval95),
            trials=tuple((t.pool_size * t.pools, t.throughput) for t in good),
            unfit=tuple(
                (t.pool_size * t.pools, t.throughput) for t in scene.curve if not t.is_usable
            ),
            hold_p50=tuple(hold_p50),
            hold_p99=tuple(hold_p99),
            hold_at_one=scene.sizing.hold_at_one if scene.sizing else None,
            plateau=scene.plateau.throughput if scene.plateau else None,
            knee=knee,
            slowed=scene.slowed,
        )

    def colour(self, light: str) -> str:
        """A colour of the style, as this sight's paper needs it."""
        return style.DARK.get(light, light) if self.dark else light


def _limits(sizes: tuple[int, ...], recommended: int | None) -> tuple[float, float]:
    low, high = sizes[0], max(sizes[-1], sizes[0] * 1.5)
    if recommended is not None and recommended > high:
        high = high * 2 ** math.ceil(math.log2(recommended / high))
    return low / 1.13, high * 1.13


def _top(scene: Scene, curve: Points) -> float:
    seen = max([y for _, y in curve] + [t.throughput for t in scene.curve], default=0.0)
    top = max(seen, scene.plateau.throughput if scene.plateau else 0.0)
    target = scene.target or 0.0
    if target <= _IN_SIGHT * top or not top:
        top = max(top, target)
    return _nice(top * 1.12)


def _times_top(
    scene: Scene, hold_p50: list[tuple[float, float]], hold_p99: list[tuple[float, float]]
) -> float:
    limit = scene.recommendation.wait_p99 if scene.recommendation else None
    median = max((y for _, y in hold_p50), default=0.0)
    high = [median, *(y for _, y in hold_p99 if y <= 6 * median)]
    if limit is not None:
        high.append(min(limit * 1000 * 1.3, 6 * median) if median else limit * 1000)
    return _nice(max(high) * 1.1)


def _nice(value: float) -> float:
    """The next rounder number: a slider that moves a little does not move the axis."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (*_NICE, 20.0) if step * unit >= value)
