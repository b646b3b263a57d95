"""From what a service's pools counted in production to the curve that a size is read off.

A pool counts T(n), seconds with n connections in use, and C(n), releases out of that state. One
pool in front of its upstream: X(n) = C(n) / T(n) is the upstream's curve (see `states`), whatever
the rate was meanwhile, so every hour counts.

Pools that share an upstream: n of one of them is not n of all. Counts of all processes are summed
in short windows, and two things are read off them.

1. What one pool sees while the whole service carries a rate: its own C(n) / T(n) over the windows
   near that rate. Poisson calls and the balance over each level, lambda * p(n) = X(n + 1) *
   p(n + 1), make that the chain of one pool exactly, the load of its sisters included.
2. How much longer a call takes at another rate: the mean hold sum n T(n) / sum C(n) of a window
   over the rate of the window, made to rise. Beyond the highest rate seen nothing is known.

With R pools as busy as one, R * n connections are in use and R * C(n) / T(n) calls/s leave. In
these coordinates the rule for fleets, X(R * k) / R (see `curve.SharedCurve`), gives back what the
pool saw, and what is left of an upstream when a replica is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import scipy  # its parts are loaded when they are first used

from poolkit import units
from poolkit.analysis import unseen
from poolkit.analysis.sizing import size
from poolkit.analysis.states import BATCHES, States
from poolkit.analysis.windows import GROUPS, Windows, near
from poolkit.records import Distribution, Sizing, Sweep, Trial
from poolkit.targets.objective import Objective

FINGERPRINT = "production"  # of what is no trial; a measurement does not go on from it
# Cd2 of the chain whose rates are X(n) as seen: the balance over each level holds whatever the
# holds are like, so bursts are in X(n) already and count once.
RANDOM = 1.0
TOLD = 0.005  # share of throughput from which on taking it off is worth a word


def slowdown(windows: Windows, near_by: Windows, rate: float) -> float:
    """How many times as long a call takes at `rate` as in the windows near it, 1 or more.

    1 for one pool: its own curve holds that.
    """
    if windows.fleet == 1:
        return 1.0
    order = np.argsort(windows.rates, kind="stable")
    groups = [group for group in np.array_split(order, min(GROUPS, order.size)) if group.size]
    levels = np.array(windows.levels, dtype=float)
    rates, holds, weights = [], [], []
    for group in groups:
        calls = windows.releases[group].sum()
        if calls > 0:
            rates.append(float(np.mean(windows.rates[group])))
            holds.append(float(windows.held[group].sum(axis=0) @ levels / calls))
            weights.append(float(calls))
    if not rates:
        return 1.0
    rising = scipy.optimize.isotonic_regression(holds, weights=weights).x
    now = float(near_by.asks @ near_by.rates / near_by.asks.sum())
    then, before = np.interp([rate, now], rates, rising)
    return max(1.0, float(then / before))


def open_loop(
    target: str,
    driver: str,
    started: str,
    *,
    pool_size: int,
    pools: int,
    rate: float,
    window: float,
    calls: int,
    busy: float,
    hold_time: Distribution,
    wait_time: Distribution | None = None,
    in_use: Iterable[States] = (),
) -> Trial:
    """What production told, written as the trial that it is in place of.

    Args:
        started: ISO 8601, UTC, of the first window.
        rate: calls/s over all pools.
        window: s.
        calls: that came back.
        busy: connections in use of all pools, on average.
        in_use: states by batch, where they are counted.
    """
    return Trial(
        target=target,
        driver=driver,
        fingerprint=FINGERPRINT,
        purpose="production",
        loop="open",
        pool_size=pool_size,
        pools=pools,
        arrival_rate=rate,
        seed=0,
        started=started,
        warm_up=0.0,
        window=window,
        outcomes={"ok": calls},
        throughput=calls / window,
        response_time=Distribution(count=0),
        wait_time=wait_time or Distribution(count=0),
        hold_time=hold_time,
        lag=Distribution(count=0),
        concurrency=None,
        utilisation=min(1.0, busy / (pool_size * pools)),
        connections_opened=0,
        disconnects=0,
        reuse_ratio=None,
        cpu_share=0.0,
        in_use=tuple(in_use),
    )


def as_trial(windows: Windows, factor: float, target: str, driver: str, started: str) -> Trial:
    """The windows as one open loop, in the coordinates of all pools (see the module).

    Args:
        factor: how many times as long each call takes (see `slowdown`).
        started: ISO 8601, UTC, of the first window.
    """
    limit = windows.limit
    known = limit is not None and math.isfinite(limit) and limit >= 1
    told = open_loop(
        target,
        driver,
        started,
        pool_size=int(limit or 1) if known else max(1, windows.peak or windows.most_in_use),
        pools=windows.fleet,
        rate=float(windows.rates.mean()),
        window=windows.seconds * windows.ends.size,
        calls=round(float(windows.releases.sum())),
        busy=float(windows.in_use.mean()),
        hold_time=windows.holds.distribution(),
        wait_time=windows.waits.distribution(),
        in_use=_batches(windows, windows.fleet, factor),
    )
    return told.model_copy(update={"dispersion": RANDOM})


def _batches(windows: Windows, fleet: int, factor: float) -> Iterable[States]:
    parts = np.array_split(np.arange(windows.ends.size), min(BATCHES, windows.ends.size))
    for part in parts:
        held = windows.held[part].sum(axis=0) * factor / fleet
        calls = np.round(windows.releases[part].sum(axis=0)).astype(int)
        yield {
            n * fleet: (float(passed), int(released), 0)
            for n, passed, released in zip(windows.levels, held, calls, strict=True)
            if passed > 0
        }


def evidence(
    windows: Windows, rate: float, target: str, driver: str, started: str
) -> tuple[Windows, Trial]:
    """The windows that tell of the service at `rate` (calls/s), also made one trial."""
    chosen = near(windows, rate)
    return chosen, as_trial(chosen, 1.0, target, driver, started)


def sized(
    windows: Windows,
    objective: Objective,
    target: str,
    driver: str,
    started: str,
    slower: float = 1.0,
) -> tuple[Sizing, Trial]:
    """The size that the objective asks for, and the evidence as one trial.

    Nothing is answered above the connections in use that were seen, nor for a fleet above the
    highest rate seen, nor for one pool where the size hangs on how calls queue above it. The
    windows must be whole (see `Windows.whole`), one at least.

    Args:
        slower: how many times as long each call is taken to last.
    """
    rate = objective.rate
    chosen = near(windows, rate)
    factor = slower * slowdown(windows, chosen, rate)

    def named(factor: float) -> tuple[Sizing, Trial]:
        trial = as_trial(chosen, factor, target, driver, started)
        return size(Sweep(target=target, trials=(trial,)), objective), trial

    sizing, trial = named(factor)
    seen = (
        f"production had up to {units.plural(chosen.most_in_use, 'connection')} of one pool in "
        f"use, at up to {units.rate(windows.peak_rate)}; nobody pushed it beyond, so what bounds "
        "the server was not seen"
    )
    unsure = ""
    beyond = unseen.lower(windows, trial, rate, slower)
    if beyond > 0.0 and sizing.size:
        least = sizing.size
        factor /= 1.0 - beyond
        sizing, trial = named(factor)
        unsure = unseen.above(least, sizing.size, rate, windows.peak_rate, slower)
        if beyond >= TOLD:
            lower = units.share(beyond)
            seen += f"; at a higher rate calls may queue longer: throughput is taken {lower} lower"
    verdict = sizing.verdict.model_copy(update={"evidence": seen})
    sizing = sizing.model_copy(update={"verdict": verdict})
    if not unsure and sizing.size and sizing.size <= chosen.most_in_use:
        unsure = unseen.by_chance(chosen, objective, factor)
    allowed = objective.cap // objective.pools
    return unseen.within(sizing, windows, chosen, rate, allowed, unsure), trial
