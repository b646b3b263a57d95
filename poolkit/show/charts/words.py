"""What a chart of a target says beside its title: its alternative text and its footnote."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import Knee, Recommendation, Sizing, Trial
from poolkit.show.words import finding, pool_phrase, pools_left, verified_phrase
from poolkit.units import interval, milliseconds, number, plural, rate


def knee(sizing: Sizing | None, recommendation: Recommendation | None) -> Knee | None:
    """The Little's Law knee, the one drawn on every chart; None where none was seen."""
    knees = (sizing.knees if sizing else ()) or (recommendation.knees if recommendation else ())
    for each in knees:
        if each.rule == "littles_law" and each.size is not None:
            return each
    return None


def alt_text(
    sizing: Sizing | None,
    trials: Sequence[Trial],
    recommendation: Recommendation | None,
    pools: int | None = None,
) -> str:
    """The chart in words, with its figures, for who cannot see it."""
    parts = [finding(sizing, recommendation, trials, pools) + "."]
    curve = [t for t in trials if t.is_of_curve]
    if curve:
        sizes = sorted({t.pool_size * t.pools for t in curve})
        low = [t.throughput for t in curve if t.pool_size * t.pools == sizes[0]]
        high = [t.throughput for t in curve if t.pool_size * t.pools == sizes[-1]]
        parts.append(
            f"Throughput over pool size, {len(sizes)} sizes from {sizes[0]} to {sizes[-1]}: "
            f"{rate(sum(low) / len(low))} at {sizes[0]}, "
            f"{rate(sum(high) / len(high))} at {sizes[-1]}."
        )
    plateau = sizing.plateau if sizing else (recommendation.plateau if recommendation else None)
    if plateau is not None:
        parts.append(f"Plateau {rate(plateau.throughput)} ({interval(plateau.interval95)}).")
    bend = knee(sizing, recommendation)
    if bend is not None:
        parts.append(f"Little's Law knee {number(bend.size)} ({interval(bend.interval95)}).")
    if recommendation is not None:
        parts.append(f"Target {rate(recommendation.target_rate)}.")
        if recommendation.recommended_size is not None:
            each = pools or pools_left(sizing, trials, recommendation)
            parts.append(
                f"Recommended {pool_phrase(recommendation.recommended_size, each)}, "
                f"{verified_phrase(recommendation)}."
            )
    held = sorted(
        (t.pool_size * t.pools, t.hold_time.p50) for t in curve if t.hold_time.p50 is not None
    )
    if held:
        parts.append(
            f"Median hold time {milliseconds(held[0][1])} at {held[0][0]}, "
            f"{milliseconds(held[-1][1])} at {held[-1][0]}."
        )
    unused = sum(not t.is_usable for t in curve)
    if unused:
        parts.append(f"{plural(unused, 'trial')} failed a check and are not fitted.")
    return " ".join(parts)


def footnote(sizing: Sizing | None, trials: Sequence[Trial], versions: str = "") -> str:
    """Durations, repeats, seed and versions: what a reader needs to judge the figures."""
    curve = [t for t in trials if t.is_of_curve]
    parts = []
    if trials:
        parts.append(f"{trials[0].target}, {trials[0].driver}")
    if curve:
        windows = sorted(t.window for t in curve)
        span = number(windows[0], 2)
        if windows[-1] > windows[0] * 1.05:
            span += f"–{number(windows[-1], 2)}"
        parts.append(f"{plural(len(curve), 'trial')} of {span} s")
        counts: dict[int, int] = {}
        for t in curve:
            counts[t.pool_size] = counts.get(t.pool_size, 0) + 1
        parts.append(f"up to {plural(max(counts.values()), 'repeat')} a size")
        parts.append(f"seed {min(t.seed for t in trials)}")
    if sizing is not None and any(p.interval95 for p in sizing.points):
        parts.append("band: 95 % interval")
    if versions:
        parts.append(versions)
    return " · ".join(parts)
