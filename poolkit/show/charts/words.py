"""What a chart says in words: its title, its alternative text and its footnote; no drawing here."""

from __future__ import annotations

from collections.abc import Sequence

from poolkit.records import Knee, Recommendation, Sizing, Trial
from poolkit.units import interval, listed, milliseconds, number, plural, rate, short_rate


def pools_left(
    sizing: Sizing | None, trials: Sequence[Trial], recommendation: Recommendation | None
) -> int:
    """How many pools carry the target rate: fewer than the fleet has when a replica is lost."""
    tried = [t.pools for t in trials if t.loop == "open"]
    if tried:
        return max(tried)
    if sizing is None or recommendation is None:
        return 1
    return max(1, round(recommendation.target_rate / sizing.rate_per_pool))


def pool_phrase(size: int, pools: int = 1) -> str:
    """`15 connections`, or `4 pools of 5 connections`."""
    connections = plural(size, "connection")
    return connections if pools == 1 else f"{pools} pools of {connections}"


def knee(sizing: Sizing | None, recommendation: Recommendation | None) -> Knee | None:
    """The Little's Law knee, the one drawn on every chart; None where none was seen."""
    knees = (sizing.knees if sizing else ()) or (recommendation.knees if recommendation else ())
    for each in knees:
        if each.rule == "littles_law" and each.size is not None:
            return each
    return None


def finding(
    sizing: Sizing | None,
    recommendation: Recommendation | None,
    trials: Sequence[Trial] = (),
    pools: int | None = None,
) -> str:
    """The finding as one sentence: the title of the chart and of the target's section.

    `pools` is how many pools the fleet has; by default as many as the size was tried with.
    """
    if recommendation is None:
        return _measured(trials)
    at = rate(recommendation.target_rate)
    size = recommendation.recommended_size
    if size is None:
        return _nothing_recommended(sizing, recommendation)
    left = pools_left(sizing, trials, recommendation)
    pools = pools or left
    phrase = pool_phrase(size, pools)
    verb = "carries" if size == 1 and pools == 1 else "carry"
    wait = _wait_clause(recommendation)
    seen = recommendation.verification
    if seen is None:
        return f"{phrase} should carry {at}{wait}: predicted, not verified"
    if not all(signal.passed for signal in seen.signals):
        failed = [signal.name.replace("_", " ") for signal in seen.signals if not signal.passed]
        return f"{phrase} did not pass verification at {at}: {listed(failed)} not seen"
    lost = "" if left >= pools else f", even when only {left} of the {pools} are left"
    return f"{phrase} {verb} {at}{wait}{lost}"


def _wait_clause(recommendation: Recommendation) -> str:
    limit = recommendation.wait_p99
    if limit is None:
        return _asked(recommendation)
    seen = recommendation.verification
    if seen is not None and seen.wait_p99 is not None and seen.wait_p99 > limit:
        return f", p99 wait {milliseconds(seen.wait_p99)} instead of {milliseconds(limit)}"
    return _asked(recommendation)


def _asked(recommendation: Recommendation) -> str:
    """` with p99 wait under 10 ms and p99 response under 50 ms`, as far as they are asked."""
    limits = (("wait", recommendation.wait_p99), ("response", recommendation.response_p99))
    said = [
        f"p99 {name} under {milliseconds(limit)}" for name, limit in limits if limit is not None
    ]
    return f" with {listed(said)}" if said else ""


def _nothing_recommended(sizing: Sizing | None, recommendation: Recommendation) -> str:
    at = rate(recommendation.target_rate)
    if recommendation.status == "unreachable":
        return "The target could not be reached: nothing was measured"
    if recommendation.status == "stopped":
        return f"Stopped early after {plural(recommendation.trials, 'trial')}: no size recommended"
    if recommendation.status == "failed":
        return "The measurement failed: no size recommended"
    if sizing is None or not sizing.out_of_reach:
        return f"No size can be recommended for {at}"
    return _out_of_reach(sizing, recommendation)


def _out_of_reach(sizing: Sizing, recommendation: Recommendation) -> str:
    """What bounds a rate that no size carries as is asked; the full reason is in `because`."""
    at, asked = rate(recommendation.target_rate), _asked(recommendation)
    if sizing.verdict.name in ("rate_limited", "refused"):
        limit = "limits the rate" if sizing.verdict.name == "rate_limited" else "refuses more"
        return f"No pool size carries {at}: the server {limit}"
    if sizing.limited_by == "response":
        limit = milliseconds(recommendation.response_p99)
        without = "calls take longer even without a wait"
        return f"No pool size keeps p99 response under {limit} at {at}: {without}"
    if sizing.limited_by == "cap":
        return f"{at}{asked} need more connections than are allowed"
    plateau = recommendation.plateau or sizing.plateau
    if plateau is None:
        return f"No pool size carries {at}{asked}"
    top = rate(plateau.throughput)
    if plateau.throughput <= recommendation.target_rate:
        return f"No pool size carries {at}: throughput levels off at {top}"
    return f"No pool size carries {at}{asked}: that is too near the plateau, {top}"


def _measured(trials: Sequence[Trial]) -> str:
    closed = [t for t in trials if t.is_of_curve]
    if not closed:
        return "Nothing measured yet"
    best = max(closed, key=lambda t: t.throughput)
    sizes = len({t.pool_size for t in closed})
    return f"{plural(sizes, 'size')} measured: at most {rate(best.throughput)}"


def verified_phrase(recommendation: Recommendation) -> str:
    """`verified: 499/s, wait p99 6.1 ms`, or that it was not."""
    seen = recommendation.verification
    if seen is None:
        return "not verified"
    word = "verified" if all(s.passed for s in seen.signals) else "not confirmed"
    return f"{word}: {short_rate(seen.achieved_rate)}, wait p99 {milliseconds(seen.wait_p99)}"


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
