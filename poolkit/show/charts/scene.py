"""What a throughput curve shows, gathered once from the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.records import (
    Interval,
    Knee,
    LimitedBy,
    Plateau,
    PredictedWait,
    Recommendation,
    Sizing,
    Trial,
)
from poolkit.show.charts.words import alt_text, knee
from poolkit.show.words import pools_left


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

    @property
    def left(self) -> int:
        """Pools that carry the target rate, a lost replica taken off."""
        if self.pools_left is not None:
            return self.pools_left
        return pools_left(self.sizing, self.trials, self.recommendation)

    @property
    def curve(self) -> list[Trial]:
        """The trials that make the curve."""
        return [t for t in self.trials if t.is_of_curve]

    @property
    def sizes(self) -> list[int]:
        """Sizes measured, in order."""
        return sorted({t.pool_size * t.pools for t in self.trials})

    @property
    def plateau(self) -> Plateau | None:
        """The plateau, where one was seen."""
        if self.sizing is not None and self.sizing.plateau is not None:
            return self.sizing.plateau
        return self.recommendation.plateau if self.recommendation else None

    @property
    def knee(self) -> Knee | None:
        """The Little's Law knee, where one was seen."""
        return knee(self.sizing, self.recommendation)

    @property
    def recommended(self) -> int | None:
        """Connections recommended, all pools that are left together."""
        size = self.recommendation.recommended_size if self.recommendation else None
        return None if size is None else size * self.left

    @property
    def target(self) -> float | None:
        """The target rate (calls/s)."""
        return self.recommendation.target_rate if self.recommendation else None


def what_if(
    sizing: Sizing,
    trials: Sequence[Trial],
    *,
    size: int | None,
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
    )
    predictions = tuple(
        PredictedWait(pool_size=at, exceedance=None, wait_p99=wait, hold_time=0.0, utilisation=0.0)
        for at, wait in waits
    )
    asked = sizing.model_copy(
        update={
            "size": size,
            "limited_by": limited_by,
            "out_of_reach": size is None and limited_by != "unknown",
            "predictions": predictions,
        }
    )
    curve = tuple(t for t in trials if t.is_of_curve)
    if hold_factor != 1.0:
        asked, curve = _slowed(asked, hold_factor), tuple(_slow(t, hold_factor) for t in curve)
    left = pools if pools_left is None else pools_left
    return Scene(asked, curve, answer, pools, left, slowed=hold_factor)


def _slowed(sizing: Sizing, factor: float) -> Sizing:
    """The same upstream with every call `factor` times as long: throughput is that much lower."""
    lower = 1.0 / factor
    plateau = sizing.plateau
    return sizing.model_copy(
        update={
            "points": tuple(
                p.model_copy(
                    update={
                        "throughput": p.throughput * lower,
                        "interval95": _times(p.interval95, lower),
                    }
                )
                for p in sizing.points
            ),
            "plateau": plateau
            and plateau.model_copy(
                update={
                    "throughput": plateau.throughput * lower,
                    "interval95": _times(plateau.interval95, lower),
                }
            ),
            "hold_at_one": sizing.hold_at_one and sizing.hold_at_one * factor,
        }
    )


def _slow(trial: Trial, factor: float) -> Trial:
    held = trial.hold_time
    update = {name: (seen := getattr(held, name)) and seen * factor for name in ("p50", "p99")}
    return trial.model_copy(
        update={
            "throughput": trial.throughput / factor,
            "hold_time": held.model_copy(update=update),
        }
    )


def _times(values: Interval | None, factor: float) -> Interval | None:
    return None if values is None else (values[0] * factor, values[1] * factor)


def scene_alt_text(scene: Scene) -> str:
    """A scene in words, with its figures, for who cannot see it."""
    return alt_text(scene.sizing, scene.trials, scene.recommendation, scene.pools)


def means(trials: Sequence[Trial]) -> list[tuple[int, float]]:
    """The mean throughput at each size, in order."""
    by_size: dict[int, list[float]] = {}
    for t in trials:
        by_size.setdefault(t.pool_size * t.pools, []).append(t.throughput)
    return [(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]
