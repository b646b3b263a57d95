"""Where the time of a call goes: lag, wait, dial, service and release, as bars over pool size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from poolkit.histogram import together
from poolkit.records import Recommendation, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, legend_beside, single_axes
from poolkit.show.charts.points import name_points
from poolkit.units import NONE, milliseconds, number, plural, share, short_rate

HEIGHT = 3.9  # inches
PARTS = tuple(style.PARTS)
_SEEN = 0.004  # share of the tallest bar below which a part cannot be seen

Budget = Mapping[str, float]  # part of a call -> mean s


def budgets(trials: Sequence[Trial]) -> dict[int, Budget]:
    """The mean time of each part at each size of the curve, by connections in all; repeats pooled.

    Trials of before the parts were recorded are left out.
    """
    found: dict[int, list[Budget]] = {}
    for t in trials:
        if t.is_of_curve and t.is_usable and t.service_time.mean is not None:
            found.setdefault(t.connections, []).append(budget(t))
    return {
        size: {part: sum(b[part] for b in found[size]) / len(found[size]) for part in PARTS}
        for size in sorted(found)
    }


def climb(trials: Sequence[Trial]) -> dict[float, Budget]:
    """The mean time of each part at each rate (calls/s) on the way to the target rate."""
    steps = [t for t in trials if t.purpose == "approach" and t.service_time.mean is not None]
    return {t.arrival_rate or 0.0: budget(t) for t in steps if t.is_usable}


def budget(trial: Trial) -> Budget:
    """The mean time of each part in one trial (s), of its successful calls."""
    return {part: trial.mean_of(part) or 0.0 for part in PARTS}


def in_service(trials: Sequence[Trial], recommendation: Recommendation | None) -> Trial | None:
    """The latest trial of the recommended size at the target rate; None where there is none."""
    if recommendation is None:
        return None
    size, rate = recommendation.recommended_size, recommendation.target_rate
    tried = [t for t in trials if t.purpose == "verify" and t.pool_size == size]
    return min(reversed(tried), key=lambda t: abs((t.arrival_rate or 0.0) - rate), default=None)


def all_in_service(trials: Sequence[Trial], recommendation: Recommendation | None) -> Trial | None:
    """The same with the waits of every trial of that size at that rate.

    Verification judges them together, so a share of calls that is told is one of them all.
    """
    latest = in_service(trials, recommendation)
    if latest is None:
        return None
    tried = [
        t
        for t in trials
        if t.purpose == "verify"
        and (t.pool_size, t.arrival_rate) == (latest.pool_size, latest.arrival_rate)
    ]
    return latest.model_copy(update={"wait_time": together(t.wait_time for t in tried)})


def _timed(trials: Sequence[Trial], recommendation: Recommendation | None) -> Trial | None:
    """The trial in service, where the parts of its calls were recorded."""
    serving = in_service(trials, recommendation)
    return None if serving is None or serving.service_time.mean is None else serving


def time_budget_finding(
    trials: Sequence[Trial], recommendation: Recommendation | None = None
) -> str:
    """The finding as a sentence: what most of a call's time is, where it matters."""
    serving, closed, climbed = _timed(trials, recommendation), budgets(trials), climb(trials)
    if serving is not None:
        where, seen = f"At {short_rate(serving.arrival_rate)}", budget(serving)
    elif closed:
        size = max(closed)
        where, seen = f"With {plural(size, 'connection')}", closed[size]
    elif climbed:
        where, seen = f"At {short_rate(max(climbed))}", climbed[max(climbed)]
    else:
        return "The parts of a call were not recorded"
    total = sum(seen.values())
    most = sorted(seen, key=lambda part: -seen[part])[:2]
    shares = ", ".join(f"{share(seen[part] / total)} {part}" for part in most if total)
    return f"{where} a call takes {milliseconds(total)}: {shares or 'nothing is known'}"


def time_budget_alt(trials: Sequence[Trial], recommendation: Recommendation | None = None) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    serving, closed = _timed(trials, recommendation), budgets(trials)
    parts = [time_budget_finding(trials, recommendation) + "."]
    parts += [
        f"With {plural(size, 'connection')}, all busy: {_spoken(closed[size])}."
        for size in dict.fromkeys([*closed][:1] + [*closed][-1:])
    ]
    if not closed:
        parts += [f"At {short_rate(at)}: {_spoken(seen)}." for at, seen in climb(trials).items()]
    if serving is not None:
        with_size = plural(serving.connections, "connection")
        at = short_rate(serving.arrival_rate)
        parts.append(f"With {with_size} at {at}: {_spoken(budget(serving))}.")
    return " ".join(parts)


def _spoken(seen: Budget) -> str:
    return ", ".join(f"{part} {milliseconds(seen[part])}" for part in PARTS)


def time_budget(
    trials: Sequence[Trial],
    recommendation: Recommendation | None = None,
    *,
    axes: Axes | None = None,
) -> Axes:
    """Draw a bar for each size with every connection busy, and one for the size in service.

    Without `axes` a figure is made.
    """
    bars = {str(size): parts for size, parts in budgets(trials).items()}
    below = "pool size (connections), as many callers as connections"
    if not bars:
        bars = {short_rate(rate): parts for rate, parts in climb(trials).items()}
        below = "rate through a roomy pool"
    places = [float(i) for i in range(len(bars))]
    serving = _timed(trials, recommendation)
    if serving is not None:
        places.append(len(bars) + 0.8)
        bars[f"{serving.connections}\nat {short_rate(serving.arrival_rate)}"] = budget(serving)
        below += ", and in service at the right"
    title = time_budget_finding(trials, recommendation)
    with single_axes(axes, HEIGHT, title, bottom=60) as axes:
        totals = [sum(parts.values()) * 1000 for parts in bars.values()]
        top = max(totals, default=1.0)
        _stack(axes, places, list(bars.values()), top)
        for place, total in zip(places, totals, strict=True):
            beside(axes, number(total, 2), (place, total), xytext=(0, 6), ha="center")
        axes.set_xticks(places, labels=bars)
        axes.set_xlim(-0.6, max(places, default=0.0) + 0.6)
        axes.set_ylim(0, top * 1.12)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("mean time of a call (ms)")
        axes.set_xlabel(below)
    return axes


def _stack(axes: Axes, places: Sequence[float], bars: Sequence[Budget], top: float) -> None:
    """The parts upon each other; the legend has the range of each, also of those too small."""
    heights, totals = [0.0] * len(bars), [1000 * sum(b.values()) for b in bars]
    named: list[tuple[Any, str]] = []
    for part, (colour, hatch) in style.PARTS.items():
        values = [b[part] * 1000 for b in bars]
        kw: Any = {"color": colour, "hatch": hatch, "edgecolor": style.PAPER, "lw": 0, "zorder": 3}
        drawn = axes.bar(places, values, 0.72, bottom=heights, **kw)
        for bar, value, whole in zip(drawn, values, totals, strict=True):
            of = share(value / whole) if whole else NONE
            name_points(bar, [f"{part} {number(value, 2)} ms, {of} of {number(whole, 2)} ms"])
        heights = [low + value for low, value in zip(heights, values, strict=True)]
        if values:
            low, high = number(min(values), 2), number(max(values), 2)
            words = f"{part} {low} ms" if low == high else f"{part} {low}–{high} ms"
            if 0 < max(values) < _SEEN * top:
                words += ",\ntoo little to see"
            named.append((drawn, words))
    legend_beside(axes, named[::-1])
