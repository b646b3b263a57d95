"""What a throughput curve shows, gathered once from the records, and the same in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.records import (
    Knee,
    LimitedBy,
    Plateau,
    PredictedWait,
    Recommendation,
    Record,
    Sizing,
    StatePoint,
    Trial,
)
from poolkit.show import trust, words
from poolkit.targets.objective import Objective
from poolkit.units import interval, milliseconds, number, plural, rate

Points = Sequence[tuple[float, float]]  # connections, and a height
# Widths of the interval, as shares of the throughput, up to which a state is drawn, and is known.
_DRAWN, _KNOWN = 1.0, 0.25
R = TypeVar("R", bound=Record)


class CurveAxes(NamedTuple):
    """The two axes of the chart: throughput above, times below."""

    throughput: Axes
    times: Axes

    @property
    def figure(self) -> Figure:
        """The figure that both are in."""
        figure = self.throughput.get_figure(root=True)
        assert figure is not None
        return figure


@dataclass(frozen=True)
class Scene:
    """What is drawn, gathered once; pool sizes are connections in all pools together."""

    sizing: Sizing | None
    trials: tuple[Trial, ...]
    recommendation: Recommendation | None
    pools: int | None = None  # of the fleet; None: as many as the size was tried with
    pools_left: int | None = None  # with a replica lost; None: as the trials or the sizing have it
    slowed: float = 1.0  # what was measured is drawn with calls this many times as long
    # Of a measurement under way, until it has a sizing and a recommendation of its own:
    asked: Objective | None = None
    seen: tuple[StatePoint, ...] = ()
    now: int | None = None  # connections of the trial that runs

    @property
    def finding(self) -> str:
        """The finding as a sentence: the chart's title."""
        return words.finding(self.sizing, self.recommendation, self.trials, self.pools)

    @property
    def left(self) -> int:
        """Pools that carry the target rate, a lost replica taken off."""
        if self.pools_left is not None:
            return self.pools_left
        return words.pools_left(self.sizing, self.trials, self.recommendation)

    @property
    def curve(self) -> list[Trial]:
        """The trials that make the curve."""
        return [t for t in self.trials if t.is_of_curve]

    @property
    def sizes(self) -> list[int]:
        """Sizes of the curve, in order."""
        return sorted({t.connections for t in self.curve})

    @property
    def line(self) -> Points:
        """The pooled curve: what was fitted, or the means of the trials so far."""
        points = self.sizing.points if self.sizing else ()
        fitted = sorted((float(p.pool_size), p.throughput) for p in points)
        return fitted or _means(self.repeats)

    @property
    def repeats(self) -> Points:
        """Each trial that passed its checks."""
        return [(t.connections, t.throughput) for t in self.curve if t.is_usable]

    @property
    def unfit(self) -> Points:
        """Each trial that failed a check."""
        return [(t.connections, t.throughput) for t in self.curve if not t.is_usable]

    @property
    def states(self) -> list[StatePoint]:
        """Throughput by connections in use, where it is known well enough to be read."""
        return [s for s in self._seen if _width(s) <= _KNOWN]

    @property
    def vague_states(self) -> list[StatePoint]:
        """The same where few calls were released."""
        return [s for s in self._seen if _width(s) > _KNOWN]

    @property
    def _seen(self) -> list[StatePoint]:
        states = self.sizing.states if self.sizing else self.seen
        return [s for s in states if _width(s) <= _DRAWN]

    @property
    def is_swept(self) -> bool:
        """Whether sizes were measured one by one; else the states carry the picture."""
        return bool(self.curve)

    @property
    def is_from_production(self) -> bool:
        """Whether a service's own pools counted, and no curve was measured under load."""
        return self.recommendation is not None and self.recommendation.source == "production"

    @property
    def most_in_use(self) -> int | None:
        """The most connections that were seen in use; nothing can be said beyond."""
        return max((s.in_use for s in self._seen), default=None)

    @property
    def state_holds(self) -> Points:
        """Mean hold time (ms) by connections in use, n / X(n), where no sweep measured any."""
        if self.is_swept:
            return []
        return [(s.in_use, 1000 * (s.mean_hold or 0.0)) for s in self.states]

    @property
    def plateau(self) -> Plateau | None:
        """The plateau, where one was seen."""
        if self.sizing is not None and self.sizing.plateau is not None:
            return self.sizing.plateau
        return self.recommendation.plateau if self.recommendation else None

    @property
    def knee(self) -> Knee | None:
        """The Little's Law knee, the one that is drawn, where one was seen."""
        knees = (self.sizing.knees if self.sizing else ()) or (
            self.recommendation.knees if self.recommendation else ()
        )
        seen = (k for k in knees if k.rule == "littles_law" and k.size is not None)
        return next(seen, None)

    @property
    def knee_band(self) -> tuple[float, float, float] | None:
        """The knee and its interval, at least as wide as the eye needs."""
        bend = self.knee
        if bend is None or bend.size is None:
            return None
        low, high = bend.interval95 or (bend.size, bend.size)
        return bend.size, min(low, bend.size / 1.006), max(high, bend.size * 1.006)

    @property
    def recommended(self) -> int | None:
        """Connections recommended, all pools that are left together."""
        size = self.recommendation.recommended_size if self.recommendation else None
        return None if size is None else size * self.left

    @property
    def is_doubted(self) -> bool:
        """Whether the recommended size failed a check, or its verification."""
        return trust.was_seen_to_fail(self.recommendation)

    @property
    def as_fast(self) -> int | None:
        """Connections of a smaller size that serves callers as soon, all pools left together."""
        size = self.recommendation.smallest_as_fast if self.recommendation else None
        return None if size is None else size * self.left

    @property
    def target(self) -> float | None:
        """The target rate (calls/s)."""
        if self.recommendation is not None:
            return self.recommendation.target_rate
        return None if self.asked is None else self.asked.target_rate

    @property
    def wait_limit(self) -> float | None:
        """The longest good p99 wait (ms)."""
        chosen = self.recommendation or self.asked
        limit = None if chosen is None else chosen.wait_p99
        return None if limit is None else limit * 1000

    def hold(self, quantile: str) -> Points:
        """The hold time (ms) at each size of the curve; `quantile` is p50, p95 or p99."""
        times = [(t.connections, getattr(t.hold_time, quantile)) for t in self.curve if t.is_usable]
        return _means([(size, held * 1000) for size, held in times if held is not None])

    def wait(self, quantile: str) -> Points:
        """Waits (ms) measured in open loop at the target rate, not in the trial above it.

        A closed loop's waits say nothing of the target rate.
        """
        tried = [t for t in self.trials if t.purpose == "verify" and t.is_usable]
        times = [(t.connections, getattr(t.wait_time, quantile)) for t in tried]
        return sorted((size, wait * 1000) for size, wait in times if wait is not None)

    @property
    def predicted(self) -> Points:
        """The predicted p99 wait (ms) over the connections of the pools that are left."""
        known = self.sizing.predictions if self.sizing else ()
        waits = [(p.pool_size * self.left, p.wait_p99) for p in known]
        return sorted((size, wait * 1000) for size, wait in waits if wait is not None)

    def height_at(self, size: int) -> float:
        """The curve at `size`, read between the points for the eye only.

        Without a sweep that of the states; beyond these it is the rate that the size carries.
        """
        line = self.line or [(float(s.in_use), s.throughput) for s in self.states]
        for (x0, y0), (x1, y1) in itertools.pairwise(line):
            if x0 <= size <= x1:
                return y0 + (y1 - y0) * math.log(size / x0) / math.log(x1 / x0)
        return line[-1][1] if self.line else (self.target or 0.0)


def alt_text(
    sizing: Sizing | None,
    trials: Sequence[Trial],
    recommendation: Recommendation | None,
    pools: int | None = None,
) -> str:
    """The throughput curve in words, with its figures, for who cannot see it."""
    return scene_alt_text(Scene(sizing, tuple(trials), recommendation, pools))


def scene_alt_text(scene: Scene) -> str:
    """A scene in words, with its figures, for who cannot see it."""
    parts = [scene.finding + "."]
    curve, chosen = scene.curve, scene.recommendation
    if curve:
        means = _means(scene.repeats or [(t.connections, t.throughput) for t in curve])
        (first, low), (last, high) = means[0], means[-1]
        told = [f"{rate(low)} at {first}", f"{rate(high)} at {last}"][: len(means)]
        over = f"{plural(len(means), 'size')} from {first} to {last}"
        parts.append(f"Throughput over pool size, {over}: {', '.join(told)}.")
    if scene.states:
        seen = dict.fromkeys((scene.states[0], scene.states[-1]))
        told = [f"{rate(state.throughput)} with {state.in_use}" for state in seen]
        parts.append(f"By connections in use: {', '.join(told)}.")
    if scene.trials and not scene.is_swept:
        parts.append(f"No sweep: {words.beyond(scene.most_in_use)}.")
    if scene.plateau is not None:
        ends = interval(scene.plateau.interval95)
        parts.append(f"Plateau {rate(scene.plateau.throughput)} ({ends}).")
    if scene.knee is not None:
        ends = interval(scene.knee.interval95)
        parts.append(f"Little's Law knee {number(scene.knee.size)} ({ends}).")
    if scene.target is not None:
        parts.append(f"Target {rate(scene.target)}.")
    if scene.now is not None:
        parts.append(f"Now measured: {plural(scene.now, 'connection')}.")
    if chosen is not None and chosen.recommended_size is not None:
        pools = scene.pools or scene.left
        phrase = words.pool_phrase(chosen.recommended_size, pools)
        same = words.as_fast(chosen)
        parts.append(
            f"Recommended {phrase}, {words.verified_phrase(chosen)}{'; ' * bool(same)}{same}."
        )
    held = scene.hold("p50")  # ms
    if held:
        (first, low), (last, high) = held[0], held[-1]
        low, high = low / 1000, high / 1000
        parts.append(
            f"Median hold time {milliseconds(low)} at {first}, {milliseconds(high)} at {last}."
        )
    if scene.unfit:
        parts.append(f"{plural(len(scene.unfit), 'trial')} failed a check and are not fitted.")
    return " ".join(parts)


def what_if(
    sizing: Sizing,
    trials: Sequence[Trial],
    *,
    size: int | None,
    smallest_as_fast: int | None = None,
    target_rate: float,
    wait_p99: float | None = None,
    response_p99: float | None = None,
    limited_by: LimitedBy = "unknown",
    waits: Sequence[tuple[int, float]] = (),
    pools: int = 1,
    pools_left: int | None = None,
    hold_factor: float = 1.0,
) -> Scene:
    """The scene of an answer that nobody verified: what would be asked, and what it would take.

    Args:
        sizing, trials: what was measured; trials in service at another rate are left out.
        size: connections of one pool that would do; None: none would.
        smallest_as_fast: a smaller size with which callers are served as soon; None: there is none.
        target_rate: calls/s of the whole service, growth included.
        wait_p99, response_p99: s, longest acceptable p99 of the wait and of the response time.
        limited_by: what is in the way where no size would do.
        waits: predicted p99 waits (s) at sizes of one pool, for a dashed line.
        pools: of the whole fleet.
        pools_left: with replicas lost; `pools` by default.
        hold_factor: every call takes so many times as long as measured, more than 0.
    """
    answer = Recommendation(
        target=sizing.target,
        driver=trials[0].driver if trials else "",
        status="done",
        verdict=sizing.verdict.name,
        target_rate=target_rate,
        wait_p99=wait_p99,
        response_p99=response_p99,
        recommended_size=size,
        smallest_as_fast=smallest_as_fast,
    )
    predictions = tuple(
        PredictedWait(pool_size=at, exceedance=None, wait_p99=wait, hold_time=0.0, utilisation=0.0)
        for at, wait in waits
    )
    lower = {"throughput": 1 / hold_factor, "interval95": 1 / hold_factor}
    longer = {"p50": hold_factor, "p99": hold_factor}
    asked = sizing.model_copy(
        update={
            "size": size,
            "limited_by": limited_by,
            "out_of_reach": size is None and limited_by != "unknown",
            "predictions": predictions,
            # The same upstream with longer calls: its throughput is that much lower.
            "points": tuple(_times(point, lower) for point in sizing.points),
            "states": tuple(_times(state, lower) for state in sizing.states),
            "plateau": sizing.plateau and _times(sizing.plateau, lower),
        }
    )
    curve = tuple(
        _times(t, {"throughput": 1 / hold_factor}).model_copy(
            update={"hold_time": _times(t.hold_time, longer)}
        )
        for t in trials
        if t.is_of_curve
    )
    left = pools if pools_left is None else pools_left
    asked = _times(asked, {"hold_at_one": hold_factor})
    return Scene(asked, curve, answer, pools, left, slowed=hold_factor)


def _times(record: R, factors: Mapping[str, float]) -> R:
    """The record with some figures, or intervals of them, times a factor each."""
    update = {}
    for name, factor in factors.items():
        value = getattr(record, name)
        if isinstance(value, tuple):
            update[name] = tuple(end * factor for end in value)
        elif value is not None:
            update[name] = value * factor
    return record.model_copy(update=update)


def _means(points: Points) -> Points:
    """The mean height at each size, in order."""
    by_size: dict[float, list[float]] = {}
    for size, height in points:
        by_size.setdefault(size, []).append(height)
    return [(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]


def _width(state: StatePoint) -> float:
    """The width of the interval as a share of the throughput."""
    if state.interval95 is None or not state.throughput:
        return math.inf
    return (state.interval95[1] - state.interval95[0]) / state.throughput
