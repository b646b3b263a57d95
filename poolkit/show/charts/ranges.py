"""What of a throughput curve is in sight: sizes, heights, and which sizes are named."""

from __future__ import annotations

import math
from collections.abc import Sequence

from poolkit.show.charts.scene import Scene

_IN_SIGHT = 2.5  # a target above this many plateaus is named, not drawn to scale
_ROOM = 1.18  # of the highest thing drawn: room for the names of the regions
_NICE = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_CLEAR = 0.05  # share of the axis between two named sizes


def named_sizes(
    sizes: Sequence[int], limits: tuple[float, float], recommended: int | None = None
) -> list[int]:
    """Sizes to name on a log axis: powers of two first, as many as stand clear of each other.

    Before these the recommended one, where it is given.
    """
    low, high = limits
    first = [] if recommended is None else [recommended]
    last = int(high / 1.13 + 0.5)
    powers = [size for size in sizes if size & (size - 1) == 0]
    shown: list[int] = []
    for size in [*first, sizes[0], last, *powers, *sizes]:
        if all(abs(math.log(size / s)) >= _CLEAR * math.log(high / low) for s in shown):
            shown.append(size)
    return sorted(shown)


def sizes(scene: Scene) -> tuple[float, float]:
    """The sizes in sight (connections); a recommended one beyond those measured doubles them."""
    tried, recommended = named(scene), scene.recommended
    low, high = float(tried[0]), max(tried[-1], tried[0] * 1.5)
    high = max(high, *(s.in_use for s in scene.states), 0)
    # Without a sweep there is nothing to show beyond those and the recommended size itself.
    if recommended is not None and scene.is_swept and recommended > high:
        high *= 2 ** math.ceil(math.log2(recommended / high))
    return low / 1.13, high * 1.13


def named(scene: Scene) -> list[int]:
    """The sizes to name: those measured; without a sweep those seen in use, and the recommended."""
    now = set() if scene.now is None else {scene.now}
    if scene.sizes:
        return sorted({*scene.sizes, *now})
    shown = {s.in_use for s in (*scene.states, *scene.vague_states)} | {scene.recommended or 1}
    if scene.asked is not None:  # the same axis until sizes are measured
        shown |= {1, scene.asked.max_size}
    return sorted(shown) if len(shown) > 1 else [1, 2]


def throughput(scene: Scene) -> float:
    """The height (calls/s), with room for the names of the regions; 0 is the foot."""
    heights = [t.throughput for t in scene.curve]
    heights += [s.throughput for s in scene.states or scene.vague_states]
    if scene.sizing is not None:
        heights += [p.interval95[1] for p in scene.sizing.points if p.interval95]
    if scene.plateau is not None:
        heights.append(scene.plateau.throughput)
    top, target = max(heights, default=0.0), scene.target or 0.0
    if not top or target <= _IN_SIGHT * top:
        top = max(top, target)
    return _nice(top * _ROOM)


def times(scene: Scene) -> float:
    """The height (ms): that of hold times and wait target; a saturated pool's waits leave it."""
    limit = scene.wait_limit
    median = max((y for _, y in (*scene.hold("p50"), *scene.state_holds)), default=0.0)
    high = [median, *(y for _, y in scene.hold("p99") if y <= 6 * median)]
    if limit is not None:
        high.append(min(limit * 1.3, 6 * median) if median else limit)
    most = 2 * max(high) or math.inf
    high += [y for _, y in scene.wait("p99") if y <= most]
    return _nice(max(high) * 1.1)


def _nice(value: float) -> float:
    """The next rounder number: a slider that moves a little does not move the axis."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (*_NICE, 20.0) if step * unit >= value)
