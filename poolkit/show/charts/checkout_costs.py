"""What a checkout and a dial cost, in time and in throughput."""

from __future__ import annotations

from matplotlib.axes import Axes

from poolkit.drivers.parameters.findings import Cost, Costs
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, log_times, row_axes
from poolkit.units import milliseconds, share

_ROW = 0.36  # inches
_LEAST = 1e-6  # s: a smaller cost is drawn here, at the left edge
_MARKS = {"checkout": (style.BLUE, "o", ""), "dial": (style.VERMILION, "s", "//")}


def _rows(costs: Costs) -> list[Cost]:
    """Checkouts first, in each the dearest first."""
    return sorted(costs.costs, key=lambda cost: (cost.per != "checkout", -cost.seconds))


def checkout_costs_finding(costs: Costs, name: str) -> str:
    """The finding as a sentence: the dearest of each kind."""
    dial = next((c for c in _rows(costs) if c.per == "dial"), None)
    first = next((c for c in _rows(costs) if c.per == "checkout"), None)
    if first is not None and dial is not None:
        return (
            f"{name}: {first.name} adds {milliseconds(first.seconds)} to each checkout, a dial "
            f"{milliseconds(dial.seconds)} to each call that must dial"
        )
    if dial is not None:
        return (
            f"{name}: a dial costs {milliseconds(dial.seconds)}, a call on a kept connection "
            f"{milliseconds(costs.hold_time)}"
        )
    return f"{name}: a call on a kept connection takes {milliseconds(costs.hold_time)}"


def checkout_costs_alt(costs: Costs, name: str) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    said = [
        f"{checkout_costs_finding(costs, name)}. A call takes {milliseconds(costs.hold_time)}.",
        *(f"{cost.name}, each {cost.per}: {_words(cost)}." for cost in _rows(costs)),
    ]
    return " ".join(said)


def checkout_costs(costs: Costs, name: str, *, axes: Axes | None = None) -> Axes:
    """Draw a bar a cost on a log axis, its interval on it; without `axes` a figure is made.

    Raises:
        ValueError: nothing was measured.
    """
    rows = _rows(costs)
    if not rows:
        raise ValueError("costs must hold 1 or more, got 0")
    with style.house():
        names = ["the call itself", *(f"{cost.name} ({cost.per})" for cost in rows)]
        title, below = checkout_costs_finding(costs, name), "ms, median and 95 % interval"
        axes = row_axes(axes, names, title, below, row=_ROW)
        call = costs.hold_time * 1000
        ends = [max(v, _LEAST) * 1000 for cost in rows for v in _span(cost)]
        log_times(axes, [min([*ends, call]) / 2, *ends, call])
        low = axes.get_xlim()[0]
        axes.barh([0], [call - low], left=low, height=0.5, color=style.FAINT, alpha=0.5, zorder=2)
        beside(axes, milliseconds(costs.hold_time), (call, 0))
        for row, cost in enumerate(rows, start=1):
            _draw(axes, row, cost, low)
    return axes


def _span(cost: Cost) -> tuple[float, ...]:
    return (cost.seconds, *(cost.interval95 or ()))


def _draw(axes: Axes, row: int, cost: Cost, low: float) -> None:
    colour, marker, hatch = _MARKS[cost.per]
    middle = max(cost.seconds, _LEAST) * 1000
    left, right = (max(v, _LEAST) * 1000 for v in cost.interval95 or (cost.seconds, cost.seconds))
    axes.barh(
        [row], [middle - low], left=low, height=0.5, color=colour, alpha=0.35, hatch=hatch, zorder=2
    )
    axes.plot([max(left, low), right], [row, row], color=colour, lw=2.0, zorder=3)
    axes.plot([middle], [row], marker, color=colour, ms=6, zorder=4)
    beside(axes, _words(cost), (right, row))


def _words(cost: Cost) -> str:
    said = milliseconds(cost.seconds)
    if cost.lost_share is None:
        return said
    lost = share(max(0.0, cost.lost_share))
    whose = "throughput" if cost.per == "checkout" else "a call that dials"
    how = "" if cost.is_lost_measured else "computed "
    return f"{said}, {how}{lost} of {whose}"
