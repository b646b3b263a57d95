"""What the single points of the throughput curve are, in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import StatePoint
from poolkit.show import trust
from poolkit.show.charts.scene import Points, Scene
from poolkit.show.words import verified_phrase
from poolkit.units import interval, listed, milliseconds, number, plural, rate


def trials(scene: Scene, *, usable: bool) -> list[str]:
    """Each trial of the curve that passed its checks, or each that did not."""
    said = []
    for t in scene.curve:
        if t.is_usable is not usable:
            continue
        words = (
            f"{plural(t.connections, 'connection')}: {rate(t.throughput)}, "
            f"wait p99 {milliseconds(t.wait_time.p99)}, hold p50 {milliseconds(t.hold_time.p50)}, "
            f"{plural(sum(t.outcomes.values()), 'call')} in {number(t.window, 2)} s"
        )
        if not usable:
            doubts = [trust.doubt(check) for check in t.failed_checks]
            words += f"; not fitted: {t.stopped or listed(doubts)}"
        said.append(words)
    return said


def size(scene: Scene) -> list[str]:
    """The size that is recommended, where there is one."""
    chosen = scene.recommendation
    if chosen is None or scene.recommended is None:
        return []
    sizes = plural(scene.recommended, "connection")
    return [f"recommended: {sizes}, {verified_phrase(chosen)}"]


def times(what: str, points: Points) -> list[str]:
    """A time (ms) at each of some sizes."""
    return [f"{plural(int(n), 'connection')}: {what} {number(ms, 2)} ms" for n, ms in points]


def states(seen: Sequence[StatePoint]) -> list[str]:
    """Throughput by connections in use."""
    return [
        f"{s.in_use} in use: {rate(s.throughput)} ({interval(s.interval95)}), "
        f"mean hold {milliseconds(s.mean_hold)}, {plural(s.releases, 'call')} "
        f"in {number(s.seconds)} s"
        for s in seen
    ]
