"""How often the 80 % intervals of a demand forecast hold the truth, on made series.

    python -m tests.bench.forecast [--series N]

Of each kind N series with weekly noise (a lognormal of 3 to 8 %). Exit code 1 where fewer or more
than 10 points off the nominal 80 % are held a year in and a quarter ahead, on a trend or after a
step. The other rows say what the method misses.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from poolkit.analysis.forecast import NOMINAL, Forecast, forecast
from tests.bench.provenance import caption

WITHIN = 0.10
HELD_TO = ("trend", "step")
LENGTHS = ((52, 13), (40, 13), (78, 26), (104, 26))  # weeks known, weeks ahead; the first is held

Rng = np.random.Generator
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _trend(rng: Rng, at: Floats, _known: int) -> Floats:
    """-0.4 to 1.5 % of the first week more every week."""
    return 1 + rng.uniform(-0.004, 0.015) * at


def _step(rng: Rng, at: Floats, known: int) -> Floats:
    """20 to 60 % more from a week in the middle half of those known on."""
    return np.where(at >= rng.integers(known // 4, 3 * known // 4), rng.uniform(1.2, 1.6), 1.0)


def _walk(rng: Rng, at: Floats, _known: int) -> Floats:
    """A random walk of 3 % a week, with the noise on top."""
    return np.exp(np.cumsum(rng.normal(0, 0.03, len(at))))


def _slows(rng: Rng, at: Floats, known: int) -> Floats:
    """Growth by 50 to 150 % that slows: 1 - 1/e of it in 40 to 80 % of the weeks known."""
    return 1 + rng.uniform(0.5, 1.5) * (1 - np.exp(-at / (known * rng.uniform(0.4, 0.8))))


def _per_cent(rng: Rng, at: Floats, _known: int) -> Floats:
    """0.3 to 2 % more than the week before."""
    return np.exp(rng.uniform(0.003, 0.02) * at)


def _stops(rng: Rng, at: Floats, known: int) -> Floats:
    """Growth of 1 to 2 % of the first week that ends with the last week known."""
    return 1 + rng.uniform(0.01, 0.02) * np.minimum(at, known)


def _season(rng: Rng, at: Floats, _known: int) -> Floats:
    """20 to 40 % up and down over the year, from any day on."""
    phase = rng.uniform(0, 2 * np.pi)
    return 1 + rng.uniform(0.2, 0.4) * np.sin(2 * np.pi * at / 52 + phase)


KINDS: dict[str, Callable[[Rng, Floats, int], Floats]] = {
    "trend": _trend,
    "step": _step,
    "random walk": _walk,
    "growth slows": _slows,
    "growth in per cent": _per_cent,
    "growth stops": _stops,
    "season of the year": _season,
}


def made(kind: str, seed: int, known: int, ahead: int) -> Floats:
    """Weekly peaks (calls/s) of one kind, with noise."""
    rng = np.random.default_rng([list(KINDS).index(kind), seed])
    at = np.arange(known + ahead, dtype=float)
    level = rng.uniform(100, 1000) * KINDS[kind](rng, at, known)
    noise: Floats = np.exp(rng.normal(0, rng.uniform(0.03, 0.08), len(at)))
    return level * noise


def held(kind: str, series: int, known: int, ahead: int) -> tuple[float, float, float, float]:
    """Shares of the truth inside: of all weeks, of the last one, as the back-tests had it; and the
    median width as a share of the middle.
    """
    shares, lasts, told, widths = [], [], [], []
    for seed in range(series):
        peaks = made(kind, seed, known, ahead)
        found = forecast(list(peaks[:known]), ahead)
        assert isinstance(found, Forecast)
        lower, upper = np.array(found.lower), np.array(found.upper)
        truth = peaks[known : known + found.horizon]
        is_inside = (lower <= truth) & (truth <= upper)
        shares.append(is_inside.mean())
        lasts.append(is_inside[-1])
        told.append(found.coverage)
        widths.append(np.median((upper - lower) / np.array(found.middle)))
    return tuple(float(np.mean(each)) for each in (shares, lasts, told, widths))  # type: ignore[return-value]


def main() -> int:
    """Print a table for each length of history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100, help="of each kind")
    series = parser.parse_args().series
    print(f"{caption()}\n")
    missed = []
    for known, ahead in LENGTHS:
        print(f"{known} weeks known, 1 to {ahead} ahead, nominal {NOMINAL:.0%}\n")
        print("| kind | inside | last week | back-test said | width | ms |")
        print("|---|---|---|---|---|---|")
        for kind in KINDS:
            began = time.perf_counter()
            share, last, told, width = held(kind, series, known, ahead)
            each = 1000 * (time.perf_counter() - began) / series
            print(
                f"| {kind} | {share:.0%} | {last:.0%} | {told:.0%} | {width:.0%} | {each:.0f} |",
                flush=True,
            )
            is_held_to = kind in HELD_TO and (known, ahead) == LENGTHS[0]
            if is_held_to and abs(share - NOMINAL) > WITHIN:
                missed.append(kind)
        print()
    print(f"within {100 * WITHIN:.0f} points of {NOMINAL:.0%} on trend and step: ", end="")
    print(f"missed on {' and '.join(missed)}" if missed else "passed")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
