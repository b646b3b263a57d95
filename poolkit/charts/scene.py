"""What a throughput curve shows, gathered once from the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poolkit.charts.words import knee, pools_left
from poolkit.records import Knee, Plateau, Recommendation, Sizing, Trial


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

    @property
    def left(self) -> int:
        """Pools that carry the target rate, a lost replica taken off."""
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


def means(trials: Sequence[Trial]) -> list[tuple[int, float]]:
    """The mean throughput at each size, in order."""
    by_size: dict[int, list[float]] = {}
    for t in trials:
        by_size.setdefault(t.pool_size * t.pools, []).append(t.throughput)
    return [(size, sum(by_size[size]) / len(by_size[size])) for size in sorted(by_size)]
