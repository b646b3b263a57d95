"""The names in a live chart: every line, band and region says what it is, where nothing lies."""

from __future__ import annotations

import math

from poolkit.show.charts import style
from poolkit.show.charts.live_stage import Stage
from poolkit.show.charts.scene import Scene
from poolkit.show.charts.throughput import OVERSIZED_FROM
from poolkit.show.charts.times import predicted_series
from poolkit.units import interval, milliseconds, number, short_rate

Region = tuple[float, float, str, tuple[str, ...]]  # from size, to size, colour, its names


def regions(stage: Stage, scene: Scene) -> list[Region]:
    """What the sizes in sight mean, the longer names first."""
    size = scene.recommended
    if size is None:
        return []
    low, high = stage.sight.limits
    start = size / math.sqrt(1 + 1 / size)  # half way to the next smaller size, on a log axis
    end = max(size * OVERSIZED_FROM, size + 1)
    found: list[Region] = [
        (low, start, style.UNDERSIZED, ("undersized", "under-\nsized")),
        (start, min(end, high), style.RIGHT_SIZE, ("right size", "right\nsize")),
        (end, high, style.OVERSIZED, ("oversized", "over-\nsized")),
    ]
    return [region for region in found if region[0] < region[1]]


def name_all(stage: Stage, scene: Scene) -> None:
    """Write every name, those first that a reader looks for first."""
    stage.place_names()
    _answer(stage, scene)
    _rates(stage, scene)
    _times(stage, scene)
    _knee(stage, scene)
    _curve(stage)
    for left, right, _, names in regions(stage, scene):
        at = (math.sqrt(left * right), stage.sight.top)
        for words in names:
            if stage.name(
                stage.throughput,
                words,
                at,
                style.MUTED,
                (0.0, -1.0),
                along="x",
                within=(left, right),
                is_needed=False,
                is_tied=False,
            ):
                break


def _answer(stage: Stage, scene: Scene) -> None:
    size, chosen = scene.recommended, scene.recommendation
    if size is None or chosen is None:
        return
    words = f"{'predicted' if chosen.verification is None else 'recommended'} "
    words += str(chosen.recommended_size)
    pools = scene.pools or scene.left
    if pools > 1:
        words += f" in each of {pools} pools"
        if scene.left < pools:
            words += f",\nseen with {scene.left} left ({size} in all)"
    at, plot = (size, 0.3 * stage.sight.top), stage.throughput
    right = stage.x(size) < 0.75 * stage.sight.width
    side = (1.0 if right else -1.0, 0.0)
    stage.name(plot, words, at, style.GREEN, side, along="y", fontweight="bold")


def _rates(stage: Stage, scene: Scene) -> None:
    """Target and plateau: the upper of the two lines is named above it, the lower below."""
    sight, plot = stage.sight, stage.throughput
    low, high = sight.limits
    at = low * (high / low) ** 0.1
    target = scene.target
    is_above = sight.plateau is None or target is None or target >= sight.plateau
    if target is not None:
        words, colour = f"target {short_rate(target)}", style.VERMILION
        if target > sight.top:
            words += ", above this chart ↑"
        side = (0.0, 1.0 if is_above and target <= sight.top else -1.0)
        stage.name(plot, words, (at, min(target, sight.top)), colour, side, along="x")
    if sight.plateau is not None:
        words = f"plateau {short_rate(sight.plateau)}"
        side = (0.0, -1.0 if is_above and target is not None else 1.0)
        stage.name(plot, words, (at, sight.plateau), style.MUTED, side, along="x")


def _times(stage: Stage, scene: Scene) -> None:
    sight, plot = stage.sight, stage.times
    low, high = sight.limits
    limit = scene.recommendation.wait_p99 if scene.recommendation else None
    if limit is not None:
        height = limit * 1000
        words, above = f"wait target {milliseconds(limit)}", height <= sight.times_top
        if not above:
            words += ", above this chart ↑"
        at = (low * (high / low) ** 0.1, min(height, sight.times_top))
        side = (0.0, 1.0 if above else -1.0)
        stage.name(plot, words, at, style.VERMILION, side, along="x")
    series = predicted_series(scene.sizing, scene.left, sight.limits)
    for x, y in [(x, y) for x, y in series if y <= 0.9 * sight.times_top][:1]:
        words = "wait p99, predicted"
        stage.name(plot, words, (x, y), style.VERMILION, (-1.0, 0.0), is_needed=False)
    for words, points, up in (
        ("hold p99", sight.hold_p99, 1.0),
        ("hold p50", sight.hold_p50, -1.0),
    ):
        seen = [at for at in points if at[1] <= sight.times_top]
        # Beside the last point, else where there is room.
        for at in [*seen[-1:], *seen[:1], *seen[len(seen) // 2 :][:1]]:
            if stage.name(plot, words, at, style.BLUE, (-0.4, up), is_needed=False):
                break


def _knee(stage: Stage, scene: Scene) -> None:
    sight = stage.sight
    if sight.knee is None:
        return
    size, low, high = sight.knee
    words = f"Little's Law knee\n{number(size)} ({interval((low, high))})"
    # On the far side of the recommended size, so that its line is not in between.
    chosen = scene.recommended
    right = stage.x(high) < 0.5 * sight.width if chosen is None else size > chosen
    edge, side = (high, 1.0) if right else (low, -1.0)
    at = (edge, 0.12 * sight.top)
    stage.name(stage.throughput, words, at, style.INK, (side, 0.0), along="y", is_needed=False)


def _curve(stage: Stage) -> None:
    sight, plot = stage.sight, stage.throughput
    if sight.curve:
        words = "measured"
        if sight.slowed != 1.0:
            words += f",\ncalls {number(sight.slowed)} times as long"
        stage.name(plot, words, sight.curve[-1], style.BLUE, (-0.4, -1.0), is_needed=False)
    if sight.unfit:
        words = "failed a check:\nnot fitted"
        stage.name(plot, words, max(sight.unfit), style.MUTED, (0.0, -1.0), is_needed=False)
    if sight.hold_at_one:
        low, high = sight.limits
        y = min(0.6 * sight.top, 0.6 * high / sight.hold_at_one)
        if low < y * sight.hold_at_one < high:
            at = (y * sight.hold_at_one, y)
            stage.name(plot, "n / S(1)", at, style.MUTED, (-1.0, 0.4), is_needed=False)
