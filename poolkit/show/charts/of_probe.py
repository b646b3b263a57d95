"""Charts of a probe: proof of a keep-alive, dead connections after a cut, and what things cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from poolkit.drivers.parameters.findings import Cost, Costs, Proof, ProofRun
from poolkit.probes.records import CutKind, Setting, StaleCount
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, log_times, row_axes
from poolkit.units import listed, milliseconds, plural, share

Proven = tuple[str, Proof]  # the target's name, and its proof
Look = tuple[str, str, str]  # colour, marker, hatch
_GOOD, _BAD = (style.GREEN, "o", ""), (style.VERMILION, "^", "//")
_CUTS: dict[CutKind, tuple[str, Look]] = {
    "restart": ("server went down", (style.BLUE, "o", "")),
    "drop": ("dropped in silence", _BAD),
}
_NAMES: dict[Setting, str] = {
    "none": "nothing set",
    "pre_ping": "pre-ping",
    # It replaces by age alone: in calls that come right after the cut it would find the dead ones.
    "recycle": "recycle (after a pause)",
    "retry": "retry",
}
_COSTS = {"checkout": (style.BLUE, "o", ""), "dial": (style.VERMILION, "s", "//")}
_LEAST = 1e-6  # s: a smaller cost is drawn here, at the left edge


def _count_axis(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xlim(0, max([*counts, 1]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _bar(axes: Axes, row: float, count: int, look: Look, words: str, height: float) -> None:
    colour, marker, hatch = look
    kw: Any = {"height": height, "edgecolor": style.PAPER, "hatch": hatch, "zorder": 3}
    axes.barh([row], [count], color=colour, **kw)
    axes.plot([count], [row], marker, color=colour, ms=6.5, clip_on=False, zorder=4)
    beside(axes, words, (count, row), colour)


# -- a keep-alive below the idle timeout, and one too long ----------------------------------------


def idle_proof_finding(proofs: Sequence[Proven]) -> str:
    """The finding as a sentence: dead connections that were met with each kind of value."""
    good = sum(proof.recommended.disconnects for _, proof in proofs)
    bad = sum(proof.too_long.disconnects for _, proof in proofs)
    if bad <= good:
        return f"Below the idle timeout or above it: {good} and {bad} dead connections were met"
    met = "no dead connection" if not good else plural(good, "dead connection")
    return f"Kept for less than the server's timeout, pools met {met}; kept for too long, {bad}"


def idle_proof_alt(proofs: Sequence[Proven]) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    rows = [f"{name}, {run.setting} ({kind}): {_of_run(run)}." for name, run, kind in _runs(proofs)]
    return " ".join([f"{idle_proof_finding(proofs)}.", *rows])


def idle_proof(proofs: Sequence[Proven], *, axes: Axes | None = None) -> Axes:
    """Draw two rows a target, the recommended value first; without `axes` a figure is made.

    Raises:
        ValueError: there is no proof.
    """
    if not proofs:
        raise ValueError("proofs must be 1 or more, got 0")
    runs = _runs(proofs)
    names = [f"{name}\n{run.setting}" for name, run, _ in runs]
    below = f"dead connections met in {runs[0][1].calls} calls, some after a pause"
    with row_axes(axes, names, idle_proof_finding(proofs), below, row=0.42) as axes:
        _count_axis(axes, [run.disconnects for _, run, _ in runs])
        for row, (_, run, kind) in enumerate(runs):
            look = _GOOD if kind == "recommended" else _BAD
            _bar(axes, row, run.disconnects, look, f"{kind}: {_of_run(run)}", height=0.5)
    return axes


def _runs(proofs: Sequence[Proven]) -> list[tuple[str, ProofRun, str]]:
    return [
        (name, run, kind)
        for name, proof in proofs
        for run, kind in ((proof.recommended, "recommended"), (proof.too_long, "too long"))
    ]


def _of_run(run: ProofRun) -> str:
    return f"{run.disconnects} dead, {run.failed} failed, reuse {share(run.reuse_ratio)}"


# -- what reaches the caller after every connection was cut, by the pool's setting ----------------


def stale_calls_finding(counts: Sequence[StaleCount], name: str) -> str:
    """The finding as a sentence: failed calls with nothing set, and with which settings none."""
    failed: dict[Setting, int] = {}
    for count in counts:
        failed[count.setting] = failed.get(count.setting, 0) + count.failed
    clean = [_NAMES[setting] for setting, lost in failed.items() if lost == 0]
    bare = failed.get("none", 0)
    calls = sum(count.calls for count in counts if count.setting == "none")
    if not bare:
        return f"{name}: no call of {calls} fails after a cut, even with nothing set"
    if not clean:
        return f"{name}: {bare} of {calls} calls fail after a cut, and no setting prevents it"
    return (
        f"{name}: {bare} of {calls} calls fail after a cut with nothing set, none with "
        f"{listed(clean).replace(' and ', ' or ')}"
    )


def stale_calls_alt(counts: Sequence[StaleCount], name: str) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    rows = [f"{_NAMES[c.setting]}, {_CUTS[c.cut][0]}: {_of_count(c)}." for c in counts]
    return " ".join([f"{stale_calls_finding(counts, name)}.", *rows])


def stale_calls(counts: Sequence[StaleCount], name: str, *, axes: Axes | None = None) -> Axes:
    """Draw two bars a setting, one for each kind of cut; without `axes` a figure is made.

    Raises:
        ValueError: nothing was counted.
    """
    if not counts:
        raise ValueError("counts must be 1 or more, got 0")
    settings = list(dict.fromkeys(count.setting for count in counts))
    names = [_NAMES[setting].replace(" (", "\n(") for setting in settings]
    below = f"failed calls of {counts[0].calls} after each cut"
    with row_axes(axes, names, stale_calls_finding(counts, name), below, row=0.62) as axes:
        _count_axis(axes, [count.failed for count in counts])
        for count in counts:
            row = settings.index(count.setting) + (-0.21 if count.cut == "restart" else 0.21)
            cut, look = _CUTS[count.cut]
            _bar(axes, row, count.failed, look, f"{cut}: {_of_count(count)}", height=0.36)
    return axes


def _of_count(count: StaleCount) -> str:
    parts = [f"{count.failed} of {count.calls} failed"]
    parts += [f"{count.disconnects} dead met"] if count.disconnects else []
    parts += [f"{count.retries} repeated"] if count.retries else []
    return ", ".join(parts)


# -- what a checkout and a dial cost, in time and in throughput -----------------------------------


def checkout_costs_finding(costs: Costs, name: str) -> str:
    """The finding as a sentence: the dearest of each kind."""
    dearest = {cost.per: cost for cost in reversed(_dearest_first(costs))}
    dial, first = dearest.get("dial"), dearest.get("checkout")
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
    finding = checkout_costs_finding(costs, name)
    rows = [f"{cost.name}, each {cost.per}: {_of_cost(cost)}." for cost in _dearest_first(costs)]
    return " ".join([f"{finding}. A call takes {milliseconds(costs.hold_time)}.", *rows])


def checkout_costs(costs: Costs, name: str, *, axes: Axes | None = None) -> Axes:
    """Draw a bar a cost on a log axis, its interval on it; without `axes` a figure is made.

    Raises:
        ValueError: nothing was measured.
    """
    rows = _dearest_first(costs)
    if not rows:
        raise ValueError("costs must hold 1 or more, got 0")
    names = ["the call itself", *(f"{cost.name} ({cost.per})" for cost in rows)]
    title, below = checkout_costs_finding(costs, name), "ms, median and 95 % interval"
    with row_axes(axes, names, title, below, row=0.36) as axes:
        call = costs.hold_time * 1000
        ends = [max(v, _LEAST) * 1000 for c in rows for v in (c.seconds, *(c.interval95 or ()))]
        log_times(axes, [min([*ends, call]) / 2, *ends, call])
        low = axes.get_xlim()[0]
        axes.barh([0], [call - low], left=low, height=0.5, color=style.FAINT, alpha=0.5, zorder=2)
        beside(axes, milliseconds(costs.hold_time), (call, 0))
        for row, cost in enumerate(rows, start=1):
            _draw_cost(axes, row, cost, low)
    return axes


def _dearest_first(costs: Costs) -> list[Cost]:
    """Checkouts first, in each the dearest first."""
    return sorted(costs.costs, key=lambda cost: (cost.per != "checkout", -cost.seconds))


def _draw_cost(axes: Axes, row: int, cost: Cost, low: float) -> None:
    colour, marker, hatch = _COSTS[cost.per]
    ends = (cost.seconds, *(cost.interval95 or (cost.seconds, cost.seconds)))
    middle, left, right = (max(value, _LEAST) * 1000 for value in ends)
    bar: Any = {"left": low, "height": 0.5, "alpha": 0.35, "hatch": hatch, "zorder": 2}
    axes.barh([row], [middle - low], color=colour, **bar)
    axes.plot([max(left, low), right], [row, row], color=colour, lw=2.0, zorder=3)
    axes.plot([middle], [row], marker, color=colour, ms=6, zorder=4)
    beside(axes, _of_cost(cost), (right, row))


def _of_cost(cost: Cost) -> str:
    costs = milliseconds(cost.seconds)
    if cost.lost_share is None:
        return costs
    whose = "throughput" if cost.per == "checkout" else "a call that dials"
    how = "" if cost.is_lost_measured else "computed "
    return f"{costs}, {how}{share(max(0.0, cost.lost_share))} of {whose}"
