"""A database's connections: what is reserved, in use elsewhere, taken by the fleet, and left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from poolkit.show.charts import style
from poolkit.show.charts.frame import entitle, single_axes
from poolkit.units import plural

_ROW = 0.52  # inches
_PARTS = (
    ("reserved", style.FAINT, "--"),
    ("in use elsewhere", style.YELLOW, "\\\\"),
    ("pools", style.BLUE, ""),
    ("left", style.PAPER, ""),
)


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
    given = axes
    cases = budget.cases
    with style.house():
        axes = single_axes(axes, 1.75 + _ROW * len(cases))
        fixed = budget.reserved + budget.in_use
        most = max([budget.max_connections, *(fixed + c.connections for c in cases)])
        axes.set_xlim(0, most * 1.04)
        axes.set_ylim(len(cases) - 0.35, -1.15)
        axes.set_yticks(range(len(cases)), labels=[case.name for case in cases])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("connections of the server", loc="left")
        entitle(axes, fleet_finding(budget), given)
        for row, case in enumerate(cases):
            _bar(axes, row, budget, case)
        limit = budget.max_connections
        axes.axvline(limit, color=style.VERMILION, lw=1.8, zorder=5)
        axes.annotate(
            f"max_connections {limit}",
            (limit, -0.72),
            (-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=style.VERMILION,
            fontsize=style.LABEL_SIZE - 0.5,
        )
        _legend(axes)
    return axes


def _bar(axes: Axes, row: int, budget: FleetBudget, case: FleetCase) -> None:
    start = 0
    left = budget.left(case)
    for (_, colour, hatch), width in zip(
        _PARTS, (budget.reserved, budget.in_use, case.connections, max(0, left)), strict=True
    ):
        is_left = colour == style.PAPER
        axes.barh(
            row,
            width,
            0.56,
            left=start,
            color=colour,
            hatch=hatch,
            edgecolor=style.MUTED if is_left else style.PAPER,
            linewidth=0.8 if is_left else 0,
            linestyle="--" if is_left else "-",
            zorder=3,
        )
        start += width
    taken = budget.reserved + budget.in_use
    if left < 0:
        axes.barh(
            row, -left, 0.56, left=budget.max_connections, color=style.VERMILION, hatch="//",
            edgecolor=style.PAPER, lw=0, zorder=4,
        )  # fmt: skip
    words, colour = (
        f"{_sum(case)}, {_rest(budget, case)}",
        style.VERMILION if left < 0 else style.INK,
    )
    axes.annotate(
        words,
        (taken, row - 0.28),
        (2, 2),
        textcoords="offset points",
        va="bottom",
        color=colour,
        fontsize=style.LABEL_SIZE - 0.5,
        zorder=6,
    )


def _legend(axes: Axes) -> None:
    names: Sequence[str] = [name for name, *_ in _PARTS]
    axes.legend(
        axes.containers[: len(names)],
        names,
        loc="upper left",
        ncols=len(names),
        frameon=False,
        fontsize=style.LABEL_SIZE - 0.5,
        borderaxespad=0.0,
        columnspacing=1.4,
        handlelength=1.4,
    )
