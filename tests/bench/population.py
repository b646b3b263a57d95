"""Upstreams drawn at random, each with the pool size that it needs, found by simulation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tests.analysis.simulate import Contended, CpuBound, Upstream, Workers, closed_loop, open_loop
from tests.analysis.upstreams import HeavyTailed, Line, Pausing, Sharing, Split, Stage

ALLOWANCE = 0.01
LARGEST = 160  # a drawn upstream that needs more is drawn again
FASTEST = 3000.0  # calls/s of a plateau that one client process can still reach
CVS = (0.0, 0.5, 1.0, 2.0)
RUN = 100_000  # calls of one simulated run
FEWEST_RUNS, MOST_RUNS = 3, 10
SURE = 2.6  # standard errors

Draw = Callable[[np.random.Generator], Upstream]


@dataclass(frozen=True, slots=True)
class Row:
    """An upstream, the rate to carry (calls/s) and the longest good wait (s)."""

    family: str
    name: str
    upstream: Upstream
    plateau: float
    rate: float
    wait: float = 0.010


@dataclass(frozen=True, slots=True)
class Needed:
    """The smallest pool that passes: certainly not below `least`, certainly at `most`."""

    least: int
    most: int


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _workers(rng: np.random.Generator) -> Upstream:
    return Workers(round(_log(rng, 4, 48)), _log(rng, 0.002, 0.1), float(rng.choice(CVS)))


def _mixed(rng: np.random.Generator) -> Upstream:
    return Workers(
        round(_log(rng, 4, 48)),
        _log(rng, 0.002, 0.05),
        float(rng.choice(CVS[:3])),
        slow_share=float(rng.uniform(0.03, 0.3)),
        slow_factor=_log(rng, 3, 8),
    )


def _cpu(rng: np.random.Generator) -> Upstream:
    total = _log(rng, 0.004, 0.1)
    cpu = total / _log(rng, 3, 30)
    return CpuBound(
        total - cpu, cpu, float(rng.choice((0.0, 0.3, 1.0))), float(rng.choice(CVS[:3]))
    )


def _sharing(rng: np.random.Generator) -> Upstream:
    return Sharing(_log(rng, 0.002, 0.05), round(_log(rng, 2, 24)), float(rng.choice(CVS)))


def _contended(rng: np.random.Generator) -> Upstream:
    kappa = _log(rng, 1e-4, 3e-3) if rng.random() < 0.7 else 0.0
    cv = float(rng.choice(CVS[:3]))
    return Contended(_log(rng, 0.002, 0.05), _log(rng, 0.01, 0.15), kappa, cv)


def _tandem(rng: np.random.Generator) -> Upstream:
    total = _log(rng, 0.004, 0.1)
    split = rng.uniform(0.25, 0.75)
    first, second = (
        Stage(time, round(_log(rng, 3, 32)), float(rng.choice(CVS)))
        for time in (total * split, total * (1 - split))
    )
    return Line((first, second))


def _lock(rng: np.random.Generator) -> Upstream:
    total, share = _log(rng, 0.004, 0.1), float(rng.uniform(0.1, 0.6))
    held = total / _log(rng, 3, 15)
    return Line(
        (
            Stage(total - held, round(_log(rng, 8, 64)), float(rng.choice(CVS[:3]))),
            Stage(held, 1, float(rng.choice(CVS[:3])), share),
        )
    )


def _pauses(rng: np.random.Generator) -> Upstream:
    return Pausing(
        round(_log(rng, 4, 48)),
        _log(rng, 0.002, 0.05),
        float(rng.choice(CVS[:3])),
        pause=_log(rng, 0.003, 0.02),
        every=_log(rng, 0.1, 0.4),
    )


def _bimodal(rng: np.random.Generator) -> Upstream:
    return Workers(
        round(_log(rng, 4, 48)),
        _log(rng, 0.002, 0.03),
        0.1,
        slow_share=float(rng.uniform(0.02, 0.1)),
        slow_factor=_log(rng, 8, 20),
    )


def _slowing(rng: np.random.Generator) -> Upstream:
    kappa = _log(rng, 1e-4, 3e-3) if rng.random() < 0.7 else 0.0
    return Sharing(
        _log(rng, 0.002, 0.05), 1000, float(rng.choice(CVS)), _log(rng, 0.01, 0.15), kappa
    )


def _split(rng: np.random.Generator) -> Upstream:
    return Split(round(_log(rng, 3, 24)), _log(rng, 0.002, 0.04), float(rng.choice(CVS[:3])))


def _heavy(rng: np.random.Generator) -> Upstream:
    return HeavyTailed(
        round(_log(rng, 4, 48)), _log(rng, 0.001, 0.02), float(rng.uniform(1.3, 2.2))
    )


def _database(rng: np.random.Generator) -> Upstream:
    network, cpu = _log(rng, 0.001, 0.02), _log(rng, 0.001, 0.02)
    return Line(
        (
            Stage(network, None, 0.3),
            Stage(cpu, round(_log(rng, 2, 16)), float(rng.choice(CVS[1:]))),
            Stage(_log(rng, 0.001, 0.01), 1, 1.0, share=float(rng.uniform(0.02, 0.3))),
        )
    )


def _crowded(rng: np.random.Generator) -> Upstream:
    cv = float(rng.choice(CVS))
    return Sharing(_log(rng, 0.002, 0.05), round(_log(rng, 2, 16)), cv, _log(rng, 0.003, 0.03))


DEVELOPMENT: dict[str, Draw] = {
    "workers": _workers,
    "mixed": _mixed,
    "cpu": _cpu,
    "sharing": _sharing,
    "contended": _contended,
}
SECOND: dict[str, Draw] = {
    "tandem": _tandem,
    "lock": _lock,
    "pauses": _pauses,
    "bimodal": _bimodal,
    "slowing": _slowing,
}
HELD_OUT: dict[str, Draw] = {
    "split": _split,
    "heavy": _heavy,
    "database": _database,
    "crowded": _crowded,
}
FAMILIES = DEVELOPMENT | SECOND | HELD_OUT


def plateau(upstream: Upstream) -> float:
    """The most calls/s that any number of callers gets out of it, to about 1 %."""
    best = 0.0
    for callers in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        ends = np.sort(closed_loop(upstream, callers, 20_000, seed=5).released)[4000:-4000]
        rate = (ends.size - 1) / float(ends[-1] - ends[0])
        if rate < 0.9 * best:
            break
        best = max(best, rate)
    return best


def rows(family: str, count: int, seed: int) -> Iterator[Row]:
    """`count` upstreams of a family that one client can load, with what is asked of them."""
    rng = np.random.default_rng([seed, *family.encode()])
    found = 0
    while found < count:
        upstream = FAMILIES[family](rng)
        load, wait = float(rng.uniform(0.40, 0.92)), _log(rng, 0.005, 0.05)
        top = plateau(upstream)
        if top > FASTEST or top < 50:
            continue
        found += 1
        name = f"{_short(upstream)}, {load:.0%}, {wait * 1000:.0f} ms"
        yield Row(family, name, upstream, top, load * top, wait)


def _short(upstream: Upstream) -> str:
    return re.sub(r"(\d\.\d{4})\d+", r"\1", repr(upstream)).replace("stages=", "")


def late_shares(row: Row, pool_size: int, seed: int = 11) -> tuple[float, float]:
    """The share of calls that wait too long and its standard error, from as many runs as decide."""
    shares: list[float] = []
    while True:
        calls = open_loop(row.upstream, row.rate, pool_size, RUN, seed + len(shares))
        shares.append(float((calls.waits[RUN // 20 :] > row.wait).mean()))
        mean = float(np.mean(shares))
        if len(shares) < FEWEST_RUNS:
            continue
        error = float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) + 2e-5
        # Runs that all pass (or fail) by far need no more of them.
        if abs(mean - ALLOWANCE) > 1.5 * SURE * error or len(shares) >= MOST_RUNS:
            return mean, error


def needed(row: Row, start: int) -> Needed | None:
    """The smallest pool that meets the objective, as an interval; None: beyond `LARGEST`."""
    known: dict[int, int] = {}

    def sign(pool_size: int) -> int:
        """-1: too small, 1: large enough, 0: the runs cannot tell."""
        if pool_size not in known:
            mean, error = late_shares(row, pool_size)
            z = (ALLOWANCE - mean) / error
            known[pool_size] = 0 if abs(z) < SURE else (1 if z > 0 else -1)
        return known[pool_size]

    low, high, step = 0, None, 1
    at = min(max(1, start), LARGEST)
    while True:  # bracket: low certainly too small, high not
        if sign(at) < 0:
            low = at
            if high is not None:
                break
            if at >= LARGEST:
                return None
            at = min(LARGEST, at + step)
        else:
            high = at
            if low >= at - 1 or at == 1:
                break
            if low:
                break
            at = max(1, at - step)
        step *= 2
    assert high is not None
    while high - low > 1:
        middle = (low + high) // 2
        if sign(middle) < 0:
            low = middle
        else:
            high = middle
    most = high
    while sign(most) <= 0:
        if most >= LARGEST:
            return None
        most += max(1, most // 12)
    return Needed(high, most)
