"""How long calls wait for a connection, read off the measured throughput curve.

**The curve is the queue.** X(n) is the flow-equivalent service centre of everything behind the
pool (Chandy, Herzog and Woo 1975): n calls that hold connections leave at X(n) calls/s. In front
stand Poisson arrivals at rate lambda and a pool of c connections, so with k calls in the system
they leave at X(min(k, c)). Symbols: rho_k = lambda / X(min(k, c)); N = calls in the system,
waiting or holding; W = wait for a connection (s).

1. *As random as can be.* A birth-death chain with these rates has, for every level k,
       o_k = P(N >= k+1) / P(N = k) = rho_{k+1} * (1 + o_{k+1}),   o_c = rho_c / (1 - rho_c):
   the odds that a call which finds k or more finds more than k. With X(n) = n / S this is Erlang C
   exactly.
2. *As random as it is.* Once an upstream saturates its departures are more regular (or burstier)
   than that chain's. The mean queue of M/G/1 is (1 + Cs^2) / 2 times that of M/M/1 (Pollaczek and
   Khinchine), with the same share of callers that wait: for a geometric tail this multiplies the
   odds of every further step by (1 + Cs^2) / 2 and leaves the first alone. Where connections work
   side by side the number in the system does not depend on how random the times are (the
   insensitivity of M/G/infinity). So each step's odds are multiplied by
       v_k = e_k + (1 - e_k) * v,   e_k = d ln X / d ln n between k and k+1 (e_0 = 1):
   1 while work is parallel (e = 1), v on the plateau (e = 0). v = (1 + Cd2) / 2 where calls are
   served in order; `saturation` has the other cases. Cd2, the index of dispersion of the saturated
   upstream's departures, takes the place of Cs^2.
       P(N >= c) = product over k < c of  v_k * o_k / (1 + v_k * o_k)
3. *Waiting.* Poisson arrivals see time averages, so P(W > 0) = P(N >= c), and
       P(W > w) = P(N >= c) * exp(-2 / (1 + Cd2) * (X(c) - lambda) * w)
   (exact for exponential times; the heavy-traffic tail of M/G/c otherwise, Koellerstroem 1974).

An earlier form raised every ratio rho_k to the power 2 / (1 + e + (1 - e) * Cd2) and summed the
chain up. That breaks the balance of calls in and out: it makes P(N >= c) too small by (1 - rho) /
(1 - rho^(2 / (1 + Cd2))), half of the truth for regular upstreams, and twice the truth for bursty
ones. Scaling the odds keeps P(wait) of Erlang C. CONTRIBUTING.md has the evidence, and where it
still fails: tests/bench/sizing_population.py prints it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

P99 = 0.01  # share of the calls beyond a p99


class Throughput(Protocol):
    """What the queue needs of a curve: calls/s at a number of busy connections."""

    def throughputs(self, sizes: ArrayLike) -> Floats:
        """X at these sizes (calls/s)."""


@dataclass(frozen=True, slots=True)
class WaitPrediction:
    """What callers meet at one pool size; times in s.

    Where the pool does not carry the rate every wait grows without end: times are None.
    """

    pool_size: int
    is_stable: bool  # whether the pool carries the rate
    waiting: float  # P(a call waits), 0 to 1
    decay: float  # 1/s, how fast P(W > w) falls with w
    busy: float  # connections held on average
    hold_time: float  # mean
    # P(N >= k) for k = 0 .. pool_size: the shares of time with k calls or more in the system.
    levels: tuple[float, ...] = ()

    @property
    def wait(self) -> float | None:
        """The mean wait (s)."""
        return self.waiting / self.decay if self.is_stable else None

    @property
    def response_time(self) -> float | None:
        """The mean response time (s)."""
        return None if self.wait is None else self.wait + self.hold_time

    @property
    def utilisation(self) -> float:
        """Share of the connections that are busy on average (0 to 1)."""
        return min(1.0, self.busy / self.pool_size)

    def exceedance(self, wait: float) -> float:
        """P(W > wait), 0 to 1; 1 where the pool does not carry the rate."""
        if not self.is_stable:
            return 1.0
        return min(1.0, self.waiting * math.exp(-self.decay * wait))

    def wait_exceeded_by(self, share: float) -> float | None:
        """The wait (s) that this share (0 to 1) of the calls exceeds; None: not carried."""
        if not self.is_stable:
            return None
        return math.log(self.waiting / share) / self.decay if self.waiting > share else 0.0

    @property
    def wait_p99(self) -> float | None:
        """The p99 wait (s); None where the pool does not carry the rate."""
        return self.wait_exceeded_by(P99)


def waits(
    curve: Throughput,
    arrival_rate: float,
    sizes: Sequence[int],
    dispersion: float = 1.0,
    plateau_factor: float | None = None,
    seen_to: int = 0,
) -> tuple[WaitPrediction, ...]:
    """What callers meet at each of these pool sizes (1 or more) at `arrival_rate` calls/s.

    `dispersion` is Cd2, 0 or more; `plateau_factor` is v, more than 0, and None for calls served in
    order. The curve is read at 1 .. max(sizes).

    `seen_to`: where X(n) is what calls that came at this rate met with n in use, bursts are in it:
    beyond a size it falls with the calls that wait as it does with those in use. So it is read up
    to this number too, and W falls as the chain beyond the size does down to its p99.
    """
    if arrival_rate <= 0:
        raise ValueError(f"arrival_rate must be above 0, got {arrival_rate}")
    if dispersion < 0:
        raise ValueError(f"dispersion must be 0 or more, got {dispersion}")
    if plateau_factor is not None and plateau_factor <= 0:
        raise ValueError(f"plateau_factor must be more than 0, got {plateau_factor}")
    if not sizes:
        return ()
    if min(sizes) < 1:
        raise ValueError(f"pool sizes must be 1 or more, got {min(sizes)}")
    known = curve.throughputs(np.arange(1, max(*sizes, seen_to) + 1))
    rates = known[: max(sizes)]
    ratios = arrival_rate / rates
    in_order = (1.0 + dispersion) / 2.0
    factors = _factors(rates, in_order if plateau_factor is None else plateau_factor)
    pools = np.array(sizes)
    stable = ratios[pools - 1] < 1.0
    levels = _levels(ratios, factors, pools, stable)
    decay = 2.0 / (1.0 + dispersion) * (rates[pools - 1] - arrival_rate)
    found = []
    for row, pool in enumerate(map(int, pools)):
        if stable[row]:
            at_least = levels[row, : pool + 1]
            busy = float(at_least[1:].sum())
            shares = tuple(at_least.tolist())
            hold = busy / arrival_rate
            falls = float(decay[row])
            if seen_to > pool:
                falls *= _slower(known[pool - 1 : seen_to], arrival_rate, shares[-1])
            one = WaitPrediction(pool, True, shares[-1], falls, busy, hold, shares)
        else:
            one = WaitPrediction(pool, False, 1.0, 0.0, float(pool), pool / float(rates[pool - 1]))
        found.append(one)
    return tuple(found)


def _slower(rates: Floats, arrival_rate: float, waiting: float) -> float:
    """How much slower (0 to 1) W falls to its p99 where throughput beyond the size falls.

    From one call that waits to the next P(N >= n) falls by ln(X / lambda) and W grows by what an
    exponential of X - lambda takes for that; X is the lowest so far, that of the size first.
    """
    least = np.minimum.accumulate(rates)
    least = least[least > arrival_rate]
    depth = math.log(max(waiting / P99, 1.0))
    falls = np.log(least / arrival_rate)
    parts = np.diff(np.minimum(np.cumsum(falls), depth), prepend=0.0)
    parts[-1] += depth - parts.sum()  # as at the last from there on
    took = float((parts / (least - arrival_rate)).sum())
    return depth / took / float(rates[0] - arrival_rate) if took > 0 else 1.0


def _factors(rates: Floats, plateau: float) -> Floats:
    """v_k for the steps k -> k+1, k = 0 .. len(rates) - 1."""
    elasticity = np.ones(rates.size)
    if rates.size > 1:
        sizes = np.arange(1, rates.size + 1)
        rise = np.diff(np.log(rates)) / np.diff(np.log(sizes))
        elasticity[1:] = np.clip(rise, 0.0, 1.0)
    return np.asarray(elasticity + (1.0 - elasticity) * plateau)


def _levels(
    ratios: Floats, factors: Floats, pools: NDArray[np.int64], stable: NDArray[np.bool_]
) -> Floats:
    """P(N >= k), one row a pool, columns k = 0 .. max(pools); meaningless in rows not stable."""
    most = int(pools.max())
    at_limit = np.where(stable, ratios[pools - 1], 0.0)
    # 1 + o_{k+1}: what one call at level k+1 brings with it above that level.
    above = 1.0 / (1.0 - at_limit)
    steps = np.ones((pools.size, most + 1))
    # Rows that are not stable may overflow at absurd rates, and are never read.
    with np.errstate(over="ignore", invalid="ignore"):
        for level in range(most - 1, -1, -1):
            inside = pools > level
            odds = ratios[level] * above
            corrected = factors[level] * odds
            steps[inside, level + 1] = (corrected / (1.0 + corrected))[inside]
            above = np.where(inside, 1.0 + odds, above)
    return np.asarray(np.cumprod(steps, axis=1))
