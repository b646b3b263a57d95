"""Where the time of a call goes: lag, wait, dial, service and release, as bars over pool size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from poolkit.records import Recommendation, Trial
from poolkit.show.charts import style
from poolkit.show.charts.figures import beside, legend_beside, single_axes
from poolkit.units import milliseconds, number, plural, share, short_rate

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
            found.setdefault(t.pool_size * t.pools, []).append(budget(t))
    return {
        size: {part: sum(b[part] for b in found[size]) / len(found[size]) for part in PARTS}
        for size in sorted(found)
    }


def budget(trial: Trial) -> Budget:
    """The mean time of each part in one trial (s), of its successful calls."""
    if trial.budget is not None:
        return {part: getattr(trial.budget, part).mean for part in PARTS}
    return {part: getattr(trial, _FIELDS[part]).mean or 0.0 for part in PARTS}


_FIELDS = {
    "lag": "lag",
    "wait": "wait_time",
    "dial": "dial_time",
    "service": "service_time",
    "release": "release_time",
}


def in_service(trials: Sequence[Trial], recommendation: Recommendation | None) -> Trial | None:
    """The latest trial of the recommended size at the target rate; None where there is none."""
    if recommendation is None:
        return None
    size, rate = recommendation.recommended_size, recommendation.target_rate
    tried = [t for t in trials if t.purpose == "verify" and t.pool_size == size]
    return min(reversed(tried), key=lambda t: abs((t.arrival_rate or 0.0) - rate), default=None)


def _timed(trials: Sequence[Trial], recommendation: Recommendation | None) -> Trial | None:
    """The trial in service, where the parts of its calls were recorded."""
    serving = in_service(trials, recommendation)
    return None if serving is None or serving.service_time.mean is None else serving


def time_budget_finding(
    trials: Sequence[Trial], recommendation: Recommendation | None = None
) -> str:
    """The finding as a sentence: what most of a call's time is, where it matters."""
    serving = _timed(trials, recommendation)
    if serving is not None:
        seen = budget(serving)
        return (
            f"At {short_rate(serving.arrival_rate)} a call takes "
            f"{milliseconds(sum(seen.values()))}: {_largest(seen)}"
        )
    closed = budgets(trials)
    if not closed:
        return "The parts of a call were not recorded"
    size = max(closed)
    total = milliseconds(sum(closed[size].values()))
    return f"With {plural(size, 'connection')} a call takes {total}: {_largest(closed[size])}"


def _largest(seen: Budget) -> str:
    total = sum(seen.values())
    first, second = sorted(seen, key=lambda part: -seen[part])[:2]
    return (
        f"{share(seen[first] / total)} {first}, {share(seen[second] / total)} {second}"
        if total
        else "nothing is known"
    )


def time_budget_alt(trials: Sequence[Trial], recommendation: Recommendation | None = None) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    parts = [time_budget_finding(trials, recommendation) + "."]
    closed = budgets(trials)
    parts += [
        f"With {plural(size, 'connection')}, all busy: {_spoken(closed[size])}."
        for size in sorted({min(closed, default=0), max(closed, default=0)} & set(closed))
    ]
    serving = _timed(trials, recommendation)
    if serving is not None:
        size = serving.pool_size * serving.pools
        at = short_rate(serving.arrival_rate)
        parts.append(f"With {plural(size, 'connection')} at {at}: {_spoken(budget(serving))}.")
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
    closed = budgets(trials)
    serving = _timed(trials, recommendation)
    title = time_budget_finding(trials, recommendation)
    with single_axes(axes, HEIGHT, title, bottom=60) as axes:
        places = [float(i) for i in range(len(closed))]
        names = [str(size) for size in closed]
        bars = list(closed.values())
        if serving is not None:
            bars.append(budget(serving))
            size = serving.pool_size * serving.pools
            names.append(f"{size}\nat {short_rate(serving.arrival_rate)}")
            places.append(len(places) + 0.8)
        _stack(axes, places, bars)
        for place, b in zip(places, bars, strict=True):
            total = sum(b.values()) * 1000
            beside(axes, number(total, 2), (place, total), xytext=(0, 6), ha="center")
        axes.set_xticks(places, labels=names)
        axes.set_xlim(-0.6, (places[-1] if places else 0.0) + 0.6)
        axes.set_ylim(0, max((sum(b.values()) for b in bars), default=0.001) * 1120)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("mean time of a call (ms)")
        below = "pool size (connections), as many callers as connections"
        axes.set_xlabel(below + (", and in service at the right" if serving else ""), loc="left")
    return axes


def _stack(axes: Axes, places: Sequence[float], bars: Sequence[Budget]) -> None:
    """The parts upon each other; the legend has the range of each, also of those too small."""
    top = max((sum(b.values()) for b in bars), default=0.001)
    heights = [0.0] * len(bars)
    named: list[tuple[Any, str]] = []
    for part, (colour, hatch) in style.PARTS.items():
        values = [b[part] * 1000 for b in bars]
        kw: Any = {"color": colour, "hatch": hatch, "edgecolor": style.PAPER, "lw": 0, "zorder": 3}
        drawn = axes.bar(places, values, 0.72, bottom=heights, **kw)
        heights = [low + value for low, value in zip(heights, values, strict=True)]
        if values:
            low, high = number(min(values), 2), number(max(values), 2)
            words = f"{part} {low} ms" if low == high else f"{part} {low}–{high} ms"
            if 0 < max(values) < _SEEN * top * 1000:
                words += ",\ntoo little to see"
            named.append((drawn, words))
    legend_beside(axes, named[::-1])
