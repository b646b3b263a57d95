"""A database's connections: what is reserved, in use elsewhere, taken by the fleet, and left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from poolkit.show.charts import style
from poolkit.show.charts.figures import RIGHT, beside, legend_beside, row_axes
from poolkit.units import plural

_EDGE: Any = {"edgecolor": style.PAPER, "lw": 0}
_PARTS: dict[str, Any] = {
    "reserved": {"color": style.FAINT, "hatch": "--", **_EDGE},
    "in use elsewhere": {"color": style.YELLOW, "hatch": "\\\\", **_EDGE},
    "pools": {"color": style.BLUE, **_EDGE},
    "left": {"color": style.PAPER, "edgecolor": style.MUTED, "lw": 0.8, "ls": "--"},
}
_MISSING: Any = {"color": style.VERMILION, "hatch": "//", **_EDGE}


@dataclass(frozen=True, slots=True)
class FleetCase:
    """One state of the fleet: `now`, `after growth`, `one replica lost`."""

    name: str
    replicas: int
    workers: int
    pool_size: int

    @property
    def connections(self) -> int:
        """Connections that all pools may hold together."""
        return self.replicas * self.workers * self.pool_size


@dataclass(frozen=True, slots=True)
class FleetBudget:
    """A database's connections and the states of the fleet that shares them; the first is today's.

    Attributes:
        max_connections: of the server.
        reserved: kept for superusers and the like.
        in_use: held by others than this fleet.
    """

    max_connections: int
    reserved: int
    in_use: int
    cases: tuple[FleetCase, ...]

    def left(self, case: FleetCase) -> int:
        """Connections that nobody holds; below 0: so many are missing."""
        return self.max_connections - self.reserved - self.in_use - case.connections


def fleet_finding(budget: FleetBudget) -> str:
    """The finding as a sentence: what is left today, and where the budget breaks."""
    now, *others = budget.cases
    left = budget.left(now)
    if left < 0:
        return (
            f"The fleet may ask for {plural(-left, 'connection')} more than the server has: "
            f"{now.connections} of {budget.max_connections - budget.reserved - budget.in_use}"
        )
    words = f"The fleet leaves {left} of {plural(budget.max_connections, 'connection')} free"
    short = [case for case in others if budget.left(case) < 0]
    if short:
        return f"{words}; {short[0].name} {-budget.left(short[0])} are missing"
    return f"{words}, and enough in every case" if others else words


def fleet_alt(budget: FleetBudget) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    parts = [
        fleet_finding(budget) + ".",
        f"Of {plural(budget.max_connections, 'connection')} {budget.reserved} are reserved and "
        f"{budget.in_use} in use elsewhere.",
    ]
    parts += [f"{case.name}: {_sum(case)}, {_rest(budget, case)}." for case in budget.cases]
    return " ".join(parts)


def _sum(case: FleetCase) -> str:
    factors = [plural(case.replicas, "replica")]
    if case.workers > 1:
        factors.append(plural(case.workers, "worker"))
    return f"{' × '.join(factors)} × {case.pool_size} = {case.connections}"


def _rest(budget: FleetBudget, case: FleetCase) -> str:
    left = budget.left(case)
    return f"{left} left" if left >= 0 else f"{-left} missing"


def fleet_budget(budget: FleetBudget, *, axes: Axes | None = None) -> Axes:
    """Draw one bar a state of the fleet; without `axes` a figure is made."""
    cases, limit, fixed = budget.cases, budget.max_connections, budget.reserved + budget.in_use
    names, title = [case.name for case in cases], fleet_finding(budget)
    widths = (
        [budget.reserved] * len(cases),
        [budget.in_use] * len(cases),
        [case.connections for case in cases],
        [max(0, budget.left(case)) for case in cases],
    )
    with row_axes(axes, names, title, "connections of the server", row=0.52, right=RIGHT) as axes:
        axes.set_xlim(0, max([limit, *(fixed + case.connections for case in cases)]) * 1.02)
        start = [0] * len(cases)
        named: list[tuple[Artist, str]] = []
        for (name, look), wide in zip(_PARTS.items(), widths, strict=True):
            bars = axes.barh(range(len(cases)), wide, 0.5, left=start, zorder=3, **look)
            named.append((bars[0], name))
            start = [at + more for at, more in zip(start, wide, strict=True)]
        for row, case in enumerate(cases):
            left = budget.left(case)
            colour = style.VERMILION if left < 0 else style.INK
            if left < 0:
                axes.barh(row, -left, 0.5, left=limit, zorder=4, **_MISSING)
            words = f"{_sum(case)}, {_rest(budget, case)}"
            beside(axes, words, (fixed, row - 0.25), colour, xytext=(2, 2), va="bottom")
        line = axes.axvline(limit, color=style.VERMILION, lw=1.8, zorder=5)
        legend_beside(axes, [*named, (line, f"max_connections {limit}")])
    return axes
